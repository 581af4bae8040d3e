"""A video with what a recogniser says of it drawn on its frames."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from omnisrc.evaluate.prediction.caption import caption
from omnisrc.evaluate.prediction.predict import Answer, Predicted
from omnisrc.media.film import open_film
from omnisrc.media.guard import GuardPool
from omnisrc.media.source import Source

SHORT_SIDE, LEAST_SIDE, MOST_SIDE = 480, 160, 1920
FRAMES_AT_ONCE = 64
SHOWN = 3


class Shown(NamedTuple):
    """A frame (H, W, 3) and when it is shown, in seconds."""

    seconds: float
    frame: NDArray[np.uint8]


def annotate(
    source: Source,
    predicted: Predicted,
    path: Path,
    pool: GuardPool,
    *,
    report: Callable[[float, float], None] = lambda done, total: None,
) -> None:
    """Writes the video with the best classes of the window that each frame is in (of several heads with the best of
    each); a still becomes one frame of 2 s.

    Frames are decoded in the guard process, a few at a time, and brought down to a short side of 480 pixels. Where
    windows overlap, a frame shows the one whose middle is nearest.

    Raises:
        ItemError: the video cannot be decoded.
        WorldError: the file cannot be written.
    """
    with open_film(path, predicted.fps or 25.0) as film:
        if predicted.image:
            _, [picture] = pool.call("still", source, short_side=SHORT_SIDE)
            drawn = caption(readable(np.asarray(picture)), _lines(predicted.answers))
            film.add(drawn, 0.0)
            film.add(drawn, 2.0)
            return
        answers = predicted.answers
        windows = next(iter(answers.values())).windows  # every head's are the same
        middles = [(window.start + window.end) / 2 for window in windows]
        for shown in frames_of(source, predicted, pool):
            here = nearest(middles, shown.seconds)
            film.add(caption(readable(shown.frame), _lines(answers, here)), shown.seconds)
            report(shown.seconds, predicted.duration)


def frames_of(source: Source, predicted: Predicted, pool: GuardPool) -> Iterator[Shown]:
    """All frames of a video that was predicted, at most FRAMES_AT_ONCE of them in memory (at a steady rate)."""
    origin = pool.call("peek_video", source)[0]["origin"]
    step = FRAMES_AT_ONCE / max(predicted.fps, 0.01)
    at, end = 0.0, None
    while end is None and at < predicted.duration:
        meta, (seconds, frames) = pool.call(
            "part_frames", source, 10 * pool.timeout_s, start=at, stop=at + step, short_side=SHORT_SIDE, origin=origin
        )
        for time, frame in zip(np.asarray(seconds).tolist(), np.asarray(frames), strict=True):
            yield Shown(time, frame)
        at, end = at + step, meta["end"]


def readable(frame: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The picture, enlarged by a whole number where it is too small for words, and no longer than MOST_SIDE."""
    short, long = sorted(frame.shape[:2])
    times = max(-(-2 // short), min(-(-LEAST_SIDE // short), MOST_SIDE // long))  # a film's sides are even
    return frame.repeat(times, 0).repeat(times, 1) if times > 1 else frame


def nearest(middles: list[float], seconds: float) -> int:
    """The number of the ascending middle that is nearest."""
    after = bisect_right(middles, seconds)
    if after == 0 or after == len(middles):
        return max(0, after - 1)
    return after if middles[after] - seconds < seconds - middles[after - 1] else after - 1


def _lines(answers: Mapping[str, Answer], window: int | None = None) -> list[tuple[str, float | None]]:
    """What is written: of a window, or of the whole input, the best classes, or the best one of each head."""
    by_head = {head: said.labels if window is None else said.windows[window].labels for head, said in answers.items()}
    if len(by_head) == 1:
        [labels] = by_head.values()
        return [(label.name, label.score) for label in labels[:SHOWN]]
    return [(f"{head}: {labels[0].name}", labels[0].score) for head, labels in by_head.items()]
