"""Which sample when: a pure function of (seed, source, step).

A source is drawn from without end, in passes over its samples. The order of a pass is shuffled within windows of
shards: the shards are permuted, a window of consecutive ones is opened, and its samples are permuted together, so
that a reader needs only a window's shards at hand. Nothing here is drawn from a stream, so a run that resumes at
any step, and each rank and loader worker, finds the same samples.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from omnisrc.data.draws import key_of, seeds_at

PASSES_KEPT = 2  # a batch touches two passes at most as long as it is smaller than the source


@dataclass(frozen=True)
class Draw:
    """What the plan gives one source at one step.

    rows  # (n,) int64, rows of the source
    seeds  # (n,) uint64, one augmentation seed for each, never the same twice in a run
    """

    rows: NDArray[np.int64]
    seeds: NDArray[np.uint64]

    def part(self, rank: int, world: int) -> Draw:
        """What rank `rank` of `world` takes: every `world`-th of the list."""
        return Draw(self.rows[rank::world], self.seeds[rank::world])

    def __len__(self) -> int:
        return len(self.rows)


class SourcePlan:
    """The order in which one source is drawn from.

    Args:
        seed: of the run.
        source: its name; sources with other names are drawn independently.
        labels: (n,) class of each row.
        shards: (n,) number of the shard in which each row lies.
        batch: samples a step, over all ranks.
        window: shards that are open at once.
        power: None draws every row once a pass. Otherwise a class of N rows is drawn with probability ~ N**power
            (OmniSource, table 10: 0.2 is best; 0 is class-balanced, 1 is by sample), and a pass has n draws still.
    """

    def __init__(
        self,
        seed: int,
        source: str,
        labels: NDArray[np.integer],
        shards: NDArray[np.integer],
        batch: int,
        window: int = 16,
        power: float | None = None,
    ) -> None:
        if len(labels) == 0 or len(labels) != len(shards):
            raise ValueError(f"source {source} has {len(labels)} labels and {len(shards)} shard numbers")
        if batch < 1 or window < 1:
            raise ValueError(f"source {source}: batch {batch} and window {window} must be at least 1")
        self.seed, self.source, self.batch, self.window, self.power = seed, source, batch, window, power
        self._labels = np.asarray(labels)
        self._shards = np.asarray(shards)
        self._expected = class_power_counts(self._labels, power)
        self._orders: OrderedDict[int, NDArray[np.int64]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._labels)

    def draw(self, step: int) -> Draw:
        """The samples of one step (counted from 0), over all ranks."""
        positions = np.arange(step * self.batch, (step + 1) * self.batch, dtype=np.int64)
        passes, places = np.divmod(positions, len(self))
        rows = np.empty(self.batch, dtype=np.int64)
        for number in np.unique(passes):
            here = passes == number
            rows[here] = self.order(int(number))[places[here]]
        return Draw(rows, seeds_at(key_of(self.seed, self.source, "augment"), positions))

    def order(self, number: int) -> NDArray[np.int64]:
        """The rows of pass `number`, in order: (n,)."""
        order = self._orders.pop(number, None)
        if order is None:
            order = self._make_order(np.random.default_rng(key_of(self.seed, self.source, "order", number)))
        self._orders[number] = order
        while len(self._orders) > PASSES_KEPT:
            self._orders.popitem(last=False)
        return order

    def _make_order(self, rng: np.random.Generator) -> NDArray[np.int64]:
        drawn = np.repeat(np.arange(len(self), dtype=np.int64), self._counts(rng))
        shards, rank = np.unique(self._shards, return_inverse=True)
        window_of_shard = rng.permutation(len(shards)) // self.window
        shuffled = rng.permutation(drawn)
        return shuffled[np.argsort(window_of_shard[rank[shuffled]], kind="stable")]

    def _counts(self, rng: np.random.Generator) -> NDArray[np.int64]:
        """How often each row is drawn in one pass; the sum is n.

        Systematic sampling: every row is drawn its expected number of times, rounded down or up, and every class too.
        """
        if self._expected is None:
            return np.ones(len(self), dtype=np.int64)
        by_class = np.lexsort((rng.permutation(len(self)), self._labels))
        edges = np.cumsum(self._expected[by_class])
        edges *= len(self) / edges[-1]
        marks = np.floor(edges + rng.random()).astype(np.int64)
        counts = np.empty(len(self), dtype=np.int64)
        counts[by_class] = np.diff(marks, prepend=0)
        counts[by_class[-1]] += len(self) - marks[-1]  # one less where rounding left the last edge short of n
        return counts

    def replacement(self, seed: int, attempt: int) -> int:
        """The row that stands in for one that cannot be decoded: a walk over all rows that begins where `seed` says.

        Args:
            seed: the augmentation seed of the draw.
            attempt: 0 for the first stand-in; n of them visit every row once.
        """
        n = len(self)
        start, stride = divmod(seed, n)
        stride = stride % n or 1
        while np.gcd(stride, n) != 1:
            stride += 1
        return (start + (attempt + 1) * stride) % n


def class_power_counts(labels: NDArray[np.integer], power: float | None) -> NDArray[np.float64] | None:
    """Expected draws of each row in a pass of n, when a class of N rows is drawn with probability ~ N**power."""
    if power is None:
        return None
    _, rank, sizes = np.unique(labels, return_inverse=True, return_counts=True)
    weights = sizes.astype(np.float64) ** (power - 1.0)
    expected: NDArray[np.float64] = weights[rank] * (len(labels) / weights[rank].sum())
    return expected
