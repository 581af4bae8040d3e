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
from omnisrc.errors import UserError
from omnisrc.evaluate.device import choose_device
from omnisrc.evaluate.evaluation import refuse_nan, sampling_of
from omnisrc.evaluate.protocols import Average, Sampling, averaged
from omnisrc.evaluate.settings import EvalSettings
from omnisrc.evaluate.windows.feed import Ended, Event, Window
from omnisrc.models import Recogniser, load_model
from omnisrc.models.compiling import compile_trunk
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
        """(B, V, T, S, S, 3) uint8 -> (B, V, C, T, S, S) on the device, normalised."""
        clips = torch.from_numpy(np.ascontiguousarray(frames)).to(self.device).permute(0, 1, 5, 2, 3, 4)
        return normalise(clips, self.model.input.mean, self.model.input.std)

    @property
    def task(self) -> Task:
        """What it was trained for, over numbered classes."""
        names = [str(number) for number in range(self.model.num_classes)]
        return create_task(str(self.meta.get("task") or RECOGNITION), names)

    @torch.inference_mode()
    def scores(self, frames: NDArray[np.uint8], average: Average) -> NDArray[np.float32]:
        """(B, V, T, S, S, 3) -> (B, classes): with `prob` the mean of the clips' probabilities, with `score` the logits
        of all views as one sample.

        Raises:
            UserError: the answers are no numbers.
        """
        views = self.views(frames)
        with autocast(self.precision, self.device):
            if average == "score":
                said = self._logits(views)
            else:
                said = self._logits(views.flatten(0, 1)[:, None])
                said = averaged(said.view(*frames.shape[:2], -1), average, self.task.scores)
        found: NDArray[np.float32] = said.cpu().numpy()
        refuse_nan(self.path, found)
        return found

    @torch.inference_mode()
    def features(self, frames: NDArray[np.uint8], stage: str = "") -> NDArray[np.float32]:
        """(B, V, T, S, S, 3) -> (B, D): the embedding that the head classifies, or the mean of a stage's map over time,
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

    def _logits(self, views: torch.Tensor) -> torch.Tensor:
        logits = self.model(views)
        if not isinstance(logits, torch.Tensor):
            heads = ", ".join(logits)
            raise UserError(f"The recogniser {self.path} has several heads ({heads}); use a file with one of them.")
        return logits.float()


def open_network(path: Path, settings: EvalSettings) -> Network:
    """The recogniser in a file, on the device of the settings.

    Raises:
        UserError: the file holds none, or one of optical flow, or there is no such device.
    """
    if settings.threads:
        torch.set_num_threads(settings.threads)
    device = choose_device(settings.device)
    model, report = load_model(path)
    if model.input.modality == "flow":
        raise UserError(
            f"The recogniser {path} sees optical flow, and videos are shown as frames here; score it on the target with"
            " `omnisrc eval`, or give one of RGB."
        )
    model.to(device).to(memory_format=model.memory_format)
    if settings.compile:
        compile_trunk(model)
    return Network(model.eval(), device, precision_of(settings.amp, device), path, report.sha256, dict(report.meta))


def asked(
    events: Iterable[Event], ask: Callable[[NDArray[np.uint8]], Sequence[T]], batch: int
) -> Iterator[tuple[Window, T] | Ended]:
    """The events in their order, each window with what `ask` says of it; windows of several inputs share a batch.

    Args:
        ask: frames (B, V, T, S, S, 3) -> one answer a window.
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
