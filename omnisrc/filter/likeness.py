"""Copies by embedding: cosine similarity after whitening, above what two crops of one frame have on average.

OmniSource (ECCV 2020, section 3.3) compares web and target so, with an ImageNet-trained ResNet-50.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from omnisrc.data.near import Rows
from omnisrc.filter.arrays import read_arrays
from omnisrc.filter.leaks import CHANGES
from omnisrc.shards.store import ShardStore

Vectors = NDArray[np.float32]  # (N, D)
DIMS = 128
FITTED = 20_000
SHRINK = 1e-3  # of the largest variance, added to all: directions that hardly vary are noise
BLOCK = 4096
NAMES = ("items", "embedding", "crops_a", "crops_b", *(f"planted_{name}" for name in CHANGES))


@dataclass(frozen=True)
class Likeness:
    """For each web frame (F,) the most similar frame of val or test. `threshold` is the calibrated similarity."""

    owners: Rows  # sample of each web frame
    items: Rows  # target item of the frame most like it
    similarity: NDArray[np.float32]
    threshold: float
    recall: dict[str, float]  # of planted leaks, by what was done to them

    def contaminated(self, samples: Rows) -> tuple[NDArray[np.bool_], Rows, NDArray[np.float64]]:
        """For samples (N,), sorted: whether a frame is too similar, to which item (-1: none), and how similar."""
        found = np.zeros(len(samples), bool)
        items = np.full(len(samples), -1, np.int64)
        best = np.zeros(len(samples))
        at = np.searchsorted(samples, self.owners)
        known = (at < len(samples)) & (samples[np.minimum(at, max(0, len(samples) - 1))] == self.owners)
        hits = np.flatnonzero(known & (self.similarity >= self.threshold))
        for hit in hits[np.argsort(self.similarity[hits])]:  # the most similar last, so that it stays
            found[at[hit]], items[at[hit]], best[at[hit]] = True, self.items[hit], self.similarity[hit]
        return found, items, best


class Whitening:
    """Rotates and scales embeddings so that they vary alike in every direction; fitted to (N, D)."""

    def __init__(self, vectors: Vectors) -> None:
        sample = vectors[:: max(1, len(vectors) // FITTED)].astype(np.float64)
        self.mean = sample.mean(axis=0)
        values, axes = np.linalg.eigh(np.cov(sample - self.mean, rowvar=False))
        dims = min(DIMS, sample.shape[1], max(1, len(sample) - 1))
        values, axes = values[::-1][:dims], axes[:, ::-1][:, :dims]
        self.matrix = axes / np.sqrt(values.clip(0) + SHRINK * max(values[0], 1e-12))

    def __call__(self, vectors: Vectors) -> Vectors:
        """(N, D) -> (N, dims) of length 1."""
        turned = (vectors.astype(np.float64) - self.mean) @ self.matrix
        unit: Vectors = (turned / np.linalg.norm(turned, axis=1, keepdims=True).clip(1e-12)).astype(np.float32)
        return unit


def find_alike(
    web: tuple[Rows, Vectors],
    target: tuple[Rows, Vectors],
    crops: tuple[Vectors, Vectors],
    planted: Mapping[str, Vectors],
) -> Likeness:
    """Compares web frames (owners (F,), embeddings (F, D)) with target frames (items (G,), (G, D)).

    `crops` are embeddings (K, D) of two crops of each of K frames: their mean similarity is the threshold.
    """
    whiten = Whitening(np.concatenate([target[1], web[1]]))
    a, b = whiten(crops[0]), whiten(crops[1])
    threshold = float((a * b).sum(axis=1).mean())
    frames = whiten(target[1])
    rows, similarity = most_similar(whiten(web[1]), frames)
    recall = {
        name: round(float((most_similar(whiten(vectors), frames)[1] >= threshold).mean()), 3)
        for name, vectors in planted.items()
        if len(vectors)
    }
    return Likeness(web[0], target[0][rows], similarity, threshold, recall)


def most_similar(left: Vectors, right: Vectors) -> tuple[Rows, NDArray[np.float32]]:
    """For each unit vector of `left` (N, D) the row of `right` with the largest product, and the product."""
    rows = np.zeros(len(left), np.int64)
    best = np.full(len(left), -1.0, np.float32)
    for at in range(0, len(left), BLOCK):
        products = left[at : at + BLOCK] @ right.T
        rows[at : at + BLOCK] = products.argmax(axis=1)
        best[at : at + BLOCK] = products.max(axis=1)
    return rows, best


def load_alike(store: ShardStore, target_file: str, web_files: Sequence[str]) -> Likeness | None:
    """`find_alike` over the files that `embed` wrote, by their places; None where one side is empty."""
    items, *vectors = _arrays(store, target_file, *NAMES)
    frames, crops_a, crops_b, *planted = (each.astype(np.float32) for each in vectors)
    web = [_arrays(store, file, "samples", "embedding") for file in web_files]
    owners = [samples for samples, _ in web if len(samples)]
    if not owners or not len(items) or not len(crops_a):
        return None
    seen = np.concatenate([embedding.astype(np.float32) for samples, embedding in web if len(samples)])
    leaks = dict(zip(CHANGES, planted, strict=True))
    return find_alike((np.concatenate(owners), seen), (items, frames), (crops_a, crops_b), leaks)


def _arrays(store: ShardStore, place: str, *names: str) -> list[NDArray[Any]]:
    with store.holding(place) as path:
        return read_arrays(path, *names)
