"""torchvision's video networks as trunks: their own modules under their own names, without the classifiers."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import nn

from omnisrc.models.trunks.trunk import Stage, Trunk


class Adopted(Trunk):
    """Takes the children of a torchvision network except its pooling and classifier."""

    def __init__(self, network: nn.Module, stages: tuple[Stage, ...]) -> None:
        super().__init__()
        self.stages = stages
        for name, child in network.named_children():
            if name not in ("avgpool", "fc", "classifier", "head"):
                self.add_module(name, child)

    def walk(self, clips: torch.Tensor) -> Iterator[torch.Tensor]:
        """The map of each stage, in their order."""
        raise NotImplementedError

    def forward(self, clips: torch.Tensor) -> torch.Tensor:
        x = clips
        for x in self.walk(clips):  # noqa: B007
            pass
        return x

    def maps(self, clips: torch.Tensor) -> dict[str, torch.Tensor]:
        return {stage.name: x for stage, x in zip(self.stages, self.walk(clips), strict=True)}


class VideoResNet(Adopted):
    """R3D, MC3, R(2+1)D of 18 layers (Tran et al., 2018). MC3 sees no time after layer1 and never strides it."""

    def __init__(self, network: nn.Module, strides_time: bool) -> None:
        widths = (64, 128, 256, 512)
        super().__init__(
            network,
            tuple(Stage(f"layer{at + 1}", widths[at], 2 * 2**at, 2**at if strides_time else 1) for at in range(4)),
        )

    def walk(self, clips: torch.Tensor) -> Iterator[torch.Tensor]:
        x = self.get_submodule("stem")(clips)
        for stage in self.stages:
            x = self.get_submodule(stage.name)(x)
            yield x


class S3D(Adopted):
    """S3D (Xie et al., 2018): separable Inception."""

    ENDS = (3, 6, 12, 15)
    """Places in `features` of the last map of each size."""

    def __init__(self, network: nn.Module) -> None:
        shapes = (("conv2", 192, 4, 2), ("mixed3", 480, 8, 2), ("mixed4", 832, 16, 4), ("mixed5", 1024, 32, 8))
        super().__init__(network, tuple(Stage(*shape) for shape in shapes))

    def walk(self, clips: torch.Tensor) -> Iterator[torch.Tensor]:
        x = clips
        for at, step in enumerate(self.get_submodule("features").children()):
            x = step(x)
            if at in self.ENDS:
                yield x


class Swin3D(Adopted):
    """Video Swin (Liu et al., 2022): windows of 8 x 7 x 7 tokens, each of 2 frames of 4 x 4 pixels.

    The last map is normed, as the classifier sees it. Clips of any length and size; sides are padded to windows.
    """

    def __init__(self, network: nn.Module, width: int) -> None:
        super().__init__(network, tuple(Stage(f"stage{at + 1}", width * 2**at, 4 * 2**at, 2) for at in range(4)))

    def walk(self, clips: torch.Tensor) -> Iterator[torch.Tensor]:
        x = self.get_submodule("pos_drop")(self.get_submodule("patch_embed")(clips))  # (N, T/2, H/4, W/4, D)
        for at, step in enumerate(
            self.get_submodule("features").children()
        ):  # stages, and between them the merging of patches
            x = step(x)
            if at == 6:
                x = self.get_submodule("norm")(x)
            if at % 2 == 0:
                yield x.permute(0, 4, 1, 2, 3)


class MViT(Adopted):
    """Multiscale vision transformer (Fan et al., 2021; Li et al., 2022) for clips of one length and size.

    The classifier reads the class token, so the last "map" is that token, one place that stands for the whole clip;
    the stages before it are the maps of the other tokens.

    Args:
        build: makes the network; it is called again on the meta device, to see the sizes of its maps.
    """

    def __init__(self, build: Callable[[], nn.Module], clip_len: int, side: int) -> None:
        super().__init__(build(), ())
        with torch.device("meta"):
            shape, clip = Adopted(build(), ()).eval(), torch.empty(1, 3, clip_len, side, side)
        self.ends: list[int] = []
        stages: list[Stage] = []
        for at, (tokens, (frames, rows, _)) in enumerate(_blocks(shape, clip)):
            name, stride = f"stage{len(stages) + 1}", side // rows
            if stages and stages[-1].stride == stride:
                self.ends.pop()
                name = stages.pop().name
            self.ends.append(at)
            stages.append(Stage(name, tokens.shape[2], stride, clip_len // frames))
        self.stages = (*stages, Stage("token", stages[-1].channels, side, clip_len))

    def walk(self, clips: torch.Tensor) -> Iterator[torch.Tensor]:
        tokens = clips
        for at, (tokens, size) in enumerate(_blocks(self, clips)):
            if at in self.ends:
                yield tokens[:, 1:].transpose(1, 2).reshape(len(clips), -1, *size)
        yield self.get_submodule("norm")(tokens)[:, 0, :, None, None, None]


def _blocks(trunk: nn.Module, clips: torch.Tensor) -> Iterator[tuple[torch.Tensor, tuple[int, int, int]]]:
    """After each block: the tokens (N, 1 + T'H'W', D), the class token first, and (T', H', W')."""
    place = trunk.get_submodule("pos_encoding")
    size = (place.temporal_size, *place.spatial_size)  # type: ignore[misc]
    tokens = place(trunk.get_submodule("conv_proj")(clips).flatten(2).transpose(1, 2))
    for block in trunk.get_submodule("blocks").children():
        tokens, size = block(tokens, size)
        yield tokens, size
