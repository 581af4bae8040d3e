"""Near-duplicates inside the web: of samples that look alike, the one with the best score stays."""

from __future__ import annotations

from collections import defaultdict
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from omnisrc.data.near import Pairs, Rows, telling, twins
from omnisrc.filter.candidates import Candidates
from omnisrc.filter.rules import Reason, RuleSpec, Verdicts


class Copy(NamedTuple):
    """Row `dropped` looks like row `kept`, which has the better score; `bits` apart (clips: at the nearest frames)."""

    dropped: int
    kept: int
    bits: int


def drop_copies(candidates: Candidates, verdicts: Verdicts, rule: RuleSpec) -> list[Copy]:
    """Drops near-duplicates among the samples kept so far. Images are compared with images, clips with clips."""
    kept, copies = verdicts.kept, list[Copy]()
    if rule.near_duplicate_bits >= 0:
        images = kept & ~candidates.clips
        copies += _image_copies(candidates, images, verdicts.scores, rule.near_duplicate_bits)
    if rule.clip_duplicate_bits >= 0:
        copies += _suppress(_clip_pairs(candidates, kept & candidates.clips, rule), verdicts.scores)
    verdicts.drop(np.array([copy.dropped for copy in copies], np.int64), Reason.NEAR_DUPLICATE)
    return copies


def _image_copies(
    candidates: Candidates, chosen: NDArray[np.bool_], scores: NDArray[np.float64], bits: int
) -> list[Copy]:
    """Equal hashes are taken together first: a picture that the web holds a thousand times has a million pairs."""
    hashes, owners = candidates.hashes
    owners, first = np.unique(owners, return_index=True)
    use = chosen[owners] & telling(hashes[first])
    hashes, rows = hashes[first[use]], owners[use]
    if not len(rows):
        return []
    unique, group = np.unique(hashes.view(f"V{hashes.shape[1]}").ravel(), return_inverse=True)
    order = np.lexsort((rows, -scores[rows], group))
    starts = np.searchsorted(group[order], np.arange(len(unique)))
    best = rows[order[starts]]  # of each group
    copies = [
        Copy(int(row), int(best[number]), 0) for row, number in zip(rows, group, strict=True) if row != best[number]
    ]
    pairs = twins(np.frombuffer(unique.tobytes(), np.uint8).reshape(-1, hashes.shape[1]), bits)
    return copies + _suppress(Pairs(best[pairs.left], best[pairs.right], pairs.bits), scores)


def _clip_pairs(candidates: Candidates, chosen: NDArray[np.bool_], rule: RuleSpec) -> Pairs:
    """Clips of different videos of which the shorter has enough of its frames in the other."""
    hashes, owners = candidates.hashes
    use = chosen[owners] & telling(hashes)
    hashes, owners = hashes[use], owners[use]
    frames = np.bincount(owners, minlength=len(candidates))
    found = twins(hashes, rule.clip_duplicate_bits)
    other = candidates.blobs[owners[found.left]] != candidates.blobs[owners[found.right]]
    left, right, bits = found.left[other], found.right[other], found.bits[other]
    key = owners[left] * len(candidates) + owners[right]
    pairs, index = np.unique(key, return_inverse=True)
    a, b = pairs // max(1, len(candidates)), pairs % max(1, len(candidates))
    seen_a, seen_b = _distinct(index, left, len(pairs)), _distinct(index, right, len(pairs))
    share = np.where(frames[a] <= frames[b], seen_a / np.maximum(1, frames[a]), seen_b / np.maximum(1, frames[b]))
    least = np.full(len(pairs), 1 << 16, np.int64)
    np.minimum.at(least, index, bits)
    enough = share >= max(rule.clip_duplicate_share, 1e-9)
    return Pairs(a[enough], b[enough], least[enough])


def _distinct(groups: Rows, values: Rows, count: int) -> Rows:
    """How many different values each of `count` groups has."""
    if not len(groups):
        return np.zeros(count, np.int64)
    pairs = np.unique(np.stack([groups, values]), axis=1)
    return np.bincount(pairs[0], minlength=count)


def _suppress(pairs: Pairs, scores: NDArray[np.float64]) -> list[Copy]:
    """Goes from the best score to the worst; what is still there then drops its neighbours. So every dropped sample
    is a copy of one that stays, not of one that was dropped itself."""
    neighbours: dict[int, list[tuple[int, int]]] = defaultdict(list)
    for left, right, bits in zip(pairs.left.tolist(), pairs.right.tolist(), pairs.bits.tolist(), strict=True):
        neighbours[left].append((right, bits))
        neighbours[right].append((left, bits))
    gone: set[int] = set()
    copies = []
    for row in sorted(neighbours, key=lambda row: (-scores[row], row)):
        if row in gone:
            continue
        for other, bits in neighbours[row]:
            if other not in gone and (-scores[other], other) > (-scores[row], row):
                gone.add(other)
                copies.append(Copy(other, row, bits))
    return copies
