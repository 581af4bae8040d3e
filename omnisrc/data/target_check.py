"""Leaks between the splits of the target: groups, equal bytes, frames that look alike."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from db.models import TargetItem
from omnisrc.data.catalogue import SCORED
from omnisrc.data.hashes import PER_FRAME, WHOLE
from omnisrc.data.importers.listing import TargetRow
from omnisrc.data.importers.splits import LeakReport, leaks_between
from omnisrc.data.near import nearest, telling, unpack

ALIKE_BITS = 31
ORDER = ("train", "val", "test")


@dataclass(frozen=True)
class Alike:
    """Two items of different splits with frames `bits` apart."""

    item: TargetItem
    other: TargetItem
    bits: int


@dataclass(frozen=True)
class TargetCheck:
    """What more than one split holds. Items without hashes were not compared by frames."""

    leaks: LeakReport
    alike: list[Alike]
    uncompared: int

    @property
    def clean(self) -> bool:
        return self.leaks.clean and not self.alike


def check_target(rows: Sequence[TargetRow], items: Sequence[TargetItem], bits: int = ALIKE_BITS) -> TargetCheck:
    """Compares every split with every later one of train, val, test."""
    alike = []
    for number, split in enumerate(ORDER):
        for later in ORDER[number + 1 :]:
            alike += _alike(
                [item for item in items if item.split == split], [item for item in items if item.split == later], bits
            )
    return TargetCheck(leaks_between(rows), alike, sum(1 for item in items if not item.hashes))


def _alike(items: Sequence[TargetItem], others: Sequence[TargetItem], bits: int) -> list[Alike]:
    """For each item the nearest of `others`, by whole frames of the one and all hashes of the other."""
    hashes, owners = unpack([item.hashes for item in items])
    if items and items[0].split in SCORED:
        within = np.arange(len(owners)) - np.searchsorted(owners, owners)
        whole = np.isin(within % PER_FRAME, WHOLE)
        hashes, owners = hashes[whole], owners[whole]
    theirs, their_owners = unpack([item.hashes for item in others])
    mine, right = telling(hashes), telling(theirs)
    rows, apart = nearest(hashes[mine], theirs[right], bits)
    best: dict[int, tuple[int, int]] = {}
    for owner, row, distance in zip(owners[mine].tolist(), rows.tolist(), apart.tolist(), strict=True):
        if distance <= bits:
            found = distance, int(their_owners[right][row])
            best[owner] = min(best.get(owner, found), found)
    return [Alike(items[owner], others[other], distance) for owner, (distance, other) in sorted(best.items())]
