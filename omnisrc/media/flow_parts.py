"""Flow of a part of a video, of those fields alone that somebody looks at: what lies in no cache is made on the way.

The fields of a window are numbered as those of a clip in a cache: field k lies between its frames k and k + 1.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from omnisrc.media.flow import (
    Format,
    Levels,
    brought_down,
    decode_levels,
    encode_levels,
    estimator,
    grey_of,
    quantise,
)
from omnisrc.media.parts import Part, chosen_frames, open_part
from omnisrc.media.phash import Rgb
from omnisrc.media.sampling import SampleFrames
from omnisrc.media.source import Source


@dataclass(frozen=True)
class PartFlow:
    """`fields` (n, H, W, 2) of all windows one after the other, each from the frame shown at `seconds` (n,) on;
    `pictures` (n, H, W, 3) are those frames, where they were asked for. `counts` says for each window how many fields
    it has, 0 for none. `end` as in `parts.Part`."""

    fields: Levels
    pictures: Rgb
    seconds: npt.NDArray[np.float64]
    counts: list[int]
    end: float | None


@dataclass(frozen=True)
class PartPairs:
    """The frames between which the fields lie, for a method that runs elsewhere: `frames` (m, H, W, 3), each once;
    field k is from `frames[firsts[k]]` to the next one. `seconds` (n,), `counts` and `end` as in PartFlow."""

    frames: Rgb
    firsts: npt.NDArray[np.int64]
    seconds: npt.NDArray[np.float64]
    counts: list[int]
    end: float | None


def part_flow(
    source: Source,
    windows: Sequence[tuple[float, float]],
    sampling: SampleFrames,
    *,
    method: str,
    bound: float,
    short_side: int,
    form: Format,
    quality: int,
    shown_side: int,
    pictures: bool = False,
    origin: int | None = None,
) -> PartFlow:
    """Of each window (start, end in seconds) the fields that `sampling` takes, quantised and compressed as
    `flow.flow_chunk` keeps them, then brought down to `shown_side`.

    Frames are compared at `short_side`, two in memory at a time. A window of fewer than two frames is left out.
    Errors: as `open_video`.
    """
    estimate = estimator(method)
    with open_part(source, windows[0][0], max(end for _, end in windows), origin) as part:
        indices, counts = chosen_frames(part.seconds, windows, sampling, ends=1)
        if not len(indices):
            return PartFlow(*nothing(), np.zeros(0), counts, part.end)
        needed, places = np.unique(indices, return_inverse=True)
        fields, seen = [], []
        for one, two in neighbours(part, needed, short_side):
            levels = quantise(estimate(grey_of(one), grey_of(two)), bound)
            fields.append(as_kept(levels, form, quality, shown_side))
            if pictures:
                seen.append(brought_down(one, shown_side))
        shown = np.stack(seen)[places] if pictures else nothing()[1]
        return PartFlow(np.stack(fields)[places], shown, part.seconds[indices], counts, part.end)


def part_pairs(
    source: Source,
    windows: Sequence[tuple[float, float]],
    sampling: SampleFrames,
    *,
    short_side: int,
    origin: int | None = None,
) -> PartPairs:
    """The frames of the fields that `part_flow` would give, at `short_side`. Errors: as `open_video`."""
    with open_part(source, windows[0][0], max(end for _, end in windows), origin) as part:
        indices, counts = chosen_frames(part.seconds, windows, sampling, ends=1)
        needed = np.union1d(indices, indices + 1)
        frames = part.frames(needed, short_side) if len(needed) else np.zeros((0, 1, 1, 3), np.uint8)
        return PartPairs(frames, np.searchsorted(needed, indices), part.seconds[indices], counts, part.end)


def neighbours(part: Part, firsts: npt.NDArray[np.int64], short_side: int) -> Iterator[tuple[Rgb, Rgb]]:
    """Each frame of these ascending numbers with the one after it, (H, W, 3) both."""
    assert part.video is not None
    after = set((firsts + 1 + part.first).tolist())
    before: Rgb | None = None
    for number, picture in part.video.each_frame(sorted({*(firsts + part.first).tolist(), *after}), short_side):
        picture = np.ascontiguousarray(picture)
        if number in after and before is not None:
            yield before, picture
        before = picture.copy()


def as_kept(levels: Levels, form: Format, quality: int, shown_side: int) -> Levels:
    """A field as a cache would give it: compressed, decoded, brought down."""
    return brought_down(decode_levels(*encode_levels(levels, form, quality)), shown_side)


def nothing() -> tuple[Levels, Rgb]:
    """No fields and no pictures."""
    return np.zeros((0, 1, 1, 2), np.uint8), np.zeros((0, 1, 1, 3), np.uint8)
