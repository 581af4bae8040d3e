"""Which rendition of a Commons file to fetch: near the size that is kept, at a width that the servers have ready.

Standard widths: https://www.mediawiki.org/wiki/Common_thumbnail_sizes. Others are answered with 429.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

STEPS = (20, 40, 60, 120, 250, 330, 500, 960, 1280, 1920, 3840)
LANDSCAPE = 1.5
NEAR = 0.85
"""A rendition with this share of the wanted size is near enough: the next step costs two to four times the bytes."""


def step_from(width: float) -> int | None:
    """The smallest standard width of at least `width`, None where there is none."""
    return next((step for step in STEPS if step >= width), None)


def asked_width(short_side: int) -> int:
    """The width to ask for when the shapes are not known yet: that of a 3:2 landscape."""
    return step_from(short_side * LANDSCAPE * NEAR) or STEPS[-1]


def thumbnail(info: Mapping[str, Any], short_side: int) -> str:
    """The URL of the thumbnail whose short side is near `short_side`, or of the original where that is no larger.

    `info` is an imageinfo object that was asked for with `iiurlwidth`. A wider step is made from the thumbnail URL
    that the API gave, whose last part begins with `WIDTHpx-`.
    """
    url, offered = str(info["url"]), str(info.get("thumburl") or "")
    width, height = info.get("width") or 0, info.get("height") or 0
    if not offered or not width or not height:
        return offered or url
    wanted = short_side * max(1.0, width / height)
    step = step_from(NEAR * wanted)
    if step is None or step >= width:
        return url
    given = int(info.get("thumbwidth") or 0)
    marker = f"/{given}px-"
    if given != step and marker in offered:
        head, _, tail = offered.rpartition(marker)
        return f"{head}/{step}px-{tail}"
    return offered if given < width else url


def derivative(versions: Iterable[Mapping[str, Any]], short_side: int) -> str | None:
    """The URL of the smallest transcoded version whose short side is at least `short_side`; None without one.

    `versions` are the `derivatives` of a videoinfo object: `src`, `type`, `width`, `height`, `transcodekey` (none for
    the original, which comes among them).
    """
    fitting = [
        version
        for version in versions
        if version.get("src")
        and version.get("transcodekey")
        and str(version.get("type", "")).startswith("video/")
        and min(version.get("width") or 0, version.get("height") or 0) >= short_side
    ]
    if not fitting:
        return None
    best = min(fitting, key=lambda v: ((v.get("width") or 0) * (v.get("height") or 0), v.get("bandwidth") or 0))
    return str(best["src"])
