"""How values are written on the page. What comes from the web is hostile: control characters go, lengths are capped."""

from __future__ import annotations

import math
import re
import unicodedata
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from omnisrc.web.addresses import is_public, literal_address

MAX_TEXT = 160
DASH = "–"
_INNER_NAMES = {"localhost", "local", "internal", "intranet", "lan", "home", "corp"}
_ODD_URL = re.compile(r"[\s\x00-\x20\x7f\\<>\"'`{}|^]")


def plain(value: Any, limit: int = MAX_TEXT) -> str:
    """Text on one line, without control, bidirectional-override and unassigned characters, cut to `limit` characters.

    It is not escaped: the template does that for every value.
    """
    text = "" if value is None else str(value)[: 4 * limit]
    kept = "".join(c if unicodedata.category(c)[0] != "C" else " " for c in text)
    line = " ".join(kept.split())
    return line if len(line) <= limit else line[: limit - 1].rstrip() + "…"


def safe_href(url: Any) -> str | None:
    """The URL if it is one that a page may link to: http or https, no user name, nothing odd in it, and a host that
    does not lie in the reader's own network (a click would reach his router, not the web)."""
    if not isinstance(url, str) or len(url) > 2000 or _ODD_URL.search(url):
        return None
    try:
        parts = urlsplit(url)
        host, user = parts.hostname, parts.username
        _ = parts.port
        abroad = host is not None and _is_public_host(host)
    except ValueError:
        return None
    return url if parts.scheme.lower() in ("http", "https") and abroad and user is None else None


def _is_public_host(host: str) -> bool:
    """Whether a host is a public address, or a name that may have one. ValueError: it is neither."""
    name = unicodedata.normalize("NFKC", host).lower().removesuffix(".")  # as browsers read it
    address = literal_address(name)
    if address is not None:
        return is_public(address)
    return "%" not in name and "." in name and name.rpartition(".")[2] not in _INNER_NAMES


def number(value: Any) -> str:
    """`1,234,567`; a dash for nothing."""
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return DASH
    return f"{value:,}" if isinstance(value, int) else f"{value:,.4g}"


def percent(value: float | None, digits: int = 1) -> str:
    """A share as `12.3 %`; a dash for nothing."""
    if value is None or not math.isfinite(value):
        return DASH
    return f"{100 * value:.{digits}f} %"


def points(value: float | None) -> str:
    """A difference of two shares in percentage points, with its sign."""
    if value is None or not math.isfinite(value):
        return DASH
    return f"{100 * value:+.1f}".replace("-", "−")


def share(part: int, whole: int) -> str:
    """`part` of `whole` in percent; a dash where there is no whole."""
    return percent(part / whole) if whole else DASH


def size(value: float | None) -> str:
    """Bytes as kB, MB or GB (powers of 1000)."""
    if value is None:
        return DASH
    for unit in ("B", "kB", "MB", "GB"):
        if value < 1000:
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.1f} TB"


def moment(seconds: float | None) -> str:
    """Seconds since 1970 as UTC."""
    if seconds is None:
        return DASH
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M UTC")


def lasted(seconds: float | None) -> str:
    """A duration as `3 h 12 min`, `4 min 5 s` or `12.3 s`."""
    if seconds is None or not math.isfinite(seconds):
        return DASH
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"


FILTERS = {
    "plain": plain,
    "href": safe_href,
    "number": number,
    "percent": percent,
    "points": points,
    "size": size,
    "moment": moment,
    "lasted": lasted,
}
