"""Decontamination: web samples that show a frame of the target's val or test, or a part of one."""

from __future__ import annotations

import os
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import select
from sqlalchemy.orm import Session

from db.models import TargetItem
from omnisrc.data.catalogue import SCORED
from omnisrc.data.hashes import PER_FRAME, WHOLE
from omnisrc.data.near import BITS, Hashes, Rows, nearest, telling, unpack
from omnisrc.filter.candidates import Candidates

REACH = 90
BIN = 8
SURE_BITS = 31
MARGIN = 8
UNRELATED, UNRELATED_FRAMES, UNRELATED_BASE = 200, 8, 200_000
FEWEST = 20  # items from which something can be read off


@dataclass(frozen=True)
class ScoredItems:
    """The N items of val and test. `hashes` (H, 32) belong to the rows `owners` (H,) of `ids`; `whole` (H,) says which
    are of whole frames. `unhashed` items have no hash, so nothing was compared with them."""

    ids: Rows
    groups: NDArray[np.object_]
    hashes: Hashes
    owners: Rows
    whole: NDArray[np.bool_]
    unhashed: int

    def __len__(self) -> int:
        return len(self.ids)


class Nearest(NamedTuple):
    """For samples, by id, the nearest item of val or test, by id (-1: none in reach): how far, by a whole frame?

    `marks` are checksums of the samples' hashes: ids begin anew when a catalogue is made anew.
    """

    samples: Rows
    marks: Rows
    items: Rows
    bits: NDArray[np.int64]
    whole: NDArray[np.bool_]

    @classmethod
    def of(cls, samples: Rows, marks: Rows) -> Nearest:
        """Samples without an item in reach."""
        count = len(samples)
        nowhere = np.full(count, -1, np.int64), np.full(count, 1 << 16, np.int64)
        return cls(samples, marks, *nowhere, np.zeros(count, bool))


@dataclass(frozen=True)
class Contamination:
    """For N samples the nearest item of val or test. `items` is a row of ScoredItems, -1 where none is in reach;
    `methods` says by what it was found: hash (of a whole frame) or crop (of a part).

    `compared` is false for samples without a hash. `histogram` counts samples by distance, in steps of BIN bits; a gap
    in it between copies and everything else shows that the threshold is well placed.
    """

    items: Rows
    bits: NDArray[np.int64]
    methods: NDArray[np.object_]
    compared: NDArray[np.bool_]
    histogram: dict[str, int]
    nearest: Nearest


def load_scored_items(session: Session) -> ScoredItems:
    """The items of val and test that can be scored."""
    rows = session.execute(
        select(TargetItem.id, TargetItem.group, TargetItem.hashes)
        .where(TargetItem.split.in_(SCORED), TargetItem.state != "failed")
        .order_by(TargetItem.id)
    ).all()
    hashes, owners = unpack([row.hashes for row in rows])
    within = np.arange(len(owners)) - np.searchsorted(owners, owners)
    tells = telling(hashes)
    return ScoredItems(
        np.array([row.id for row in rows], np.int64),
        np.array([row.group for row in rows], object),
        hashes[tells],
        owners[tells],
        np.isin(within[tells] % PER_FRAME, WHOLE),
        sum(1 for row in rows if not row.hashes),
    )


def safe_bits(scored: ScoredItems, seed: int = 0) -> int:
    """The largest distance that may count as a copy among pictures such as these.

    Where everything looks alike (one arena, one table, drawings) unrelated pictures come near each other. How near is
    read off the target itself: the distance that 1 % of its items (UNRELATED of them) have to the nearest frame of
    another group, less MARGIN; never under what PDQ's authors advise.
    """
    rng = np.random.default_rng(seed)
    least = []
    base = np.arange(len(scored.hashes))
    if len(base) > UNRELATED_BASE:
        base = np.sort(rng.choice(base, UNRELATED_BASE, replace=False))
    groups, others = scored.groups[scored.owners[base]], scored.hashes[base]
    for item in rng.permutation(len(scored))[:UNRELATED]:
        frames = np.flatnonzero((scored.owners == item) & scored.whole)
        strangers = others[groups != scored.groups[item]]
        if len(frames) and len(strangers):
            frames = frames[:: max(1, len(frames) // UNRELATED_FRAMES)]
            least.append(int(nearest(scored.hashes[frames], strangers, BITS)[1].min()))
    if len(least) < FEWEST:
        return SURE_BITS
    return max(SURE_BITS, int(np.quantile(least, 0.01)) - MARGIN)


def compare(candidates: Candidates, scored: ScoredItems, known: Nearest | None = None) -> Contamination:
    """Every hash of every sample against every hash of val and test, by the nearest of each sample.

    `known` is what an earlier comparison with the same items found; its samples are not compared again.
    """
    count = len(candidates)
    marks = np.array([zlib.crc32(packed or b"") for packed in candidates.packed_hashes], np.int64)
    found, new = Nearest.of(candidates.ids, marks), np.ones(count, bool)
    if known is not None:
        _take_over(found, known, new)
    hashes, owners = candidates.hashes
    use = telling(hashes) & new[owners]
    _find(found, hashes[use], owners[use], scored)
    there = found.items >= 0
    items = np.where(there, np.searchsorted(scored.ids, found.items), -1)
    methods = np.where(there, np.where(found.whole, "hash", "crop"), "").astype(object)
    compared = np.bincount(owners, minlength=count)[:count] > 0
    return Contamination(items, found.bits, methods, compared, _histogram(found.bits[there]), found)


def _take_over(found: Nearest, known: Nearest, new: NDArray[np.bool_]) -> None:
    """Copies what is known of the same samples with the same hashes; they are no longer new."""
    _, mine, theirs = np.intersect1d(found.samples, known.samples, assume_unique=True, return_indices=True)
    same = found.marks[mine] == known.marks[theirs]
    mine, theirs = mine[same], theirs[same]
    new[mine] = False
    for column, values in zip(found[2:], known[2:], strict=True):
        column[mine] = values[theirs]


def _find(found: Nearest, hashes: Hashes, owners: Rows, scored: ScoredItems) -> None:
    """Fills in the nearest item of each row in `owners` that has one in reach."""
    rows, bits = nearest(hashes, scored.hashes, REACH)
    order = np.lexsort((bits, owners))
    first_owner, first = np.unique(owners[order], return_index=True)
    chosen = order[first]
    reached = bits[chosen] <= REACH
    chosen, at = chosen[reached], first_owner[reached]
    hits = rows[chosen]
    found.items[at], found.bits[at], found.whole[at] = scored.ids[scored.owners[hits]], bits[chosen], scored.whole[hits]


def load_nearest(path: Path) -> Nearest | None:
    """What `save_nearest` wrote; None where there is nothing (or nothing whole)."""
    try:
        with np.load(path, allow_pickle=False) as arrays:
            return Nearest(*(arrays[name] for name in Nearest._fields))
    except (OSError, ValueError, KeyError, BadZipFile):
        return None


def save_nearest(path: Path, found: Nearest) -> None:
    """Keeps a comparison for the next selection. It can be made again: a disk that does not take it is no failure."""
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with part.open("wb") as file:
            np.savez(file, **found._asdict())
        part.replace(path)
    except OSError:
        part.unlink(missing_ok=True)


def _histogram(bits: NDArray[np.int64]) -> dict[str, int]:
    counts = np.bincount(bits // BIN) if len(bits) else np.zeros(0, np.int64)
    return {f"{BIN * number}-{BIN * number + BIN - 1}": int(n) for number, n in enumerate(counts)}
