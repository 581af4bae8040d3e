from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from omnisrc.crawl.providers.folder import Folder
from omnisrc.crawl.providers.provider import MediaWish, Question
from omnisrc.crawl.settings import FolderSettings, ProviderSettings
from omnisrc.errors import UserError
from omnisrc.web.client import Client
from omnisrc.web.hosts import HostGate, Pace


def folder(path: Path | str) -> Folder:
    return Folder(ProviderSettings(folder=FolderSettings(str(path))), MediaWish(), Client("x", HostGate(Pace(1))))


def test_files_of_the_classs_folder_come_by_kind_and_page_by_page(tmp_path: Path) -> None:
    names = [
        "Brush_Hair/b.jpg",
        "Brush_Hair/a b.PNG",
        "Brush_Hair/deep/c.webp",
        "Brush_Hair/d.mp4",
        "Brush_Hair/e.txt",
        "golf/f.jpg",
    ]
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"x")

    async def find(kind: str) -> list[str]:
        found, cursor = [], ""
        while cursor is not None:
            page = await folder(tmp_path).find(Question("brush hair", kind, "brush hair"), cursor, 2)
            found += [candidate.url for candidate in page.candidates]
            cursor = page.next
        return found

    root = tmp_path.resolve().as_uri()
    images = [f"{root}/Brush_Hair/a%20b.PNG", f"{root}/Brush_Hair/b.jpg", f"{root}/Brush_Hair/deep/c.webp"]
    assert asyncio.run(find("image")) == images
    assert asyncio.run(find("video")) == [f"{root}/Brush_Hair/d.mp4"]


def test_a_folder_that_is_not_there_or_not_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="There is no folder"):
        folder(tmp_path / "none")
    with pytest.raises(UserError, match=r"providers\.folder\.path"):
        folder("")
