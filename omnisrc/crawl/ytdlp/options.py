"""The options of yt-dlp: nothing from the user's home, nothing but one video, no way out but the proxy.

Written against the parameters that `yt_dlp.YoutubeDL` documents; the embedded library reads no configuration files.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from omnisrc.crawl.ytdlp.requests import MEDIA, DownloadRequest, Reach, SearchRequest
from omnisrc.errors import ErrorClass, ItemError

RUNTIMES = {"deno": "deno", "node": "node", "bun": "bun", "quickjs": "qjs"}
"""The JavaScript runtimes that yt-dlp knows, by its names, and their programs."""

PROTOCOLS = "[protocol~='^(https?|m3u8_native|http_dash_segments)$']"
"""What yt-dlp fetches by itself: nothing that another program would have to be started for."""

LIVE = ("is_live", "is_upcoming", "post_live")


def common_options(reach: Reach) -> dict[str, Any]:
    """What holds for every call."""
    return {
        "proxy": reach.proxy,
        "socket_timeout": reach.idle_s,
        "sleep_interval_requests": reach.pause_s,
        "cachedir": False,
        "cookiefile": None,
        "usenetrc": False,
        "enable_file_urls": False,
        "ffmpeg_location": "/nonexistent",
        "js_runtimes": {name: {} for name in RUNTIMES},
        "remote_components": (),
        "quiet": True,
        "no_warnings": True,
        "noprogress": True,
        "color": "never",
        "extractor_retries": 1,
    }


def search_options(request: SearchRequest) -> dict[str, Any]:
    """Ids and what the list itself tells, without a request for each video."""
    places = f"{request.first}:{request.last}"
    return {**common_options(request.reach), "extract_flat": "in_playlist", "playlist_items": places}


def download_options(request: DownloadRequest) -> dict[str, Any]:
    """One video of at most `max_height`, by itself if there is such a format, else with its sound."""
    media = str(Path(request.folder, MEDIA))
    wanted = f"[height<=?{request.max_height}]{PROTOCOLS}"
    return {
        **common_options(request.reach),
        "format": f"bv{wanted}/b{wanted}/bv*{wanted}/wv*{PROTOCOLS}",
        "noplaylist": True,
        "playlist_items": "1",
        "max_filesize": request.max_bytes,
        "retries": 1,
        "fragment_retries": 1,
        "file_access_retries": 0,
        "paths": {"home": media, "temp": media},
        "outtmpl": {"default": "media.%(ext)s"},
        "nopart": True,
        "continuedl": False,
        "overwrites": True,
        "updatetime": False,
        "fixup": "never",
        "hls_prefer_native": True,
        "postprocessors": [],
        "writesubtitles": False,
        "writethumbnail": False,
    }


def unwanted(info: Mapping[str, Any], max_duration: float, licenses: Sequence[str]) -> ItemError | None:
    """Why a video is not wanted, by what its page tells; None where it tells nothing against it."""
    if info.get("is_live") or info.get("live_status") in LIVE:
        return ItemError(ErrorClass.NOT_MEDIA, "a live broadcast")
    if info.get("playlist_id") and info.get("playlist_count") != 1:
        return ItemError(ErrorClass.NOT_MEDIA, "a list of videos, not one")
    duration = info.get("duration")
    if isinstance(duration, int | float) and duration > max_duration > 0:
        return ItemError(ErrorClass.TOO_LARGE, f"plays {duration:.0f} s, the limit is {max_duration:.0f}")
    told = str(info.get("license") or "")
    if licenses and not any(word.lower() in told.lower() for word in licenses):
        return ItemError(ErrorClass.LICENCE, f"licence {told!r}" if told else "no licence is told")
    return None


def clean_environment(folder: Path) -> dict[str, str]:
    """Where programs and libraries look for a home, and what turns plugins off."""
    return {"HOME": str(folder), "XDG_CONFIG_HOME": str(folder), "XDG_CACHE_HOME": str(folder), "YTDLP_NO_PLUGINS": "1"}
