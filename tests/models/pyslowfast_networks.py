"""PySlowFast's networks written again from its description, small, for its names and outputs.

facebookresearch/SlowFast, slowfast/models: video_model_builder (SlowFast, ResNet, X3D), stem_helper, resnet_helper,
nonlocal_helper, head_helper. Modules have its names, and so do their state dicts.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn.functional import max_pool3d, relu, silu

BLOCKS = {50: (3, 4, 6, 3), 101: (3, 4, 23, 3)}


def conv(inputs: int, outputs: int, kernel: tuple[int, int, int], stride: int = 1, **more: int) -> nn.Conv3d:
    padding = (kernel[0] // 2, kernel[1] // 2, kernel[2] // 2)
    return nn.Conv3d(inputs, outputs, kernel, (1, stride, stride), padding, bias=False, **more)


class Stem(nn.Module):
    def __init__(self, width: int, frames: int) -> None:
        super().__init__()
        self.conv, self.bn = conv(3, width, (frames, 7, 7), 2), nn.BatchNorm3d(width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return max_pool3d(relu(self.bn(self.conv(x))), (1, 3, 3), (1, 2, 2), (0, 1, 1))


class Branch2(nn.Module):
    def __init__(self, inputs: int, inner: int, outputs: int, frames: int, stride: int) -> None:
        super().__init__()
        self.a, self.a_bn = conv(inputs, inner, (frames, 1, 1)), nn.BatchNorm3d(inner)
        self.b, self.b_bn = conv(inner, inner, (1, 3, 3), stride), nn.BatchNorm3d(inner)
        self.c, self.c_bn = conv(inner, outputs, (1, 1, 1)), nn.BatchNorm3d(outputs)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.c_bn(self.c(relu(self.b_bn(self.b(relu(self.a_bn(self.a(x))))))))


class Squeeze(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        few = max(8, int(channels / 16 + 4) // 8 * 8)
        few += 8 if few < 0.9 * channels / 16 else 0
        self.fc1, self.fc2 = nn.Conv3d(channels, few, 1), nn.Conv3d(few, channels, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * torch.sigmoid(self.fc2(relu(self.fc1(x.mean((2, 3, 4), keepdim=True)))))


class ChannelWise(nn.Module):
    def __init__(self, inputs: int, inner: int, outputs: int, stride: int, squeezes: bool) -> None:
        super().__init__()
        self.a, self.a_bn = conv(inputs, inner, (1, 1, 1)), nn.BatchNorm3d(inner)
        self.b, self.b_bn = conv(inner, inner, (3, 3, 3), stride, groups=inner), nn.BatchNorm3d(inner)
        if squeezes:
            self.se = Squeeze(inner)
        self.c, self.c_bn = conv(inner, outputs, (1, 1, 1)), nn.BatchNorm3d(outputs)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.b_bn(self.b(relu(self.a_bn(self.a(x)))))
        return self.c_bn(self.c(silu(self.se(x) if hasattr(self, "se") else x)))


class Block(nn.Module):
    def __init__(self, inputs: int, outputs: int, stride: int, branch2: nn.Module) -> None:
        super().__init__()
        if inputs != outputs or stride != 1:
            self.branch1, self.branch1_bn = conv(inputs, outputs, (1, 1, 1), stride), nn.BatchNorm3d(outputs)
        self.branch2 = branch2

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        short_cut = self.branch1_bn(self.branch1(x)) if hasattr(self, "branch1") else x
        return relu(short_cut + self.branch2(x))


class Nonlocal(nn.Module):
    def __init__(self, channels: int, softmax: bool) -> None:
        super().__init__()
        self.inner, self.softmax = channels // 2, softmax
        self.conv_theta, self.conv_phi, self.conv_g = (nn.Conv3d(channels, self.inner, 1) for _ in range(3))
        self.conv_out, self.norm = nn.Conv3d(self.inner, channels, 1), nn.BatchNorm3d(channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        pooled = max_pool3d(x, (1, 2, 2))
        theta, phi, g = self.conv_theta(x).flatten(2), self.conv_phi(pooled).flatten(2), self.conv_g(pooled).flatten(2)
        pairs = torch.einsum("nct,ncp->ntp", theta, phi)
        pairs = (pairs * self.inner**-0.5).softmax(2) if self.softmax else pairs / pairs.shape[2]
        heard = torch.einsum("ntg,ncg->nct", pairs, g).view(x.shape[0], self.inner, *x.shape[2:])
        return x + self.norm(self.conv_out(heard))


class Fuse(nn.Module):
    def __init__(self, channels: int, kernel: int, alpha: int) -> None:
        super().__init__()
        self.conv_f2s = nn.Conv3d(
            channels, 2 * channels, (kernel, 1, 1), (alpha, 1, 1), (kernel // 2, 0, 0), bias=False
        )
        self.bn = nn.BatchNorm3d(2 * channels)

    def forward(self, fast: torch.Tensor) -> torch.Tensor:
        return relu(self.bn(self.conv_f2s(fast)))


class Head(nn.Module):
    def __init__(self, channels: int, classes: int) -> None:
        super().__init__()
        self.projection = nn.Linear(channels, classes)


class SlowFast(nn.Module):
    """[(N, 3, T / alpha, H, W), (N, 3, T, H, W)] -> logits; `timed` blocks of s4 see other frames, by pathway."""

    def __init__(
        self, depth: int, classes: int, alpha: int, kernel: int, width: int = 16, timed: tuple[int, int] = (99, 99)
    ) -> None:
        super().__init__()
        self.blocks = BLOCKS[depth]
        frames = (([1], [1], [1], [3], [3]), ([5], [3], [3], [3], [3]))
        widths = (width, width // 8)
        self.s1 = nn.Module()
        for way in (0, 1):
            self.s1.add_module(f"pathway{way}_stem", Stem(widths[way], frames[way][0][0]))
        self.s1_fuse = Fuse(widths[1], kernel, alpha)
        inputs = [widths[0] + 2 * widths[1], widths[1]]
        for at, count in enumerate(self.blocks):
            stage, outputs = nn.Module(), [4 * wide * 2**at for wide in widths]
            for way in (0, 1):
                here = inputs[way]
                for block in range(count):
                    seen = frames[way][at + 1][0] if at != 2 or block < timed[way] else 1
                    stride = 2 if at and not block else 1
                    branch = Branch2(here, outputs[way] // 4, outputs[way], seen, stride)
                    stage.add_module(f"pathway{way}_res{block}", Block(here, outputs[way], stride, branch))
                    here = outputs[way]
            self.add_module(f"s{at + 2}", stage)
            inputs = [outputs[0] + 2 * outputs[1], outputs[1]]
            if at < 3:
                self.add_module(f"s{at + 2}_fuse", Fuse(outputs[1], kernel, alpha))
        self.head = Head(sum(outputs), classes)

    def forward(self, clips: list[torch.Tensor]) -> torch.Tensor:
        slow, fast = (self.s1.get_submodule(f"pathway{way}_stem")(clips[way]) for way in (0, 1))
        for at, count in enumerate(self.blocks):
            slow = torch.cat([slow, self.get_submodule(f"s{at + 1}_fuse")(fast)], 1)
            stage = self.get_submodule(f"s{at + 2}")
            for block in range(count):
                slow = stage.get_submodule(f"pathway0_res{block}")(slow)
                fast = stage.get_submodule(f"pathway1_res{block}")(fast)
        return self.head.projection(torch.cat([slow.mean((2, 3, 4)), fast.mean((2, 3, 4))], 1))


class I3D(nn.Module):
    """ResNet-50 of one pathway; `nonlocals` puts the block behind the 2nd, 4th (and 6th) of s3 and s4."""

    def __init__(self, classes: int, pooled: bool = True, nonlocals: str = "", width: int = 16) -> None:
        super().__init__()
        self.pooled, inputs = pooled, width
        self.s1 = nn.Module()
        self.s1.add_module("pathway0_stem", Stem(width, 5))
        for at, pattern in enumerate(((3,), (3, 1), (3, 1), (1, 3))):
            stage, outputs = nn.Module(), 4 * width * 2**at
            for block in range(BLOCKS[50][at]):
                stride = 2 if at and not block else 1
                branch = Branch2(inputs, outputs // 4, outputs, pattern[block % len(pattern)], stride)
                stage.add_module(f"pathway0_res{block}", Block(inputs, outputs, stride, branch))
                if nonlocals and at in (1, 2) and block % 2:
                    stage.add_module(f"pathway0_nonlocal{block}", Nonlocal(outputs, nonlocals == "softmax"))
                inputs = outputs
            self.add_module(f"s{at + 2}", stage)
        self.head = Head(inputs, classes)

    def forward(self, clips: torch.Tensor) -> torch.Tensor:
        x = self.s1.get_submodule("pathway0_stem")(clips)
        for at in range(4):
            if at == 1 and self.pooled:
                x = max_pool3d(x, (2, 1, 1))
            for module in self.get_submodule(f"s{at + 2}").children():
                x = module(x)
        return self.head.projection(x.mean((2, 3, 4)))


class X3DStem(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv_xy, self.bn = conv(3, width, (1, 3, 3), 2), nn.BatchNorm3d(width)
        self.conv = conv(width, width, (5, 1, 1), groups=width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return relu(self.bn(self.conv(self.conv_xy(x))))


class X3DHead(nn.Module):
    def __init__(self, inputs: int, inner: int, classes: int) -> None:
        super().__init__()
        self.conv_5, self.conv_5_bn = conv(inputs, inner, (1, 1, 1)), nn.BatchNorm3d(inner)
        self.lin_5 = conv(inner, 2048, (1, 1, 1))
        self.projection = nn.Linear(2048, classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        mean = relu(self.conv_5_bn(self.conv_5(x))).mean((2, 3, 4), keepdim=True)
        return self.projection(relu(self.lin_5(mean)).flatten(1))


class X3D(nn.Module):
    """XS, S and M: 24 channels, depth 2.2."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.s1 = nn.Module()
        self.s1.add_module("pathway0_stem", X3DStem(24))
        inputs = 24
        for at, count in enumerate((3, 5, 11, 7)):
            stage, outputs = nn.Module(), 24 * 2**at
            for block in range(count):
                stride = 1 if block else 2
                branch = ChannelWise(inputs, int(2.25 * outputs), outputs, stride, block % 2 == 0)
                stage.add_module(f"pathway0_res{block}", Block(inputs, outputs, stride, branch))
                inputs = outputs
            self.add_module(f"s{at + 2}", stage)
        self.head = X3DHead(inputs, int(2.25 * inputs), classes)

    def forward(self, clips: torch.Tensor) -> torch.Tensor:
        x = self.s1.get_submodule("pathway0_stem")(clips)
        for at in range(4):
            for module in self.get_submodule(f"s{at + 2}").children():
                x = module(x)
        return self.head(x)
