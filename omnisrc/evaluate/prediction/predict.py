"""What a recogniser says of videos and images: of each as a whole, and of its windows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from omnisrc.errors import ErrorClass, ItemError
from omnisrc.evaluate.windows.feed import Ended, Feed, Window
from omnisrc.evaluate.windows.inputs import Found, Input, Unusable
from omnisrc.evaluate.windows.network import Network, asked
from omnisrc.evaluate.windows.plan import Windows
from omnisrc.media.guard import GuardPool
from omnisrc.tasks.create import Task

WINDOWS_AT_ONCE = {"cuda": 32, "cpu": 8}

PLAIN = {
    ErrorClass.EMPTY: "the file is empty",
    ErrorClass.NOT_MEDIA: "it is neither a video nor an image that is known here",
    ErrorClass.DECODE: "it cannot be decoded",
    ErrorClass.BOMB: "it asks for more memory or time than an input may",
    ErrorClass.STORAGE: "it cannot be read",
    ErrorClass.TOO_LARGE: "it is larger than a download may be",
    ErrorClass.ROBOTS: "its owner forbids it to robots",
    ErrorClass.OPT_OUT: "its owner keeps it from models",
    ErrorClass.REFUSED_ADDRESS: "its address is refused",
}


@dataclass(frozen=True)
class Label:
    """A class by its number and name, and its probability."""

    index: int
    name: str
    score: float


@dataclass(frozen=True)
class WindowLabels:
    """The best classes of a window, from `start` to `end` seconds."""

    start: float
    end: float
    labels: tuple[Label, ...]


@dataclass(frozen=True)
class Predicted:
    """What was said of one input: of it all, and of its windows (none of a still); or the sentence why nothing was.

    `notes` are sentences that the user should know. `width`, `height`, `fps` are the video's.
    """

    name: str
    labels: tuple[Label, ...] = ()
    windows: tuple[WindowLabels, ...] = ()
    duration: float = 0.0
    fps: float = 0.0
    width: int = 0
    height: int = 0
    image: bool = False
    error: str = ""
    notes: tuple[str, ...] = ()


def predict(
    network: Network,
    names: Sequence[str],
    inputs: Iterable[Found],
    plan: Windows,
    pool: GuardPool,
    *,
    top: int = 5,
    batch: int = 0,
    report: Callable[[str, float, float], None] = lambda name, done, total: None,
) -> Iterator[tuple[Found, Predicted]]:
    """One input after another with its result, in order; windows of several inputs share a forward pass. The bytes of
    an input are there until the next result is asked for.

    A whole video's scores are the mean over its windows: of probabilities in 3-D, of logits in 2-D.

    Args:
        names: of the classes.
        top: how many classes are told.
        batch: windows in one forward pass; 0: as fits the device.
        report: told of (input, seconds decoded, seconds in all or 0).
    """
    threads = ThreadPoolExecutor(pool.size, "decode")
    task = network.task
    size = batch or WINDOWS_AT_ONCE.get(network.device.type, 8)
    total: NDArray[np.float64] | None = None
    windows: list[WindowLabels] = []
    shortest = 0
    try:
        feed = Feed(inputs, plan, pool, threads, pool.size + 1, report)
        for said in asked(feed, lambda frames: list(network.scores(frames, plan.average)), size):
            if not isinstance(said, Ended):
                window, scores = said
                total = scores.astype(np.float64) if total is None else total + scores
                shortest = window.frames if not windows else shortest
                windows.append(_labels(window, probabilities(scores, plan, task), names, top))
                continue
            yield said.input, _result(said, total, windows, shortest, names, plan, task, top)
            total, windows = None, []
            if isinstance(said.input, Input):
                said.input.release()
    finally:
        threads.shutdown(wait=True, cancel_futures=True)


def _result(
    ended: Ended,
    total: NDArray[np.float64] | None,
    windows: list[WindowLabels],
    frames: int,
    names: Sequence[str],
    plan: Windows,
    task: Task,
    top: int,
) -> Predicted:
    name = ended.input.name
    if total is None:
        return Predicted(name, error=sentence(ended))
    whole = best(probabilities(total / len(windows), plan, task), names, top)
    if ended.image:
        return Predicted(name, whole, image=True, width=ended.width, height=ended.height)
    notes = []
    if ended.error is not None:
        notes.append(f"{name} cannot be read beyond {ended.duration:.1f} s ({ended.error}).")
    elif ended.breaks_off:
        notes.append(f"{name} breaks off after {ended.duration:.1f} of {ended.announced:.1f} s.")
    if len(windows) == 1 and frames < plan.span:
        count = "one frame" if frames == 1 else f"{frames} frames"
        notes.append(f"{name} has {count} and a clip spans {plan.span}: what is missing was filled by repeating them.")
    return Predicted(
        name, whole, tuple(windows), ended.duration, ended.fps, ended.width, ended.height, notes=tuple(notes)
    )  # fmt: skip


def sentence(ended: Ended) -> str:
    """Why an input gave nothing, in one sentence."""
    error = ended.error or ItemError(ErrorClass.DECODE, "no window")
    plain = PLAIN.get(error.error)
    reason = f"{plain} ({error})" if plain else f"it could not be {_failed(ended)} ({error})"
    return f"{ended.input.name} gives nothing: {reason}."


def _failed(ended: Ended) -> str:
    return "fetched" if isinstance(ended.input, Unusable) else "seen"


def probabilities(scores: NDArray[np.floating], plan: Windows, task: Task) -> NDArray[np.float64]:
    """Of one sample's scores (classes,): they are logits where views are averaged before they become probabilities."""
    values = scores.astype(np.float64)
    if plan.average == "prob":
        return values
    likely: NDArray[np.float64] = task.scores(torch.from_numpy(values)).numpy()
    return likely


def _labels(window: Window, probabilities: NDArray[np.float64], names: Sequence[str], top: int) -> WindowLabels:
    return WindowLabels(window.start, window.end, best(probabilities, names, top))


def best(probabilities: NDArray[np.float64], names: Sequence[str], top: int) -> tuple[Label, ...]:
    """The most probable classes, the best first; of equal ones the first in the list."""
    order = np.argsort(-probabilities, kind="stable")[:top]
    return tuple(Label(int(index), names[index], float(probabilities[index])) for index in order)
