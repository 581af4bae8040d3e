"""Weights as a function of their names, so that two implementations can be compared without any file."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable
from zlib import crc32

import numpy as np
import torch

from omnisrc.models import Recogniser

LAST_NORMS = ("conv3.bn.weight", "norm_c.weight", "bn3.weight")


def fill(model: Recogniser, their_key: Callable[[str], str]) -> None:
    """Draws every tensor by the name that its origin gives it."""
    with torch.no_grad():
        for key, value in model.state_dict().items():
            if not key.endswith("num_batches_tracked"):
                value.copy_(drawn(their_key(key), value.shape))


def drawn(name: str, shape: torch.Size) -> torch.Tensor:
    z = torch.from_numpy(np.random.RandomState(crc32(name.encode())).standard_normal(tuple(shape)))
    if name.endswith("running_var"):
        return 1 + 0.1 * z.abs()
    if name.endswith(("running_mean", "bias")):
        return 0.1 * z
    if name.endswith(("fc_cls.weight", "proj.weight")):
        return z * math.sqrt(1 / shape[1])
    if len(shape) > 1:
        return z * math.sqrt(2 / math.prod(shape[1:])) * (0.1 if "non_local" in name else 1)
    return (1 + 0.1 * z) * (0.2 if name.endswith(LAST_NORMS) else 1)


def noise(shape: tuple[int, ...]) -> torch.Tensor:
    return torch.from_numpy(np.random.RandomState(0).standard_normal(shape))


def layout(model: Recogniser, their_key: Callable[[str], str], counters: bool = True) -> str:
    """SHA-256 of the sorted lines "key shape" under another project's names."""
    lines = [
        f"{their_key(key)} {'x'.join(map(str, value.shape)) or 'scalar'}"
        for key, value in model.state_dict().items()
        if counters or not key.endswith("num_batches_tracked")
    ]
    return hashlib.sha256("\n".join(sorted(lines)).encode()).hexdigest()
