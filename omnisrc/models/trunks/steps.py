"""A 2-D trunk that is a sequence of steps: the networks of torchvision, their classifiers left off."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterable, Iterator

import torch
from torch import nn

from omnisrc.models.trunks.trunk import Stage, Trunk, fold_frames, unfold_frames

CLASSIFIERS = ("avgpool", "flatten", "dropout", "fc", "classifier", "head", "heads")
"""Children with which a network of torchvision stops giving maps."""

PROBE = 224


class SteppedTrunk(Trunk):
    """The children of a classifying network up to its pooling, under their own names.

    The stages are the last maps of each size, from a quarter of the input on, by the names of the steps that give them.
    Networks that do not pad (AlexNet, SqueezeNet, Inception v3) give maps a few places smaller than the strides say.

    Args:
        network: a copy of it is shown a picture on the meta device, to see the sizes of its maps.
        channels_last: the maps between its `features` are (N, H, W, D), as Swin's are.
        relu: its classifier rectifies the last map before pooling it, as DenseNet's does.
    """

    def __init__(self, network: nn.Module, channels_last: bool = False, relu: bool = False) -> None:
        super().__init__()
        for name, child in maps_of(network).items():
            self.add_module(name, child)
        if relu:
            self.last_relu = nn.ReLU()
        self.channels_last = channels_last
        self.stages = self._stages()

    def _stages(self) -> tuple[Stage, ...]:
        found: dict[int, Stage] = {}
        x = torch.empty(1, 3, PROBE, PROBE, device="meta")
        for name, step in steps_of(copy.deepcopy(self).to("meta").eval().named_children()):
            x = step(x)
            channels, side = self._framed(name, x).shape[1:3]
            stride = 2 ** round(math.log2(PROBE / side))
            if stride >= 4:
                found[stride] = Stage(name, channels, stride)
        return tuple(found.values())

    def forward(self, clips: torch.Tensor) -> torch.Tensor:
        x = fold_frames(clips)
        for _, step in steps_of(self.named_children()):
            x = step(x)
        return unfold_frames(x, clips.shape[2])

    def maps(self, clips: torch.Tensor) -> dict[str, torch.Tensor]:
        x, found, wanted = fold_frames(clips), {}, [stage.name for stage in self.stages]
        for name, step in steps_of(self.named_children()):
            x = step(x)
            if name in wanted:
                found[name] = unfold_frames(self._framed(name, x), clips.shape[2])
        found[wanted[-1]] = unfold_frames(x, clips.shape[2])
        return found

    def _framed(self, name: str, x: torch.Tensor) -> torch.Tensor:
        """A step's map as (N, D, H, W)."""
        return x.permute(0, 3, 1, 2) if self.channels_last and name != "permute" else x


def maps_of(network: nn.Module) -> dict[str, nn.Module]:
    """Its children up to the pooling or the classifier."""
    kept: dict[str, nn.Module] = {}
    for name, child in network.named_children():
        if name in CLASSIFIERS:
            break
        kept[name] = child
    return kept


def steps_of(children: Iterable[tuple[str, nn.Module]]) -> Iterator[tuple[str, nn.Module]]:
    """The children in their order, those of sequences and lists one by one."""
    for name, child in children:
        if isinstance(child, nn.Sequential | nn.ModuleList):
            yield from ((f"{name}.{part}", step) for part, step in child.named_children())
        else:
            yield name, child
