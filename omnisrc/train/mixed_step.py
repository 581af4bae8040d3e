"""One mixed step: the sum over sources of weight x the task's loss (OmniSource, equation 1: cross-entropy)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from omnisrc.data.augment import Augmentation, as_clips, augment, mixup
from omnisrc.data.batch import Batch
from omnisrc.data.draws import key_of
from omnisrc.models import InputSpec
from omnisrc.models.modality import stacked
from omnisrc.models.precision import Precision, autocast
from omnisrc.tasks.create import Task
from omnisrc.train.distribution import Place
from omnisrc.train.settings import TrainSettings


@dataclass(frozen=True)
class MixedStep:
    """What is the same in every step of a run.

    weights: of each source's loss.
    """

    task: Task
    spec: InputSpec
    settings: TrainSettings
    weights: dict[str, float]
    seed: int
    place: Place
    precision: Precision

    def __call__(self, student: nn.Module, batches: Sequence[Batch], step: int) -> tuple[Tensor, list[Tensor]]:
        """The loss to go back from, and for each source (sum of losses, right answers, samples) on the device.

        All randomness here (dropout, mixup) comes from the step's number.
        """
        torch.manual_seed(key_of(self.seed, "device", step, self.place.rank))
        batches = [batch.to(self.place.device) for batch in batches]
        frames = [self._frames(batch) for batch in batches]
        labels = [batch.labels[self.task.name] for batch in batches]
        if self.settings.mixup != "off":
            rng = np.random.default_rng(key_of(self.seed, "mixup", step, self.place.rank))
            soft = [self.task.soft(hard) for hard in labels]
            frames, labels = mixup(frames, soft, self.settings.mixup_alpha, self.settings.mixup, rng)
        with autocast(self.precision, self.place.device):
            logits = student(frames, [self._moves_statistics(batch.source, batches) for batch in batches])
        total = torch.zeros((), device=self.place.device)
        tallies = []
        for batch, given, label in zip(batches, logits, labels, strict=True):
            loss = self.task.loss(given, label, batch.weights, self.settings.label_smoothing)
            total = total + self.weights[batch.source] * loss
            right = self.task.right(given.detach(), label).float()
            tallies.append(torch.stack([loss.detach() * len(batch), right, torch.full_like(right, len(batch))]))
        return total, tallies

    def _frames(self, batch: Batch) -> Tensor:
        how = Augmentation(
            self.settings.flip, self.settings.brightness, self.settings.contrast, self.settings.saturation
        )
        pixels = augment(batch.frames, batch.seeds, how, self.spec.mean, self.spec.std)
        if not self.settings.channels_last:
            pixels = pixels.contiguous()
        return stacked(as_clips(pixels, 1 if self.spec.takes_stills else self.settings.clip_len), self.spec)

    def _moves_statistics(self, source: str, batches: Sequence[Batch]) -> bool:
        mixed = {batch.source for batch in batches}
        return self.settings.norm_statistics == "all" or source == "target" or "target" not in mixed
