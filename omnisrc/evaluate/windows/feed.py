"""The windows of many inputs in order, decoded ahead in guard processes; a long video passes through part by part."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property, partial

import numpy as np

from omnisrc.data.transforms import Frames, centre_crop, crop_resize
from omnisrc.errors import ErrorClass, ItemError
from omnisrc.evaluate.windows.ahead import ahead
from omnisrc.evaluate.windows.inputs import Found, Input, Unusable
from omnisrc.evaluate.windows.plan import Windows
from omnisrc.evaluate.windows.reading import PartReader, RgbReader
from omnisrc.media.guard import GuardPool
from omnisrc.media.parts import Peek
from omnisrc.media.sniff import sniff
from omnisrc.media.source import Source, read_head

PART_S = 30.0
"""Windows that begin within so many seconds are decoded together."""
FAR_S = 2 * PART_S
"""Where keyframes lie farther apart, the parts of a video are read one after another by one process, which decodes it
once."""
PART_BYTES = 64 << 20
"""And no more of them than this much of pixels, as they are shown."""
EMPTY_PARTS = 100
"""So many parts without a frame one after another, beyond what its header promised, and a video is given up."""


@dataclass(frozen=True)
class Window:
    """A window as the recogniser is shown it: `views` (V, T, S, S, C) uint8, of the frames (or fields of flow) between
    `start` and `end` (seconds), of which the video has `frames`."""

    name: str
    start: float
    end: float
    frames: int
    views: Frames


@dataclass(frozen=True)
class Ended:
    """All windows of an input are through: what it was, or the error that ended it.

    `duration` is in seconds, `announced` what the file's header promised (0: nothing); `image`: a still.
    """

    input: Found
    error: ItemError | None = None
    windows: int = 0
    duration: float = 0.0
    announced: float = 0.0
    fps: float = 0.0
    width: int = 0
    height: int = 0
    plan: Windows | None = None
    image: bool = False

    @property
    def breaks_off(self) -> bool:
        """Whether the file ends before its header said that it would."""
        whole = isinstance(self.input, Input) and self.input.end == math.inf
        return whole and self.duration < min(0.9 * self.announced, self.announced - 0.25)


Event = Window | Ended


@dataclass(frozen=True)
class _Part:
    windows: list[Window]
    end: float | None  # of the whole video, where it ends before the next part


@dataclass(frozen=True)
class _Opened:
    plan: Windows
    peek: Peek | None  # None: a still
    part: _Part


@dataclass(frozen=True)
class Feed:
    """Iterates over the events of `inputs`: the windows of each, then its end. `report` hears how many seconds of a
    video are decoded, of how many (0: unknown). Without a `reader` windows are shown as frames."""

    inputs: Iterable[Found]
    plan: Windows
    pool: GuardPool
    threads: ThreadPoolExecutor
    depth: int
    report: Callable[[str, float, float], None] = lambda name, done, total: None
    reader: PartReader | None = None

    @cached_property
    def read(self) -> PartReader:
        return self.reader or RgbReader(self.pool)

    def __iter__(self) -> Iterator[Event]:
        def begin(each: Found) -> tuple[Found, _Opened | ItemError]:
            if isinstance(each, Unusable):
                return each, each.error
            try:
                return each, self._open(each)
            except ItemError as error:
                return each, error

        for each, opened in ahead(self.threads, (partial(begin, found) for found in self.inputs), self.depth):
            if isinstance(each, Unusable) or isinstance(opened, ItemError):
                yield Ended(each, opened if isinstance(opened, ItemError) else None)
            else:
                yield from self._windows(each, opened)

    def _windows(self, each: Input, opened: _Opened) -> Iterator[Event]:
        if opened.peek is None:
            yield from opened.part.windows
            height, width = opened.part.windows[0].views.shape[2:4]
            yield Ended(each, windows=1, plan=opened.plan, image=True, width=width, height=height)
            return
        peek, count, end, reached, error = opened.peek, 0, None, 0.0, None
        total = min(peek.duration, each.end) - each.start
        try:
            for part in self._parts(each, opened):
                for window in part.windows:
                    count, reached = count + 1, window.end
                    self.report(each.name, window.end - each.start, total)
                    yield window
                end = part.end
        except ItemError as failure:
            error = failure
        if error is None and not count:
            error = ItemError(ErrorClass.DECODE, f"no {self.read.unit} between {each.start:g} and {each.end:g} s")
        known = min(each.end, end if end is not None else reached) - each.start
        yield Ended(each, error, count, known, peek.duration, peek.fps, peek.width, peek.height, opened.plan)

    def _parts(self, each: Input, opened: _Opened) -> Iterator[_Part]:
        """Parts are decoded ahead as far as the header says that the video goes, and one by one beyond it."""
        assert opened.peek is not None
        plan, size = opened.plan, part_size(opened.plan)
        part = opened.part
        yield part
        if part.end is not None:
            return
        likely = math.ceil(max(0.0, min(opened.peek.duration, each.end) - each.start) / plan.stride)
        numbers = range(size, max(size, likely), size)
        calls = (partial(self._part, each, opened.peek, plan, number, size) for number in numbers)
        for part in ahead(self.threads, calls, 1 if opened.peek.group_s > FAR_S else self.depth):
            yield part
            if part.end is not None:
                return
        number, empty = size + len(numbers) * size, 0
        while part.end is None:
            part = self._part(each, opened.peek, plan, number, size)
            yield part
            number, empty = number + size, 0 if part.windows else empty + 1
            if empty == EMPTY_PARTS:
                raise ItemError(ErrorClass.BOMB, f"no frame for {empty * size * plan.stride:.0f} s")

    def _open(self, each: Input) -> _Opened:
        kind = sniff(read_head(each.source)) or ""
        if kind.startswith("image/"):
            window = Window(each.name, 0.0, 0.0, 1, self._still(each.source))
            return _Opened(self.plan, None, _Part([window], 0.0))
        peek = Peek(**self.pool.call("peek_video", each.source)[0])
        plan = self.plan.at_rate(peek.fps)
        return _Opened(plan, peek, self._part(each, peek, plan, 0, part_size(plan)))

    def _part(self, each: Input, peek: Peek, plan: Windows, first: int, size: int) -> _Part:
        asked = [plan.window(number, each.start, each.end) for number in range(first, first + size)]
        windows = [window for window in asked if window is not None]
        if not windows:
            return _Part([], each.end)
        shown = self.read(each.source, plan, windows, peek.origin, in_order=peek.group_s > FAR_S)
        end = shown.end
        taken = plan.sampler.num_clips * plan.sampler.clip_len
        made, at = [], 0
        for number, (window, count) in enumerate(zip(windows, shown.counts, strict=True), first):
            if not count:
                continue
            views, at = shown.views[at : at + taken], at + taken
            if end is not None:
                inside = plan.window(number, each.start, min(end, each.end))
                if inside is None:
                    continue
                window = inside
            made.append(Window(each.name, *window, count, in_views(views, plan)))
        return _Part(made, min(each.end, end) if end is not None else each.end if len(windows) < size else None)

    def _still(self, source: Source) -> Frames:
        """A still, as often as a window has views and frames."""
        view = middle(self.read.still(source, self.plan), self.plan)
        return np.broadcast_to(view, (self.plan.views, self.plan.view_len, *view.shape[1:]))


def part_size(plan: Windows) -> int:
    """How many windows are decoded together."""
    taken = plan.sampler.num_clips * plan.sampler.clip_len * plan.short_side**2 * 2 * 3  # of a picture twice as wide
    return max(1, min(int(PART_S / plan.stride), PART_BYTES // taken))


def in_views(frames: Frames, plan: Windows) -> Frames:
    """The frames of a window (V*T, H, W, C) -> its views (V, T, S, S, C)."""
    cut = middle(frames, plan)
    return cut.reshape(plan.views, plan.view_len, *cut.shape[1:])


def middle(frames: Frames, plan: Windows) -> Frames:
    """(n, H, W, C) -> (n, S, S, C): the middle square of each."""
    box = centre_crop(frames.shape[2], frames.shape[1], min(1.0, plan.crop_size / plan.short_side))
    out = np.empty((len(frames), plan.crop_size, plan.crop_size, frames.shape[3]), np.uint8)
    crop_resize(frames, box, out)
    return out
