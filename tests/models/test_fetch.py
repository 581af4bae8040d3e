"""Weights over the network: whole and with the promised hash, or not at all."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from aiohttp import web as aiohttp_web

from omnisrc.config import Size
from omnisrc.errors import UserError, WorldError
from omnisrc.models import released
from omnisrc.models.adding import add
from omnisrc.models.fetch import fetch, weights_for
from omnisrc.models.released import RELEASED, Released
from omnisrc.models.settings import ModelSettings
from tests.local_web import LocalWeb
from tests.models.networks import seasoned

PLAIN = ModelSettings()


@pytest.fixture
def web() -> Iterator[LocalWeb]:
    with LocalWeb() as served:
        yield served


@pytest.fixture
def content(tmp_path: Path) -> bytes:
    torch.save(seasoned("tsn_r18", width=2).state_dict(), tmp_path / "made.pth")
    data = (tmp_path / "made.pth").read_bytes()
    (tmp_path / "made.pth").unlink()
    return data


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def left(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*")) if folder.exists() else []


def test_a_file_comes_whole_under_its_own_name(web: LocalWeb, content: bytes, tmp_path: Path) -> None:
    heard: list[tuple[int, int | None]] = []
    url = web.add("/a/tiny.pth", content)
    path = fetch(url, tmp_path / "models", PLAIN, sha256(content), lambda done, total: heard.append((done, total)))
    assert path == tmp_path / "models" / "tiny.pth" and path.read_bytes() == content
    assert heard[0] == (0, len(content)) and heard[-1] == (len(content), len(content))
    assert left(tmp_path / "models") == ["tiny.pth"]


def test_another_content_than_promised_leaves_nothing(web: LocalWeb, content: bytes, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="another file, or was changed on the way"):
        fetch(web.add("/tiny.pth", content), tmp_path / "models", PLAIN, "0" * 64)
    web.add("/tiny-00000000.pth", content)
    with pytest.raises(UserError, match="another file"):
        fetch(f"{web.url}/tiny-00000000.pth", tmp_path / "models", ModelSettings(mirror=web.url))
    assert left(tmp_path / "models") == []


def test_a_body_that_breaks_off_leaves_nothing_and_can_be_asked_again(
    web: LocalWeb, content: bytes, tmp_path: Path
) -> None:
    async def half(request: aiohttp_web.Request) -> aiohttp_web.StreamResponse:
        answer = aiohttp_web.StreamResponse(headers={"Content-Length": str(len(content))})
        await answer.prepare(request)
        await answer.write(content[: len(content) // 2])
        assert request.transport is not None
        request.transport.close()
        return answer

    web.routes["/tiny.pth"] = half
    with pytest.raises(WorldError, match=r"could not be fetched \(truncated.*omnisrc models add FILE"):
        fetch(f"{web.url}/tiny.pth", tmp_path / "models", PLAIN, sha256(content))
    assert left(tmp_path / "models") == []
    web.add("/tiny.pth", content)
    assert fetch(f"{web.url}/tiny.pth", tmp_path / "models", PLAIN, sha256(content)).read_bytes() == content


def test_what_no_hash_vouches_for_is_not_asked_for(web: LocalWeb, tmp_path: Path) -> None:
    for url, given, sentence in (
        (f"{web.url}/tiny.pth", "", "says no hash in its name: give it with `omnisrc models add .* --sha256"),
        (f"{web.url}/tiny-1a2b3c4d.pth", "", "is plain http"),
        (f"{web.url}/tiny.pth", "1a2b3c4d", "is plain http"),
        (f"{web.url}/tiny.pth", "secret", "is no SHA-256"),
        (f"{web.url}/tiny-1a2b3c4d.pth", "0" * 64, "is not the 1a2b3c4d in the name"),
        (f"{web.url}/page.html", "0" * 64, "does not end with the name of a weights file"),
        ("ftp://example.org/tiny.pth", "0" * 64, "no address of a file"),
    ):
        with pytest.raises(UserError, match=sentence):
            fetch(url, tmp_path, PLAIN, given)
    assert web.asked == []


def test_refusals_of_the_server_and_of_the_network_are_told_apart(
    web: LocalWeb, content: bytes, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match="HTTP 404"):
        fetch(f"{web.url}/absent.pth", tmp_path, PLAIN, "0" * 64)
    large = ModelSettings(max_bytes=Size(len(content) - 1))
    with pytest.raises(UserError, match=r"too large .* raise models.max_bytes"):
        fetch(web.add("/tiny.pth", content), tmp_path, large, sha256(content))
    with pytest.raises(WorldError, match=r"could not be fetched \(dns"):
        fetch("https://weights.invalid/tiny.pth", tmp_path, PLAIN, "0" * 64)
    elsewhere = web.redirect("/moved.pth", "http://127.0.0.2:1/tiny.pth")
    with pytest.raises(UserError, match="refused-address"):
        fetch(elsewhere, tmp_path, PLAIN, "0" * 64)
    assert left(tmp_path) == []


def test_what_comes_is_read_before_it_is_kept(web: LocalWeb, tmp_path: Path) -> None:
    page = b"<html>sign in to go on</html>"
    url = web.add("/tiny.pth", page)
    with pytest.raises(UserError, match="is not a weights file"):
        add(url, tmp_path / "models", PLAIN, sha256(page))
    assert left(tmp_path / "models") == []
    (tmp_path / "models" / "tiny.pth").write_bytes(page)
    with pytest.raises(UserError, match="is not a weights file"):
        add(url, tmp_path / "models", PLAIN, sha256(page))
    assert left(tmp_path / "models") == ["tiny.pth"], "what was there before is not ours to remove"


def test_a_released_name_is_fetched_from_the_mirror_where_that_is_agreed(
    web: LocalWeb, content: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = Released(
        "tsn_r18_tiny", "tsn_r18", RELEASED[0].sampling, "", 1.0, 2.0, "", "tiny/", "tiny", sha256(content)[:8]
    )
    monkeypatch.setattr(released, "RELEASED", (*RELEASED, row))
    web.add(f"/weights/tiny/tiny-{row.sha256}.pth", content)
    mirror = ModelSettings(mirror=f"{web.url}/weights/")
    with pytest.raises(UserError, match="omnisrc models add tsn_r18_tiny"):
        weights_for("tsn_r18_tiny", tmp_path, mirror)
    assert web.asked == []
    path = weights_for("tsn_r18_tiny", tmp_path, mirror, agreed=True)
    assert path.name == row.file and path.read_bytes() == content
    assert weights_for("tsn_r18", tmp_path, mirror, agreed=True) == path and len(web.asked) == 1
