"""The downloader process: yt-dlp, which reads what strangers wrote, with no way out but our proxy.

Started as `python -m omnisrc.crawl.ytdlp.child PARENT_PID LARGEST_FILE_MB`. It speaks the guard processes' protocol
(see `omnisrc.media.wire`) on stdin and stdout and dies with its parent. An audit hook of the interpreter refuses
every connection but those to the proxy, every name lookup, and every program but a JavaScript runtime.
"""

from __future__ import annotations

import os
import resource
import sys
import tempfile
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from omnisrc.crawl.ytdlp.failures import failure_in, failure_of
from omnisrc.crawl.ytdlp.options import RUNTIMES, clean_environment, download_options, search_options, unwanted
from omnisrc.crawl.ytdlp.requests import MEDIA, DownloadRequest, Reach, SearchRequest
from omnisrc.errors import ItemError
from omnisrc.media.answers import answer_requests
from omnisrc.media.with_parent import die_with_parent
from omnisrc.web.page_optout import MAX_CHARS, page_opt_out

HEADS = ("x-robots-tag", "tdm-reservation", "tdm-policy", "content-usage")
"""Header fields by which an owner can say no: our side is told of them."""

MOST = 100
"""Heads and pages that are kept of one download."""

NOWHERE = Path("/nonexistent")
FORBIDDEN = ("os.exec", "os.posix_spawn", "os.spawn", "os.system", "os.fork", "os.forkpty", "pty.spawn")
SENDING = ("socket.sendto", "socket.sendmsg", "socket.gethostbyname", "socket.gethostbyaddr")


@dataclass
class WayOut:
    """The one port of this machine that may be connected to."""

    port: int = 0

    def audit(self, event: str, arguments: tuple[Any, ...]) -> None:
        """An audit hook (PEP 578). Raises PermissionError."""
        if event == "socket.connect":
            allowed = tuple(arguments[1])[:2] == ("127.0.0.1", self.port) if isinstance(arguments[1], tuple) else False
        elif event == "socket.getaddrinfo":
            allowed = arguments[0] == "127.0.0.1"
        elif event == "subprocess.Popen":
            allowed = Path(os.fsdecode(arguments[0])).name in RUNTIMES.values()
        else:
            allowed = event not in FORBIDDEN and event not in SENDING
        if not allowed:
            raise PermissionError(f"the downloader may not: {event}")


def main(parent: int, largest_mb: int) -> None:
    """Answer requests until the parent closes the pipe."""
    die_with_parent(parent)
    resource.setrlimit(resource.RLIMIT_FSIZE, (largest_mb << 20, largest_mb << 20))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    os.environ.update(clean_environment(NOWHERE))
    way_out = WayOut()
    sys.addaudithook(way_out.audit)
    import_quietly()
    answer_requests(lambda request, _: (answer(request, way_out), []))


def import_quietly() -> None:
    """Import yt-dlp without its plugins."""
    from yt_dlp import globals as own

    own.plugin_dirs.value = []
    own.all_plugins_loaded.value = True


def answer(request: dict[str, Any], way_out: WayOut) -> dict[str, Any]:
    """Run one task. Raises ItemError."""
    params = request["params"]
    reach = Reach(**params.pop("reach"))
    way_out.port = urlsplit(reach.proxy).port or 0
    if request["task"] == "search":
        return {"meta": search(SearchRequest(reach, **params))}
    return {"meta": download(DownloadRequest(reach, **params))}


def search(request: SearchRequest) -> dict[str, Any]:
    """The flat playlist of a search, as yt-dlp gives it."""
    with open_ytdlp(search_options(request), Ears()) as ytdlp:
        found = ytdlp.extract_info(f"ytsearch{request.last}:{request.text}", download=False)
        return {"playlist": ytdlp.sanitize_info(found)}


def download(request: DownloadRequest) -> dict[str, Any]:
    """Download one video. Raises ItemError where it is not to be had or not wanted."""
    refusals: list[ItemError] = []
    tempfile.tempdir = request.folder
    media = Path(request.folder, MEDIA)
    media.mkdir()

    ears = Ears()

    def wanted(info: dict[str, Any], *, incomplete: bool = False) -> str | None:
        if ears.page_refusal(request.agents):
            return "its page keeps it from us"
        error = unwanted(info, request.max_duration, () if incomplete else request.licenses)
        refusals.extend([error] if error else [])
        return str(error) if error else None

    options = {**download_options(request), "match_filter": wanted}
    with open_ytdlp(options, ears) as ytdlp:
        info = ytdlp.extract_info(request.url, download=True) or {}
    if info.get("_type") in ("playlist", "multi_video"):
        entries = [entry for entry in info.get("entries") or [] if entry]
        info = entries[0] if entries else info
    if refused := ears.page_refusal(request.agents):
        return {"refused": refused}
    if refusals:
        raise refusals[0]
    if not any(media.iterdir()):
        raise failure_in(ears.last or "nothing was downloaded")
    told = {name: str(info[name]) for name in ("license", "uploader", "title") if info.get(name)}
    return {"told": told, "heads": ears.heads}


class Ears:
    """yt-dlp's logger; the heads of answers that bear an owner's wish; the beginnings of the pages that were read."""

    def __init__(self) -> None:
        self.last = ""
        self.heads: list[dict[str, Any]] = []
        self.pages: list[tuple[str, bytearray]] = []

    def debug(self, message: str) -> None:
        if "Aborting" in message:  # why a download was not begun: no exception tells it
            self.last = message

    info = warning = error = debug

    def hear(self, response: Any) -> None:
        fields = [[name, value] for name, value in response.headers.items() if name.lower() in HEADS]
        if fields and len(self.heads) < MOST:
            self.heads.append({"url": response.url, "status": response.status, "headers": fields})
        if "html" in (response.headers.get("Content-Type") or "").lower() and len(self.pages) < MOST:
            self._listen(response)

    def _listen(self, response: Any) -> None:
        """Keeps what is read of a page: as it is read, so that nothing more is asked of its server."""
        read, text = response.read, bytearray()
        self.pages.append((response.url, text))

        def heard(*amount: int | None) -> Any:
            data = read(*amount)
            text.extend(data[: MAX_CHARS - len(text)])
            return data

        response.read = heard

    def page_refusal(self, agents: Collection[str]) -> dict[str, str] | None:
        """What the metas of a page say against its use by one of `agents`, and where."""
        for url, text in self.pages:
            found = page_opt_out(text.decode(errors="replace"), agents)
            if found is not None:
                return {"where": url, **asdict(found)}
        return None


@contextmanager
def open_ytdlp(options: dict[str, Any], ears: Ears) -> Iterator[Any]:
    """A YoutubeDL whose answers are heard. What it raises in the block comes out as an ItemError."""
    from yt_dlp import YoutubeDL
    from yt_dlp.utils import YoutubeDLError

    class Heard(YoutubeDL):  # type: ignore[misc]
        def urlopen(self, req: Any) -> Any:
            response = super().urlopen(req)
            ears.hear(response)
            return response

    ytdlp = Heard({**options, "logger": ears})
    try:
        yield ytdlp
    except (YoutubeDLError, OSError) as error:
        raise failure_of(error) from error
    finally:
        ytdlp.close()


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
