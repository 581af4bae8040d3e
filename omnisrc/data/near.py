"""Search among PDQ hashes: the nearest of many, and all pairs within some bits of each other."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from omnisrc.media.phash import HASH_BYTES, hamming

Hashes = NDArray[np.uint8]  # (N, 32)
Rows = NDArray[np.int64]

BITS = 8 * HASH_BYTES
PARTS = 16  # of 16 bits each
FLAT_BITS = 24
BLOCK = 4096
CANDIDATES = 1 << 22


class Pairs(NamedTuple):
    """Row numbers of pairs, and how many bits lie between the two."""

    left: Rows
    right: Rows
    bits: NDArray[np.int64]


def unpack(blobs: list[bytes | None]) -> tuple[Hashes, Rows]:
    """Hashes as stored (32 bytes each, several in a row) as (N, 32), and the number of the entry each came from."""
    counts = [len(blob) // HASH_BYTES if blob else 0 for blob in blobs]
    joined = b"".join(blob[: count * HASH_BYTES] for blob, count in zip(blobs, counts, strict=True) if blob)
    hashes = np.frombuffer(joined, np.uint8).reshape(-1, HASH_BYTES)
    return hashes, np.repeat(np.arange(len(blobs)), counts)


def telling(hashes: Hashes) -> NDArray[np.bool_]:
    """Which hashes say something: (N,). PDQ sets the bits of coefficients above their median, so about half of them;
    where ties at the median leave far fewer, the picture is flat (black, white) and would match any other flat one."""
    ones = np.bitwise_count(hashes).sum(axis=1, dtype=np.int64)
    tells: NDArray[np.bool_] = np.abs(ones - BITS // 2) <= FLAT_BITS
    return tells


def nearest(left: Hashes, right: Hashes, within: int) -> tuple[Rows, NDArray[np.int64]]:
    """For each row of `left` the nearest row of `right` and its distance; (0, BITS + 1) where none is `within` bits.

    Exhaustive: faiss' binary index where faiss is installed, else blocks in numpy (about 10 times slower).
    """
    best = np.zeros(len(left), np.int64)
    bits = np.full(len(left), BITS + 1, np.int64)
    if not len(right) or not len(left):
        return best, bits
    index = _faiss_index(right) if len(left) * len(right) > 1e7 else None
    for at in range(0, len(left), BLOCK):
        block = slice(at, at + BLOCK)
        find = _nearest_of_block if index is None else _nearest_by_faiss
        best[block], bits[block] = find(left[block], right if index is None else index, within)
    return best, bits


def _nearest_of_block(left: Hashes, right: Hashes, within: int) -> tuple[Rows, NDArray[np.int64]]:
    best = np.zeros(len(left), np.int64)
    bits = np.full(len(left), BITS + 1, np.int64)
    for at in range(0, len(right), BLOCK):
        distances = hamming(left, right[at : at + BLOCK])
        rows = distances.argmin(axis=1)
        found = distances[np.arange(len(left)), rows]
        better = (found < bits) & (found <= within)
        best[better], bits[better] = rows[better] + at, found[better]
    return best, bits


def _nearest_by_faiss(left: Hashes, index: Any, within: int) -> tuple[Rows, NDArray[np.int64]]:
    ends, distances, rows = index.range_search(np.ascontiguousarray(left), within + 1)  # those nearer than the radius
    best = np.zeros(len(left), np.int64)
    bits = np.full(len(left), BITS + 1, np.int64)
    owners = np.repeat(np.arange(len(left)), np.diff(ends.astype(np.int64)))
    order = np.lexsort((rows, distances, owners))
    owners, first = np.unique(owners[order], return_index=True)
    best[owners], bits[owners] = rows[order][first], distances[order][first]
    return best, bits


def _faiss_index(hashes: Hashes) -> Any:
    try:
        import faiss
    except ImportError:
        return None
    index = faiss.IndexBinaryFlat(BITS)
    index.add(np.ascontiguousarray(hashes))
    return index


def twins(hashes: Hashes, bits: int) -> Pairs:
    """All pairs of rows i < j at most `bits` apart, each once.

    Of two hashes within 31 bits of each other at least one of 16 parts of 16 bits differs in at most one bit, so for
    up to 31 bits only those that share a part, or nearly, are compared (multi-index hashing, Norouzi et al. 2012,
    section 3). For more, everything is compared.
    """
    if not 0 <= bits <= BITS:
        raise ValueError(f"bits is {bits}; it must lie between 0 and {BITS}")
    search = _all_within if bits >= 2 * PARTS else _sharing_a_part
    pairs = np.unique(np.concatenate([np.zeros((0, 3), np.int64), *search(hashes, bits)]), axis=0)
    return Pairs(pairs[:, 0], pairs[:, 1], pairs[:, 2])


def _all_within(hashes: Hashes, bits: int) -> Iterator[NDArray[np.int64]]:
    """Blocks of (pairs, 3) by comparing each row with all that come after the beginning of its block."""
    for at in range(0, len(hashes), BLOCK):
        block, rest = hashes[at : at + BLOCK], hashes[at:]
        index = _faiss_index(rest) if len(block) * len(rest) > 1e7 else None
        if index is None:
            apart = hamming(block, rest)
            rows, others = np.nonzero(apart <= bits)
            distances = apart[rows, others].astype(np.int64)
        else:
            ends, near, others = index.range_search(np.ascontiguousarray(block), bits + 1)
            rows = np.repeat(np.arange(len(block)), np.diff(ends.astype(np.int64)))
            distances = near.astype(np.int64)
        ahead = rows < others
        yield np.stack([rows[ahead] + at, others[ahead] + at, distances[ahead]], axis=1)


def _sharing_a_part(hashes: Hashes, bits: int) -> Iterator[NDArray[np.int64]]:
    words = np.ascontiguousarray(hashes).view(np.uint64)
    parts = np.ascontiguousarray(hashes).view(np.uint16)
    for part in range(PARTS):
        for mask in [0] + [1 << bit for bit in range(16)] if bits >= PARTS else [0]:
            for rows, others in _sharing(parts[:, part], mask):
                yield _within(words, rows, others, bits)


def _sharing(keys: NDArray[np.uint16], mask: int) -> Iterator[tuple[Rows, Rows]]:
    """Pairs of rows i < j with keys[i] ^ mask == keys[j], in pieces that fit in memory."""
    order = np.argsort(keys, kind="stable")
    ends = np.searchsorted(keys[order], np.arange(1 << 16), side="right")
    starts = np.concatenate([[0], ends[:-1]])
    wanted = (keys ^ np.uint16(mask)).astype(np.int64)
    counts = ends[wanted] - starts[wanted]
    upto = np.cumsum(counts)
    first = 0
    while first < len(keys):
        reached = upto[first - 1] if first else 0
        after = max(first + 1, int(np.searchsorted(upto, reached + CANDIDATES, side="right")))
        piece = np.arange(first, after)
        rows = np.repeat(piece, counts[piece])
        within = np.arange(len(rows)) - np.repeat(upto[piece] - counts[piece] - reached, counts[piece])
        others = order[np.repeat(starts[wanted[piece]], counts[piece]) + within]
        ahead = rows < others
        yield rows[ahead], others[ahead]
        first = after


def _within(words: NDArray[np.uint64], rows: Rows, others: Rows, bits: int) -> NDArray[np.int64]:
    """(pairs, 3): those at most `bits` apart. The first half of the hash decides nearly all of them."""
    apart = np.zeros(len(rows), np.int64)
    for half in (slice(0, 2), slice(2, 4)):
        apart = apart + np.bitwise_count(words[rows, half] ^ words[others, half]).sum(axis=1, dtype=np.int64)
        near = apart <= bits
        rows, others, apart = rows[near], others[near], apart[near]
    return np.stack([rows, others, apart], axis=1)
