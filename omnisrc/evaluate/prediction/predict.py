"""What a recogniser says of videos and images: of each as a whole, and of its windows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from numpy.typing import NDArray

from omnisrc.errors import ErrorClass, ItemError
from omnisrc.evaluate.windows.feed import Ended, Feed, Window
from omnisrc.evaluate.windows.inputs import Found, Input, Unusable
from omnisrc.evaluate.windows.network import Network, asked
from omnisrc.evaluate.windows.plan import Windows
from omnisrc.evaluate.windows.reading import PartReader
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
class Answer:
    """What one head said: of the whole input, and of its windows (none of a still)."""

    labels: tuple[Label, ...] = ()
    windows: tuple[WindowLabels, ...] = ()


@dataclass(frozen=True)
class Predicted:
    """What was said of one input: by the only head in `labels` and `windows`, by several in `heads`; or the sentence
    why nothing was.

    `notes` are sentences that the user should know. `width`, `height`, `fps` are the video's.
    """

    name: str
    labels: tuple[Label, ...] = ()
    windows: tuple[WindowLabels, ...] = ()
    heads: Mapping[str, Answer] = field(default_factory=dict)
    duration: float = 0.0
    fps: float = 0.0
    width: int = 0
    height: int = 0
    image: bool = False
    error: str = ""
    notes: tuple[str, ...] = ()

    @property
    def answers(self) -> Mapping[str, Answer]:
        """By the name of the head; the only one has none."""
        return self.heads or {"": Answer(self.labels, self.windows)}


@dataclass
class _Sum:
    """What was said of the windows of an input so far: the sum of their scores (classes,), and the labels of each."""

    scores: dict[str, NDArray[np.float64]] = field(default_factory=dict)
    windows: dict[str, list[WindowLabels]] = field(default_factory=dict)
    count: int = 0
    shortest: int = 0


def predict(
    network: Network,
    names: Mapping[str, Sequence[str]],
    inputs: Iterable[Found],
    plan: Windows,
    pool: GuardPool,
    *,
    top: int = 5,
    batch: int = 0,
    report: Callable[[str, float, float], None] = lambda name, done, total: None,
    reader: PartReader | None = None,
) -> Iterator[tuple[Found, Predicted]]:
    """One input after another with its result, in order; windows of several inputs share a forward pass. The bytes of
    an input are there until the next result is asked for.

    A whole video's scores are the mean over its windows: of probabilities in 3-D, of logits in 2-D.

    Args:
        names: of the classes of each head (of the only one: "").
        top: how many classes are told.
        batch: windows in one forward pass; 0: as fits the device.
        report: told of (input, seconds decoded, seconds in all or 0).
        reader: what the network is shown; by default frames.
    """
    threads = ThreadPoolExecutor(pool.size, "decode")
    size = batch or WINDOWS_AT_ONCE.get(network.device.type, 8)
    done = _Sum()
    try:
        feed = Feed(inputs, plan, pool, threads, pool.size + 1, report, reader)
        for said in asked(feed, lambda frames: by_window(network.scores(frames, plan.average)), size):
            if not isinstance(said, Ended):
                _add(done, *said, names, plan, top, network.task)
                continue
            yield said.input, _result(said, done, names, plan, top, network)
            done = _Sum()
            if isinstance(said.input, Input):
                said.input.release()
    finally:
        threads.shutdown(wait=True, cancel_futures=True)


def by_window(scores: Mapping[str, NDArray[np.float32]]) -> list[dict[str, NDArray[np.float32]]]:
    """Head -> (B, classes) as B times head -> (classes,)."""
    return [dict(zip(scores, each, strict=True)) for each in zip(*scores.values(), strict=True)]


def _add(
    done: _Sum, window: Window, scores: Mapping[str, NDArray[np.float32]], names: Mapping[str, Sequence[str]],
    plan: Windows, top: int, task: Task,
) -> None:  # fmt: skip
    done.shortest = done.shortest if done.count else window.frames
    done.count += 1
    for head, own in scores.items():
        done.scores[head] = done.scores.get(head, np.zeros(len(own))) + own
        labels = best(probabilities(own, plan, task), names[head], top)
        done.windows.setdefault(head, []).append(WindowLabels(window.start, window.end, labels))


def _result(
    ended: Ended, done: _Sum, names: Mapping[str, Sequence[str]], plan: Windows, top: int, network: Network
) -> Predicted:
    name = ended.input.name
    if not done.count:
        return Predicted(name, error=sentence(ended))
    answers = {
        head: Answer(
            best(probabilities(total / done.count, plan, network.task), names[head], top),
            () if ended.image else tuple(done.windows[head]),
        )
        for head, total in done.scores.items()
    }
    alone = answers.pop("", Answer())
    result = Predicted(
        name, alone.labels, alone.windows, answers, width=ended.width, height=ended.height, image=ended.image
    )
    if ended.image:
        return result
    notes = _notes(ended, done, plan, network.model.input.modality)
    return replace(result, duration=ended.duration, fps=ended.fps, notes=notes)


def _notes(ended: Ended, done: _Sum, plan: Windows, modality: str) -> tuple[str, ...]:
    name, notes = ended.input.name, []
    if ended.error is not None:
        notes.append(f"{name} cannot be read beyond {ended.duration:.1f} s ({ended.error}).")
    elif ended.breaks_off:
        notes.append(f"{name} breaks off after {ended.duration:.1f} of {ended.announced:.1f} s.")
    if done.count == 1 and done.shortest < plan.span:
        one, many = ("field of flow", "fields of flow") if modality == "flow" else ("frame", "frames")
        count = f"one {one}" if done.shortest == 1 else f"{done.shortest} {many}"
        notes.append(f"{name} has {count} and a clip spans {plan.span}: what is missing was filled by repeating them.")
    return tuple(notes)


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


def best(probabilities: NDArray[np.float64], names: Sequence[str], top: int) -> tuple[Label, ...]:
    """The most probable classes, the best first; of equal ones the first in the list."""
    order = np.argsort(-probabilities, kind="stable")[:top]
    return tuple(Label(int(index), names[index], float(probabilities[index])) for index in order)
