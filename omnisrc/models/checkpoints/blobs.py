"""Caffe2's pickles: a dict of named arrays. Only numpy's arrays are built from them; any other name is refused."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

ALLOWED = {
    (module, name)
    for core in ("numpy.core", "numpy._core")
    for module, name in ((f"{core}.multiarray", "_reconstruct"), (f"{core}.multiarray", "scalar"))
} | {("numpy", "ndarray"), ("numpy", "dtype"), ("_codecs", "encode")}
"""What a pickled array is made of. An array of objects would hold only what these make, and is dropped below."""


class RefusedName(pickle.UnpicklingError):
    """The pickle names something that is no part of an array."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


class _Arrays(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in ALLOWED:
            raise RefusedName(f"{module}.{name}")
        return super().find_class(module.replace("numpy.core", "numpy._core"), name)


def load_blobs(path: Path) -> Any:
    """`{"blobs": {name: array}}` as tensors by name, momentum and counters of training left out."""
    with path.open("rb") as file:
        loaded = _Arrays(file, encoding="latin1").load()
    blobs = loaded.get("blobs", loaded) if isinstance(loaded, Mapping) else loaded
    if not isinstance(blobs, Mapping):
        return blobs
    return {
        str(key): torch.from_numpy(value.copy())
        for key, value in blobs.items()
        if isinstance(value, np.ndarray) and value.dtype.kind == "f" and not str(key).endswith("_momentum")
    }
