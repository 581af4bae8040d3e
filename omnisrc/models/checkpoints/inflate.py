"""2-D weights for a 3-D network (Carreira and Zisserman, 2017, section 2.4)."""

from __future__ import annotations

from collections.abc import Mapping

import torch

State = Mapping[str, torch.Tensor]


def inflates(state: State, target: State) -> bool:
    """Whether `state` has 2-D kernels where `target` has 3-D ones of the same channels, height and width."""
    pairs = [(value.shape, target[key].shape) for key, value in state.items() if key in target and value.ndim == 4]
    flat = [(theirs, own) for theirs, own in pairs if len(own) == 5]
    return bool(flat) and all((*own[:2], *own[3:]) == tuple(theirs) for theirs, own in flat)


def inflate(state: State, target: State) -> dict[str, torch.Tensor]:
    """Repeats each 2-D kernel over the target's time and divides by its length; the rest is taken as it is.

    Away from the temporal borders (where zeros are padded) a still clip then gives what the 2-D network gives.
    """
    inflated = dict(state)
    for key, value in state.items():
        wanted = target.get(key)
        if wanted is not None and value.ndim == 4 and wanted.ndim == 5:
            frames = wanted.shape[2]
            inflated[key] = value.unsqueeze(2).repeat(1, 1, frames, 1, 1) / frames
    return inflated
