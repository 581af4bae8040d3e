"""Recognisers of optical flow: another entrance, stacked fields, and weights that learnt to see colours."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import torch
from torch import Tensor, nn

from omnisrc.errors import UserError
from omnisrc.models.inputs import FLOW_MEAN, FLOW_STD, InputSpec
from omnisrc.models.recogniser import Recogniser

FIELDS = 5
"""Fields of flow that a 2-D trunk sees at once: TSN's L (Wang et al., 2016); two-stream networks have 10."""

Convolution = nn.Conv2d | nn.Conv3d


def see_flow(model: Recogniser, in_channels: int = 0) -> None:
    """Makes a fresh RGB recogniser one of flow: its first convolution (SlowFast: of each pathway) takes `in_channels`
    channels.

    A 2-D model takes two for each of `in_channels / 2` neighbouring fields (0: 10, as in TSN), a 3-D one x and y of
    each field (0: 2). A new convolution is drawn with the deviation of the old one. `UserError` for a number of
    channels, or a model, that does not go with flow.
    """
    spec = model.input
    flat = spec.dims == "2d"
    wanted = in_channels or (2 * FIELDS if flat else 2)
    if wanted < 2 or wanted % 2 or (not flat and wanted != 2):
        takes = "an even number of channels, 2 for each field" if flat else "2 channels, x and y"
        raise UserError(f"model {model.name} sees flow through {takes}, not in_channels={wanted}")
    widen(model, wanted)
    model.input = replace(
        spec, clip_len=wanted // 2 if flat else spec.clip_len, frame_interval=1 if flat else spec.frame_interval,
        mean=FLOW_MEAN, std=FLOW_STD, modality="flow", channels=wanted,
    )  # fmt: skip


def widen(model: Recogniser, in_channels: int) -> None:
    """Replaces the trunk's first convolutions by ones of so many input channels, drawn with the same deviation."""
    for name, old in entrances(model).items():
        new = type(old)(
            in_channels, old.out_channels, old.kernel_size, old.stride, old.padding, old.dilation,  # type: ignore[arg-type]
            bias=old.bias is not None, device=old.weight.device, dtype=old.weight.dtype,
        )  # fmt: skip
        with torch.no_grad():
            new.weight.copy_(torch.randn_like(new.weight) * old.weight.std())
            if old.bias is not None and new.bias is not None:
                new.bias.copy_(old.bias)
        parent, _, own = name.rpartition(".")
        module = model.trunk.get_submodule(parent)
        setattr(module, own, new)
        if hasattr(module, "num_channels"):  # transformers' patch embeddings compare it with their input
            module.num_channels = in_channels  # type: ignore[assignment]


def entrances(model: Recogniser) -> dict[str, Convolution]:
    """The convolutions that see the frames, by their names in the trunk: those that it names (one a pathway), else the
    only one of three channels.

    `UserError` where none or several take three channels.
    """
    found = {
        name: module
        for name, module in model.trunk.named_modules()
        if isinstance(module, nn.Conv2d | nn.Conv3d) and module.in_channels == 3 and module.groups == 1
    }
    if model.trunk.entrances:
        return {name: found[name] for name in model.trunk.entrances}
    if len(found) != 1:
        raise UserError(
            f"model {model.name} takes RGB alone: {len(found)} of its convolutions see three channels, and it does not"
            " say which of them sees the frames; use another for flow, such as tsn_r50, i3d_r50 or slowfast_r50"
        )
    return found


def cross_modality(state: Mapping[str, Tensor], target: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """RGB weights for a network of other channels (Wang et al., 2016, section 3.2).

    A kernel of three input channels where the target has n becomes its mean over them, n times; the rest, biases too,
    is taken as it is. The response to an input whose n channels all equal v is n / 3 times that of the RGB network to a
    grey picture of v: (2 L / 3) for L fields.
    """
    adapted = dict(state)
    for key, value in state.items():
        wanted = target.get(key)
        if wanted is None or value.ndim < 4 or value.ndim != wanted.ndim or value.shape[1] != 3:
            continue
        if wanted.shape[1] != 3 and value.shape[0] == wanted.shape[0] and value.shape[2:] == wanted.shape[2:]:
            adapted[key] = value.mean(1, keepdim=True).repeat_interleave(wanted.shape[1], dim=1)
    return adapted


def stacked(frames: Tensor, spec: InputSpec) -> Tensor:
    """Frames as the model takes them: (B, V, c, T, H, W) -> (B, V, channels, T * c / channels, H, W).

    Neighbouring fields of flow become channels, x and y of the first, x and y of the second, and so on. What has as
    many channels as the model comes back as it is.
    """
    b, v, c, t, h, w = frames.shape
    fields = spec.channels // c
    if fields * c != spec.channels or t % fields:
        raise ValueError(f"{t} frames of {c} channels do not make up {spec.channels} channels")
    if fields == 1:
        return frames
    together = frames.permute(0, 1, 3, 2, 4, 5).reshape(b, v, t // fields, spec.channels, h, w)
    return together.permute(0, 1, 3, 2, 4, 5)
