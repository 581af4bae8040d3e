"""Weights as a function of their names in another project, for outputs that its own code gave once."""

from __future__ import annotations

import math
from collections.abc import Mapping
from zlib import crc32

import numpy as np
import torch


def fill(named: Mapping[str, torch.Tensor], small: str = "no name") -> None:
    """Norms near the identity (a fifth of it for names that end in `small`), kernels by He, layers by their inputs."""
    for name, value in named.items():
        if name.endswith("num_batches_tracked"):
            continue
        # A classifier written as a convolution of one place is the same numbers in the same order.
        z = torch.from_numpy(np.random.RandomState(crc32(name.encode())).standard_normal(tuple(value.shape)))
        if name.endswith("running_var"):
            z = 1 + 0.1 * z.abs()
        elif name.endswith(("running_mean", "bias")):
            z = 0.1 * z
        elif value.ndim == 2:
            z = z * math.sqrt(1 / value.shape[1])
        elif value.ndim > 1:
            z = z * math.sqrt(2 / value[0].numel())
        else:
            z = (1 + 0.1 * z) * (0.2 if name.endswith(small) else 1)
        with torch.no_grad():
            value.copy_(z)


def noise(*shape: int) -> torch.Tensor:
    """The input of the goldens, float64."""
    return torch.from_numpy(np.random.RandomState(0).standard_normal(shape))
