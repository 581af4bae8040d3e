"""A list of URLs on webs of our own, with what must become of each; and the command that crawls it."""

from __future__ import annotations

import hashlib
import io
import random
from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from tests.local_web import LocalWeb

CLASSES = ("juggling balls", "rowing boat", "hula hooping")


def small_picture(seed: int, width: int = 40, height: int = 32) -> bytes:
    """A different little JPEG for each seed, cheap to make and to decode."""
    dice = random.Random(seed)
    rough = Image.frombytes("RGB", (8, 6), dice.randbytes(8 * 6 * 3))
    buffer = io.BytesIO()
    rough.resize((width, height), Image.Resampling.BICUBIC).save(buffer, "JPEG")
    return buffer.getvalue()


class ListedWeb:
    """What a crawl is given: `expected` is URL -> SHA-256 of its bytes, or the error class that it must end in."""

    def __init__(self, folder: Path, *webs: LocalWeb) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.webs = folder, webs
        self.expected: dict[str, str] = {}

    def add(self, path: str, body: bytes, *, status: int = 200, end: str | None = None, web: int = 0) -> str:
        url = self.webs[web].add(path, body, status=status)
        self.expected[url] = end or hashlib.sha256(body).hexdigest()
        return url

    def expect(self, url: str, end: str) -> None:
        self.expected[url] = end

    def pictures(self, count: int, *, web: int = 0, first: int = 0) -> None:
        for seed in range(first, first + count):
            self.add(f"/{seed}.jpg", small_picture(seed), web=web)

    def mishaps(self) -> None:
        """Some of everything that goes wrong in a web, and bytes that are there twice."""
        for seed in range(5):
            self.add(f"/again-{seed}.jpg", small_picture(seed))
        for at in range(4):
            self.add(f"/gone-{at}.jpg", b"gone", status=404, end="http-4xx")
        self.add("/page.jpg", b"<!doctype html><html><body>moved</body></html>", end="not-media")
        self.add("/empty.jpg", b"", end="empty")
        self.add("/cut.jpg", small_picture(9000)[:300], end="decode")

    def command(self, *sets: str) -> list[str]:
        """The crawl's command line, without its workspace."""
        table, classes = self.folder / "table.csv", self.folder / "classes.txt"
        rows = [f"{url},{CLASSES[at % len(CLASSES)]}\n" for at, url in enumerate(self.expected)]
        table.write_text("url,class\n" + "".join(rows))
        classes.write_text("\n".join(CLASSES) + "\n")
        command = ["crawl", "--classes", str(classes), "--provider", "table", "--per-class", "5000"]
        return [*command, "--media", "image", *settings(self.webs, table, sets)]


def settings(webs: Sequence[LocalWeb], table: Path, sets: Sequence[str]) -> list[str]:
    usual = (
        f"providers.table.path={table}", f"crawl.allow_hosts={[web.site for web in webs]}", "crawl.host_rate=0",
        "crawl.host_concurrency=4", "crawl.min_side=16", "crawl.drain_s=2", "crawl.shard_bytes=20000",
        "media.guard_processes=1",
    )  # fmt: skip
    return [part for setting in (*usual, *sets) for part in ("--set", setting)]
