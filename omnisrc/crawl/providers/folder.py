"""A folder of media as a provider: one subfolder a class, named as the class is, with files at any depth."""

from __future__ import annotations

import asyncio
from pathlib import Path

from omnisrc.classes.model import label_key
from omnisrc.crawl.providers.about import About
from omnisrc.crawl.providers.media_names import kind_of_suffix
from omnisrc.crawl.providers.provider import Candidate, MediaWish, Page, Question
from omnisrc.crawl.settings import ProviderSettings
from omnisrc.errors import UserError
from omnisrc.web.client import Client


def folder_root(settings: ProviderSettings) -> Path | None:
    """The folder whose files may be read as assets, or None where none is set."""
    return Path(settings.folder.path).expanduser().resolve() if settings.folder.path else None


class Folder:
    """The provider `folder`. Its assets have file: URLs, which nothing but this provider may bring."""

    page_size = 1000
    kinds = ("image", "video")
    about = About("your own files; nobody is asked")
    site = None

    def __init__(self, settings: ProviderSettings, wish: MediaWish, client: Client) -> None:
        root = folder_root(settings)
        if root is None:
            raise UserError("The provider `folder` needs a folder; name it with --set providers.folder.path=DIR.")
        if not root.is_dir():
            raise UserError(f"There is no folder {root} (providers.folder.path).")
        self._root = root

    async def find(self, question: Question, cursor: str, limit: int) -> Page:
        """Files of the class's subfolder, by path."""
        files = await asyncio.to_thread(self._files, question)
        start, end = int(cursor or 0), int(cursor or 0) + max(1, min(limit, self.page_size))
        found = [Candidate(url=path.as_uri(), kind=question.kind, title=path.stem) for path in files[start:end]]
        return Page(found, str(end) if end < len(files) else None, calls=0)

    def _files(self, question: Question) -> list[Path]:
        wanted = {label_key(question.class_name), label_key(question.text)} - {""}
        folders = [path for path in sorted(self._root.iterdir()) if path.is_dir() and label_key(path.name) in wanted]
        files = (path for folder in folders for path in sorted(folder.rglob("*")) if path.is_file())
        return [path for path in files if kind_of_suffix(path.suffix) == question.kind]
