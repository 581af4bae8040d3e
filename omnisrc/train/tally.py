"""The figures between two lines of the log, by source."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from omnisrc.data.batch import Batch
from omnisrc.train.distribution import Place


class Tally:
    """Sums over steps; nothing waits for the device until `figures` is asked for.

    The time that a step waited for data is shared out among its sources as they took time to be made.
    """

    def __init__(self, sources: Sequence[str], place: Place, hits: str = "top1") -> None:
        """`hits`: what the share of right rows is called."""
        self.sources, self.place, self.hits = list(sources), place, hits
        self._reset()

    def _reset(self) -> None:
        count = len(self.sources)
        self._losses: Tensor = torch.zeros(count, 3, device=self.place.device)  # loss, right, samples
        self._waits = torch.zeros(count, 2, dtype=torch.float64)  # seconds waited, samples skipped
        self._steps = 0
        self._since = time.perf_counter()

    def restart_clock(self) -> None:
        """After a pause that is no part of training (scoring on val, writing a checkpoint)."""
        self._since = time.perf_counter()

    def add(self, batches: Sequence[Batch], tallies: Sequence[Tensor], waited: float) -> None:
        self._losses += torch.stack(list(tallies))
        loads = [batch.load_s for batch in batches]
        for at, batch in enumerate(batches):
            share = loads[at] / (sum(loads) or 1.0)
            self._waits[at] += torch.tensor([waited * share, len(batch.skips)])
        self._steps += 1

    def figures(self, weights: dict[str, float]) -> dict[str, Any]:
        """loss (the weighted sum), seconds a step, and by source: loss, hits, wait (shares), skips."""
        losses = self.place.total(self._losses).tolist()
        waits = self.place.total(self._waits.to(self.place.device, torch.float32)).tolist()
        seconds = time.perf_counter() - self._since
        by_source = {}
        for name, (loss, right, count), (wait, skips) in zip(self.sources, losses, waits, strict=True):
            by_source[name] = {
                "loss": loss / max(count, 1),
                self.hits: right / max(count, 1),
                "wait": wait / self.place.world / seconds,
                "skips": int(skips),
            }
        figures = {
            "loss": sum(weights[name] * by_source[name]["loss"] for name in self.sources),
            "step_s": seconds / max(self._steps, 1),
            **by_source,
        }
        self._reset()
        return figures
