"""The forward pass of a teacher over batches of frames."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from omnisrc.data.augment import normalise
from omnisrc.errors import UserError
from omnisrc.filter.feed import Frames, Shown
from omnisrc.filter.settings import FilterSettings
from omnisrc.filter.teachers import TeacherInput
from omnisrc.models import Recogniser
from omnisrc.models.compiling import compile_trunk
from omnisrc.models.precision import Precision, autocast

BATCH = {"cuda": (128, 16), "cpu": (16, 4)}  # stills, clips


@dataclass(frozen=True)
class Said:
    """What a teacher said of N samples: logits (N, classes) and embedding (N, D), float32.

    `exclusive` is as a head's: false where each logit is a sigmoid's, so that none of the classes may be true.
    """

    samples: NDArray[np.int64]
    logits: NDArray[np.float32]
    embedding: NDArray[np.float32]
    exclusive: bool = True


class Judge:
    """A teacher on its device, ready to judge."""

    def __init__(
        self, model: Recogniser, shown_as: TeacherInput, settings: FilterSettings, precision: Precision
    ) -> None:
        self.device = pick_device(settings.device)
        self.settings, self.shown_as, self.precision = settings, shown_as, precision
        self.model = model.to(self.device).to(memory_format=model.memory_format).eval()
        if settings.compile:
            compile_trunk(self.model)

    def batch_size(self, samples: Sequence[Shown]) -> int:
        stills, clips = BATCH.get(self.device.type, BATCH["cpu"])
        return self.settings.batch_size or (clips if any(sample.clip for sample in samples) else stills)

    @torch.inference_mode()
    def __call__(self, batches: Iterable[tuple[NDArray[np.int64], Frames]]) -> Said:
        """Judges batches of (ids (B,), frames (B, V, T, S, S, 3) uint8).

        Results stay on the device until the end, so that it never waits for us.

        Raises:
            UserError: the device's memory is too small, or the teacher's answers are no numbers.
        """
        ids, logits, embeddings = [np.zeros(0, np.int64)], [], []
        for samples, frames in batches:
            embedding, answers = self._answer(torch.from_numpy(frames))
            ids.append(samples)
            logits.append(answers.float())
            embeddings.append(embedding.float())
        exclusive = self.model.head.exclusive
        if not logits:
            none = np.zeros((0, self.model.num_classes), np.float32), np.zeros((0, 0), np.float32)
            return Said(ids[0], *none, exclusive)
        found = torch.cat(logits).cpu().numpy(), torch.cat(embeddings).cpu().numpy()
        said = Said(np.concatenate(ids), *found, exclusive)
        if not np.isfinite(said.logits).all():
            raise UserError("The teacher's answers are not numbers, so its training failed; choose another checkpoint.")
        return said

    def _answer(self, frames: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """(B, V, T, S, S, 3) uint8 -> (B, D), (B, classes). A still is repeated for a 3-D teacher on the device."""
        if self.device.type == "cuda":
            frames = frames.pin_memory().to(self.device, non_blocking=True)
        views = normalise(frames.permute(0, 1, 5, 2, 3, 4), self.model.input.mean, self.model.input.std)
        if views.shape[3] == 1 and self.shown_as.clip_len > 1 and not self.model.input.takes_stills:
            views = views.expand(-1, -1, -1, self.shown_as.clip_len, -1, -1)
        try:
            with autocast(self.precision, self.device):
                return self.model.answer(views)
        except torch.OutOfMemoryError as error:
            raise UserError(
                f"{len(frames)} samples at a time are too many for the memory of {self.device}; set a lower"
                " filter.batch_size."
            ) from error


def pick_device(name: str) -> torch.device:
    """`auto`: CUDA where there is one."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise UserError(f"There is no device {name!r}; set filter.device to auto, cpu or cuda:0.") from error
    if device.type == "cuda" and not torch.cuda.is_available():
        raise UserError(f"filter.device is {name}, but this machine has no CUDA device; set it to auto or cpu.")
    return device
