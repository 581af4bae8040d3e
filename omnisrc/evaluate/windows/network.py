"""A recogniser on its device, asked for the windows of a feed in batches."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from omnisrc.data.augment import normalise
from omnisrc.evaluate.device import choose_device
from omnisrc.evaluate.evaluation import refuse_nan, sampling_of
from omnisrc.evaluate.protocols import Average, Sampling, averaged
from omnisrc.evaluate.settings import EvalSettings
from omnisrc.evaluate.windows.feed import Ended, Event, Window
from omnisrc.models import Recogniser, load_model
from omnisrc.models.choose_head import choose_head, head_meta, head_names
from omnisrc.models.compiling import compile_trunk
from omnisrc.models.modality import stacked
from omnisrc.models.precision import Precision, autocast, precision_of
from omnisrc.tasks.create import Task, create_task
from omnisrc.tasks.recognition import NAME as RECOGNITION

T = TypeVar("T")


@dataclass(frozen=True)
class Network:
    """A recogniser ready to be asked; `path` and `sha256` of its weights, `meta` what they say of themselves."""

    model: Recogniser
    device: torch.device
    precision: Precision
    path: Path
    sha256: str
    meta: dict[str, Any]

    @property
    def sampling(self) -> Sampling:
        return sampling_of(self.model, self.meta)

    def views(self, frames: NDArray[np.uint8]) -> torch.Tensor:
        """(B, V, T, S, S, c) uint8 -> (B, V, C, T', S, S) on the device, normalised; fields of flow stacked as the
        recogniser takes them (C = c and T' = T where it takes them one by one, as frames)."""
        clips = torch.from_numpy(np.ascontiguousarray(frames)).to(self.device).permute(0, 1, 5, 2, 3, 4)
        spec = self.model.input
        return stacked(normalise(clips, spec.mean, spec.std), spec)

    @property
    def task(self) -> Task:
        """What it was trained for, over numbered classes."""
        names = [str(number) for number in range(self.model.num_classes)]
        return create_task(str(self.meta.get("task") or RECOGNITION), names)

    @property
    def heads(self) -> tuple[str, ...]:
        """The names of its heads, or that of the only one: empty."""
        return head_names(self.model) or ("",)

    @torch.inference_mode()
    def scores(self, frames: NDArray[np.uint8], average: Average) -> dict[str, NDArray[np.float32]]:
        """(B, V, T, S, S, c) -> (B, classes) of each head: with `prob` the mean of the clips' probabilities, with
        `score` the logits of all views as one sample.

        Raises:
            UserError: the answers are no numbers.
        """
        views = self.views(frames)
        with autocast(self.precision, self.device):
            said = self.model(views if average == "score" else views.flatten(0, 1)[:, None])
        by_head = said if isinstance(said, dict) else {"": said}
        return {name: self._checked(logits.float(), frames.shape[:2], average) for name, logits in by_head.items()}

    def _checked(self, logits: torch.Tensor, shape: tuple[int, ...], average: Average) -> NDArray[np.float32]:
        said = logits if average == "score" else averaged(logits.view(*shape, -1), average, self.task.scores)
        found: NDArray[np.float32] = said.cpu().numpy()
        refuse_nan(self.path, found)
        return found

    @torch.inference_mode()
    def features(self, frames: NDArray[np.uint8], stage: str = "") -> NDArray[np.float32]:
        """(B, V, T, S, S, c) -> (B, D): the embedding that the head classifies, or the mean of a stage's map over time,
        space and views."""
        views = self.views(frames)
        with autocast(self.precision, self.device):
            if not stage:
                found = self.model.features(views).float()
            else:
                maps = self.model.trunk.maps(views.flatten(0, 1))[stage].float()
                found = maps.mean((2, 3, 4)).view(*frames.shape[:2], -1).mean(1)
        pooled: NDArray[np.float32] = found.cpu().numpy()
        return pooled


def open_network(path: Path, settings: EvalSettings, head: str = "") -> Network:
    """The recogniser in a file, on the device of the settings; of several heads with the one of that name alone.

    Raises:
        UserError: the file holds none, it has no such head, or there is no such device.
    """
    if settings.threads:
        torch.set_num_threads(settings.threads)
    device = choose_device(settings.device)
    model, report = load_model(path)
    meta = dict(report.meta)
    if head:
        choose_head(model, head, path)
        meta = head_meta(meta, head)
    model.to(device).to(memory_format=model.memory_format)
    if settings.compile:
        compile_trunk(model)
    return Network(model.eval(), device, precision_of(settings.amp, device), path, report.sha256, meta)


def asked(
    events: Iterable[Event], ask: Callable[[NDArray[np.uint8]], Sequence[T]], batch: int
) -> Iterator[tuple[Window, T] | Ended]:
    """The events in their order, each window with what `ask` says of it; windows of several inputs share a batch.

    Args:
        ask: frames (B, V, T, S, S, c) -> one answer a window.
    """
    waiting: list[Event] = []
    windows: list[Window] = []

    def answers() -> Iterator[tuple[Window, T] | Ended]:
        said = iter(ask(np.stack([window.views for window in windows])) if windows else ())
        for event in waiting:
            yield event if isinstance(event, Ended) else (event, next(said))
        waiting.clear()
        windows.clear()

    for event in events:
        if isinstance(event, Window):
            windows.append(event)
        waiting.append(event)
        if len(windows) == batch:
            yield from answers()
    yield from answers()
