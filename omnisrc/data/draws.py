"""Random numbers as a function of a key and a position: no state to save, to fork or to lose."""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import NDArray

GOLDEN = np.uint64(0x9E3779B97F4A7C15)


def key_of(*parts: object) -> int:
    """A 64-bit key from what names a stream of numbers, such as `(seed, "web-image", "order", 3)`."""
    text = "\x1f".join(map(str, parts))
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little")


def mix64(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """The finaliser of SplitMix64 (Steele, Lea, Flood 2014): a bijection that scatters 64-bit integers."""
    z = values.copy()
    z ^= z >> np.uint64(30)
    z *= np.uint64(0xBF58476D1CE4E5B9)
    z ^= z >> np.uint64(27)
    z *= np.uint64(0x94D049BB133111EB)
    z ^= z >> np.uint64(31)
    return z


def seeds_at(key: int, positions: NDArray[np.int64]) -> NDArray[np.uint64]:
    """The 64-bit seeds of SplitMix64's sequence started at `key`, at any positions."""
    return mix64(np.uint64(key) + (positions.astype(np.uint64) + np.uint64(1)) * GOLDEN)


def uniforms(seeds: NDArray[np.uint64], stream: int) -> NDArray[np.float64]:
    """One number in [0, 1) for each seed; each `stream` gives numbers independent of the others."""
    bits = seeds_at_each(seeds, stream) >> np.uint64(11)
    return bits.astype(np.float64) * 2.0**-53


def seeds_at_each(seeds: NDArray[np.uint64], stream: int) -> NDArray[np.uint64]:
    """The number at position `stream` of the sequence of each seed."""
    offset = np.array((stream + 1) * int(GOLDEN) % 2**64, dtype=np.uint64)
    return mix64(seeds + offset)
