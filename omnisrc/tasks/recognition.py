"""Recognition: one class for a whole sample. What its label is, what it costs, and how it is read and scored."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Final, Literal

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from omnisrc.data.labels import RECOGNITION
from omnisrc.tasks import metrics

NAME: Final = RECOGNITION


@dataclass(frozen=True)
class Recognition:
    """The task over one class list, whose positions are the labels."""

    classes: tuple[str, ...]
    name: ClassVar[Literal["recognition"]] = NAME
    figure = "top1"  # what says how good a recogniser is
    hits = "top1"  # the share of rows whose best class is theirs

    @property
    def head(self) -> dict[str, Any]:
        """What `create_model` needs to know of the task."""
        return {"num_classes": len(self.classes)}

    def payload(self, label: int) -> dict[str, Any]:
        """A label as a curated sample's JSON and the annotation table hold it."""
        return {"label": label, "class": self.classes[label]}

    def label(self, payload: Mapping[str, Any]) -> int:
        """The label of a payload.

        Raises:
            ValueError: it is no position of this class list, or its class has another name there.
        """
        label = payload.get("label")
        if not isinstance(label, int) or not 0 <= label < len(self.classes):
            raise ValueError(f"the label {label!r} is none of {len(self.classes)} classes")
        if payload.get("class", self.classes[label]) != self.classes[label]:
            raise ValueError(f"label {label} is {self.classes[label]!r} here, not {payload['class']!r}")
        return label

    def collate(self, labels: Sequence[int] | NDArray[np.integer]) -> Tensor:
        """(B,) int64."""
        return torch.as_tensor(np.asarray(labels, dtype=np.int64))

    def soft(self, labels: Tensor) -> Tensor:
        """Hard labels (B,) as distributions (B, classes); soft ones as they are."""
        return labels if labels.ndim == 2 else F.one_hot(labels, len(self.classes)).float()

    def loss(self, logits: Tensor, labels: Tensor, weights: Tensor | None = None, smoothing: float = 0.0) -> Tensor:
        """The mean over the batch of weight x cross-entropy.

        Args:
            logits: (B, classes).
            labels: (B,) int64, or (B, classes) distributions.
            weights: (B,); 1 each where there are none.
            smoothing: the share of the label that is spread evenly over all classes.
        """
        each = F.cross_entropy(logits.float(), labels, reduction="none", label_smoothing=smoothing)
        return (each if weights is None else each * weights).mean()

    def right(self, logits: Tensor, labels: Tensor) -> Tensor:
        """The number of rows whose best class is the label (the label's own best, where it is soft)."""
        hard = labels.argmax(1) if labels.ndim == 2 else labels
        return (logits.argmax(1) == hard).sum()

    def decode(self, scores: NDArray[np.floating], k: int = 5) -> list[list[tuple[str, float]]]:
        """The k best classes of each row of scores (N, classes), with their scores, best first."""
        best = metrics.ranking(scores, k)
        return [[(self.classes[c], float(row[c])) for c in line] for row, line in zip(scores, best, strict=True)]

    def scores(self, logits: Tensor) -> Tensor:
        """Logits (..., classes) as a distribution over the classes."""
        return torch.softmax(logits, dim=-1)

    def log_loss(self, scores: NDArray[np.floating], labels: NDArray[np.integer]) -> float:
        """The mean of -log p(label) of scores (N, classes); NaN of none."""
        if not len(labels):
            return float("nan")
        given = np.asarray(scores)[np.arange(len(labels)), labels]
        return float(-np.log(np.maximum(given, 1e-12)).mean())

    def metrics(self, scores: NDArray[np.floating], labels: NDArray[np.integer]) -> dict[str, float]:
        """top1, top5 and mean class accuracy of scores (N, classes)."""
        matrix = metrics.confusion(metrics.ranking(scores, 1)[:, 0], labels, len(self.classes))
        return {
            "top1": metrics.top_k(scores, labels, 1),
            "top5": metrics.top_k(scores, labels, 5),
            "mean_class_accuracy": metrics.mean_class_accuracy(matrix),
            "samples": len(labels),
        }
