"""Small networks for the tests of the models."""

from __future__ import annotations

from typing import Any

import torch

from omnisrc.models import Recogniser, create_model

FAMILIES = (
    "tsn_r18",
    "slowonly_r18",
    "tsm_r18",
    "i3d_r50",
    "i3d_nl_dot",
    "i3d_nl_embedded",
    "i3d_nl_gauss",
    "c2d_r50",
    "r2plus1d_r34",
    "r2plus1d_r50",
    "ircsn_r50",
    "ipcsn_r50",
    "slowfast_r18",
    "omni_r18",
)
"""One of each kind of residual network."""


def seasoned(name: str, classes: int = 5, width: int = 4, **args: Any) -> Recogniser:
    """A network whose tensors all differ: norms have random statistics and gammas, as after training."""
    model = create_model(name, classes, width=width, **args)
    with torch.no_grad():
        for key, value in model.state_dict().items():
            if key.endswith("running_var"):
                value.uniform_(0.5, 1.5)
            elif value.ndim == 1:
                value.normal_(0.5, 0.2)
    return model.eval()


def same(one: Recogniser, other: Recogniser) -> bool:
    """Whether two networks hold equal tensors under equal names."""
    ours, theirs = one.state_dict(), other.state_dict()
    return ours.keys() == theirs.keys() and all(torch.equal(ours[key], theirs[key]) for key in ours)


def views(model: Recogniser, batch: int = 2, side: int = 32) -> torch.Tensor:
    """(batch, 3, 3, T, side, side): frames for a 2-D network, clips of four for a 3-D one."""
    frames = 1 if model.input.dims == "2d" else 4
    return torch.randn(batch, 3, 3, frames, side, side)


def season(model: Recogniser) -> Recogniser:
    """Random statistics and gammas of norms, where there are any; in evaluation mode."""
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, torch.nn.BatchNorm2d | torch.nn.BatchNorm3d):
                module.running_var.uniform_(0.5, 1.5)
                module.weight.normal_(0.8, 0.2)
    return model.eval()


def check_stages(model: Recogniser, clips: torch.Tensor) -> None:
    """That a trunk gives the map of every stage as it says, sizes rounded up, and `forward` the last of them."""
    trunk = model.trunk.eval()
    with torch.no_grad():
        maps, last = trunk.maps(clips), trunk(clips)
    assert list(maps) == [stage.name for stage in trunk.stages]
    if last.device.type != "meta":
        assert torch.equal(maps[trunk.stages[-1].name], last)
    for stage in trunk.stages:
        frames, *sides = (-(-size // stride) for size, stride in zip(
            clips.shape[2:], (stage.temporal_stride, stage.stride, stage.stride), strict=True
        ))  # fmt: skip
        assert tuple(maps[stage.name].shape) == (len(clips), stage.channels, frames, *sides), stage
