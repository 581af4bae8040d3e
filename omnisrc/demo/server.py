"""The rendered world's web on one loopback address: a search service shaped as Wikimedia Commons' and its media.

python -m omnisrc.demo.server --folder WORLD/web [--port N]

GET /w/api.php                     generator=search with prop=imageinfo, as the MediaWiki action API gives it
GET /media/ID/NAME                 the bytes, with the item's behaviour
GET /thumb/WIDTH/ID/NAME           a smaller picture, at the standard widths only
GET /wiki/ID                       the landing page
GET /robots.txt                    keeps robots out of /private/ and, as Commons does, of the API's path
"""

from __future__ import annotations

import argparse
import html
import json
import re
import struct
import sys
import threading
import zlib
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, unquote, urlsplit

import cv2
import numpy as np

from omnisrc.demo.catalogue import WebItem, read_items
from omnisrc.demo.drawing import Frame
from omnisrc.demo.film import jpeg, resized

THUMB_WIDTHS = (20, 40, 60, 120, 250, 330, 500, 960, 1280, 1920, 3840)
INSIDE = "http://127.0.0.99/latest/meta-data/"  # stands for an inside address, where a crawler must never go
ROBOTS = b"User-agent: *\nDisallow: /private/\nDisallow: /w/\n"
MIME = {".jpg": "image/jpeg", ".mp4": "video/mp4", ".webm": "video/webm"}
BOMB_SIDE = 30_000


class DemoWeb:
    """The items of a world's web, found by the words of a query."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.items = {item.id: item for item in read_items(folder / "items.jsonl")}
        self.visits: Counter[str] = Counter()
        self.lock = threading.Lock()

    def search(self, text: str) -> list[WebItem]:
        """Items whose class name holds all words of the query, best rank first."""
        medium = {"video": "video", "bitmap": "image"}.get(next(iter(re.findall(r"filetype:(\w+)", text)), ""))
        words = set(re.findall(r"[a-z]+", re.sub(r"\S+:\S+", " ", text.lower())))
        ranked = [
            (rank, item)
            for item in self.items.values()
            for name, rank in item.queries.items()
            if words and words <= set(name.split()) and medium in (None, item.medium)
        ]
        return [item for _, item in sorted(ranked, key=lambda pair: (pair[0], pair[1].id))]

    def visit(self, item: WebItem) -> int:
        """How often the item was asked for, this time included."""
        with self.lock:
            self.visits[item.id] += 1
            return self.visits[item.id]


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # an answer is two writes: the second must not wait for the first one's receipt
    web: DemoWeb

    def log_message(self, format: str, *args: Any) -> None:
        """Says nothing: the demo's screen belongs to the demo."""

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        parts = unquote(url.path).strip("/").split("/")
        try:
            if url.path == "/robots.txt":
                self._send(200, ROBOTS, "text/plain")
            elif url.path == "/w/api.php":
                self._api({key: values[-1] for key, values in parse_qs(url.query).items()})
            elif parts[0] in ("media", "private", "moved") and len(parts) >= 2 and parts[1] in self.web.items:
                self._media(parts[0], self.web.items[parts[1]])
            elif parts[0] == "thumb" and len(parts) >= 3 and parts[2] in self.web.items:
                self._thumb(parts[1], self.web.items[parts[2]])
            elif parts[0] == "wiki" and len(parts) == 2 and parts[1] in self.web.items:
                title = html.escape(self.web.items[parts[1]].title)
                self._send(200, f"<!doctype html><title>{title}</title><h1>{title}</h1>".encode(), "text/html")
            else:
                self._send(404, b"not found", "text/plain")
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    # The search service

    def _api(self, asked: dict[str, str]) -> None:
        if not self.headers.get("User-Agent"):
            return self._send(403, b"Please set a User-Agent with a contact.", "text/plain")
        if asked.get("generator") != "search" or not asked.get("gsrsearch"):
            return self._json({"error": {"code": "missingparam", "info": 'The "gsrsearch" parameter must be set.'}})
        found = self.web.search(asked["gsrsearch"])
        start, limit = int(asked.get("gsroffset", 0)), min(500, int(asked.get("gsrlimit", 10)))
        width = int(asked.get("iiurlwidth", 0))
        pages = [self._page(item, rank, width) for rank, item in enumerate(found[start : start + limit], start + 1)]
        body: dict[str, Any] = {"batchcomplete": True}
        if pages:
            body["query"] = {"pages": pages}
        if start + limit < len(found):
            body["continue"] = {"gsroffset": start + limit, "continue": "gsroffset||"}
        return self._json(body)

    def _page(self, item: WebItem, rank: int, width: int) -> dict[str, Any]:
        folder = "private" if item.behaviour == "robots" else "media"
        name = quote(Path(item.file).name)
        info: dict[str, Any] = {
            "url": f"{self._origin}/{folder}/{item.id}/{name}",
            "descriptionurl": f"{self._origin}/wiki/{item.id}",
            "user": item.author,
            "timestamp": "2019-05-06T00:00:00Z",
            "size": (self.web.folder / item.file).stat().st_size,
            "width": item.width,
            "height": item.height,
            "mime": MIME[Path(item.file).suffix],
            "mediatype": "VIDEO" if item.medium == "video" else "BITMAP",
            "extmetadata": self._metadata(item),
        }
        if item.medium == "video":
            info["duration"] = item.duration
        elif 0 < width < item.width:
            info |= {"thumburl": f"{self._origin}/thumb/{width}/{item.id}/{name}", "thumbwidth": width}
        return {"pageid": 1000 + zlib.crc32(item.id.encode()), "ns": 6, "title": f"File:{item.title}", "index": rank,
                "imagerepository": "local", "imageinfo": [info]}  # fmt: skip

    def _metadata(self, item: WebItem) -> dict[str, Any]:
        said = {"Artist": f'<a href="#">{html.escape(item.author)}</a>'}
        if item.license:
            said |= {"LicenseShortName": item.license, "LicenseUrl": item.license_url}
        return {key: {"value": value, "source": "commons-desc-page"} for key, value in said.items()}

    # Media

    def _media(self, folder: str, item: WebItem) -> None:
        visits, mime = self.web.visit(item), MIME[Path(item.file).suffix]
        act = item.behaviour
        if act in ("404", "410"):
            return self._send(int(act), b"gone", "text/plain")
        if act == "500-once" and visits == 1:
            return self._send(500, b"try again", "text/plain")
        if act == "429-once" and visits == 1:
            return self._send(429, b"slow down", "text/plain", {"Retry-After": "1"})
        if act == "redirect" and folder == "media":
            return self._send(302, b"", mime, {"Location": self.path.replace("/media/", "/moved/", 1)})
        if act == "redirect-loop":
            return self._send(302, b"", mime, {"Location": self.path})
        if act == "redirect-inside":
            return self._send(302, b"", mime, {"Location": INSIDE})
        if act == "html":
            return self._send(200, b"<!doctype html><html><body>This picture has moved.</body></html>", mime)
        if act == "empty":
            return self._send(200, b"", mime)
        if act == "bomb":
            return self._send(200, _bomb(), "image/png")
        data = self._bytes(item)
        if act == "truncated":
            self._head(200, len(data), mime, {})
            self.wfile.write(data[: len(data) // 2])
            self.close_connection = True
            return None
        return self._send(200, data, mime, {"X-Robots-Tag": "noai, noimageai"} if act == "noai" else {})

    def _bytes(self, item: WebItem) -> bytes:
        data = (self.web.folder / item.file).read_bytes()
        if item.behaviour == "small":
            return jpeg(resized(_picture(data), 64, 48), 85)
        return data[: len(data) * 3 // 5] if item.behaviour == "headless" else data

    def _thumb(self, width: str, item: WebItem) -> None:
        if not width.isdigit() or int(width) not in THUMB_WIDTHS:
            return self._send(429, b"Use thumbnail steps.", "text/plain", {"Retry-After": "1"})
        if item.behaviour not in ("ok", "redirect"):
            return self._media("media", item)
        picture = _picture((self.web.folder / item.file).read_bytes())
        height = round(picture.shape[0] * int(width) / picture.shape[1])
        return self._send(200, jpeg(resized(picture, int(width), height), 87), "image/jpeg")

    # Answers

    @property
    def _origin(self) -> str:
        return f"http://{self.headers.get('Host', '')}"

    def _json(self, body: dict[str, Any]) -> None:
        self._send(200, json.dumps(body).encode(), "application/json; charset=utf-8")

    def _send(self, status: int, body: bytes, mime: str, extra: dict[str, str] | None = None) -> None:
        self._head(status, len(body), mime, extra or {})
        self.wfile.write(body)

    def _head(self, status: int, length: int, mime: str, extra: dict[str, str]) -> None:
        self.send_response(status)
        for key, value in {"Content-Type": mime, "Content-Length": str(length), **extra}.items():
            self.send_header(key, value)
        self.end_headers()


def _picture(data: bytes) -> Frame:
    bgr = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    assert bgr is not None
    return np.ascontiguousarray(bgr[..., ::-1])


def _bomb() -> bytes:
    """A PNG header that claims 30,000 x 30,000 pixels, with a little of their data."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", BOMB_SIDE, BOMB_SIDE, 8, 0, 0, 0, 0)
    rows = zlib.compress(bytes(BOMB_SIDE + 1) * 500)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up, because it stopped reading or was killed, is nothing to tell the demo's screen."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


@contextmanager
def serving(folder: Path, port: int = 0) -> Iterator[str]:
    """Serves a world's web folder from a thread; gives its `host:port`. Port 0: any that is free."""
    handler = type("DemoHandler", (Handler,), {"web": DemoWeb(folder)})
    server = Server(("127.0.0.1", port), handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True)
    thread.start()
    try:
        yield f"127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, required=True, help="the folder `web` of a rendered world")
    parser.add_argument("--port", type=int, default=0, help="0: any free port")
    options = parser.parse_args()
    with serving(options.folder, options.port) as site:
        print(json.dumps({"api": f"http://{site}/w/api.php", "site": site}), flush=True)
        try:
            threading.Event().wait()
        except KeyboardInterrupt:
            return


if __name__ == "__main__":
    main()
