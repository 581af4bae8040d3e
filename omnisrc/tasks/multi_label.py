"""Multi-label: any number of classes for a whole sample. What its label is, what it costs, how it is scored.

A label is a row over the class list: 1 has it, 0 has it not, NaN: nobody has said. A web sample says of one class that
it is there and of the others nothing, and what nobody has said costs nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Final, Literal

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from omnisrc.data.labels import MULTI_LABEL
from omnisrc.tasks import metrics
from omnisrc.tasks.average_precision import mean_average_precision

NAME: Final = MULTI_LABEL


@dataclass(frozen=True)
class MultiLabel:
    """The task over one class list."""

    classes: tuple[str, ...]
    name: ClassVar[Literal["multi-label"]] = NAME
    figure = "map"  # what says how good a recogniser is
    hits = "hit1"  # the share of rows whose best class is one of theirs

    @property
    def head(self) -> dict[str, Any]:
        """What `create_model` needs to know of the task."""
        return {"num_classes": len(self.classes)}

    def payload(self, labels: Sequence[int]) -> dict[str, Any]:
        """The classes of a sample as its JSON and the annotation table hold them."""
        return {"labels": list(labels), "classes": [self.classes[label] for label in labels]}

    def label(self, payload: Mapping[str, Any]) -> tuple[int, ...]:
        """The classes of a payload, in the order of the list.

        Raises:
            ValueError: one is no position of this class list, or has another name there.
        """
        labels, names = payload.get("labels"), payload.get("classes")
        if not isinstance(labels, list) or not all(isinstance(n, int) and 0 <= n < len(self.classes) for n in labels):
            raise ValueError(f"the labels {labels!r} are not all among {len(self.classes)} classes")
        if names is not None and names != [self.classes[label] for label in labels]:
            raise ValueError(f"the labels {labels!r} have other names here than {names!r}")
        return tuple(sorted(set(labels)))

    def collate(self, labels: Sequence[Sequence[float]] | NDArray[np.floating]) -> Tensor:
        """(B, classes) float32; NaN where nobody has said."""
        return torch.as_tensor(np.asarray(labels, dtype=np.float32))

    def soft(self, labels: Tensor) -> Tensor:
        """As they are: what is known of only one of two mixed samples is known of neither."""
        return labels

    def loss(self, logits: Tensor, labels: Tensor, weights: Tensor | None = None, smoothing: float = 0.0) -> Tensor:
        """The mean over the batch of weight x the sum of what is known / classes: each answer weighs the same, in a
        sample of which all is known and in one of which little is.

        Args:
            logits: (B, classes).
            labels: (B, classes) in [0, 1]; NaN costs nothing.
            weights: (B,); 1 each where there are none.
            smoothing: the share of an answer that is spread evenly over has and has not.
        """
        known = ~labels.isnan()
        wanted = labels.nan_to_num() * (1 - smoothing) + smoothing / 2
        each = F.binary_cross_entropy_with_logits(logits.float(), wanted, reduction="none")
        rows = (each * known).mean(1)
        return (rows if weights is None else rows * weights).mean()

    def right(self, logits: Tensor, labels: Tensor) -> Tensor:
        """The number of rows whose best class is one of theirs."""
        best = logits.argmax(1, keepdim=True)
        return (labels.nan_to_num().gather(1, best) >= 0.5).sum()

    def decode(self, scores: NDArray[np.floating], k: int = 5) -> list[list[tuple[str, float]]]:
        """The k best classes of each row of scores (N, classes), with their scores, best first."""
        best = metrics.ranking(scores, k)
        return [[(self.classes[c], float(row[c])) for c in line] for row, line in zip(scores, best, strict=True)]

    def scores(self, logits: Tensor) -> Tensor:
        """Logits (..., classes) as probabilities, each class for itself."""
        return torch.sigmoid(logits)

    def log_loss(self, scores: NDArray[np.floating], labels: NDArray[np.floating]) -> float:
        """The mean over rows and classes of -log p(answer); NaN of none."""
        return metrics.binary_log_loss(scores, labels)

    def metrics(self, scores: NDArray[np.floating], labels: NDArray[np.floating]) -> dict[str, float]:
        """map (over classes that have a positive row) of scores and multi-hot labels (N, classes)."""
        return {"map": mean_average_precision(scores, np.asarray(labels) > 0), "samples": len(labels)}
