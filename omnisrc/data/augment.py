"""What is left to the device: flip, colour, normalisation, the length of stills, mixup."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from omnisrc.data.draws import uniforms

FLIP, BRIGHTNESS, CONTRAST, SATURATION = range(4)  # the streams of a sample's seed
LUMA = (0.299, 0.587, 0.114)


@dataclass(frozen=True)
class Augmentation:
    """Random changes of a batch. Colour factors are drawn from [1 - x, 1 + x], one for all frames of a sample."""

    flip: float = 0.5
    brightness: float = 0.0
    contrast: float = 0.0
    saturation: float = 0.0


NONE = Augmentation(flip=0.0)


def normalise(frames: Tensor, mean: tuple[float, ...], std: tuple[float, ...]) -> Tensor:
    """uint8 (B, V, C, T, H, W) -> float32 `(x - mean) / std`, with the channels last in memory."""
    width, channels = frames.shape[5], frames.shape[2]
    rows = frames.permute(0, 1, 3, 4, 5, 2).flatten(4)  # (B, V, T, H, W * C): a loop over C alone is ten times slower
    scale = torch.tensor([1 / s for s in std], device=frames.device).repeat(width)
    shift = torch.tensor([-m / s for m, s in zip(mean, std, strict=True)], device=frames.device).repeat(width)
    scaled = torch.addcmul(shift, rows.float(), scale)
    return scaled.view(*rows.shape[:4], width, channels).permute(0, 1, 5, 2, 3, 4)


def augment(
    frames: Tensor,
    seeds: NDArray[np.uint64],
    how: Augmentation,
    mean: tuple[float, ...],
    std: tuple[float, ...],
) -> Tensor:
    """Flips, recolours and normalises: uint8 (B, V, C, T, H, W) -> float32, each sample as its seed says.

    Two channels are flow, of which x changes its sign where it is flipped (`transforms.mirror`).
    """
    flipped = torch.from_numpy(uniforms(seeds, FLIP) < how.flip).to(frames.device)
    if how.flip > 0:
        mirrored = frames.flip(-1)
        if frames.shape[2] == 2:
            mirrored = torch.cat([255 - mirrored[:, :, :1], mirrored[:, :, 1:]], dim=2)
        frames = torch.where(flipped.view(-1, 1, 1, 1, 1, 1), mirrored, frames)
    if not (how.brightness or how.contrast or how.saturation):
        return normalise(frames, mean, std)
    return normalise(recolour(frames.float(), seeds, how), mean, std)


def recolour(pixels: Tensor, seeds: NDArray[np.uint64], how: Augmentation) -> Tensor:
    """Brightness, contrast about the sample's mean grey, saturation: (B, V, 3, T, H, W) in 0..255, kept there."""

    def factor(stream: int, reach: float) -> Tensor:
        drawn = 1 + reach * (2 * uniforms(seeds, stream) - 1)
        return torch.from_numpy(drawn.astype(np.float32)).to(pixels.device).view(-1, 1, 1, 1, 1, 1)

    luma = torch.tensor(LUMA, device=pixels.device).view(3, 1, 1, 1)
    pixels = (pixels * factor(BRIGHTNESS, how.brightness)).clamp(0, 255)
    grey = (pixels * luma).sum(2, keepdim=True)
    middle = grey.mean((1, 2, 3, 4, 5), keepdim=True)
    pixels = torch.lerp(middle, pixels, factor(CONTRAST, how.contrast)).clamp(0, 255)
    grey = (pixels * luma).sum(2, keepdim=True)
    return torch.lerp(grey, pixels, factor(SATURATION, how.saturation)).clamp(0, 255)


def as_clips(frames: Tensor, clip_len: int) -> Tensor:
    """Stills as clips for a 3-D student: (B, V, C, 1, H, W) -> (B, V, C, clip_len, H, W) without a copy."""
    if frames.shape[3] == 1 and clip_len > 1:
        return frames.expand(-1, -1, -1, clip_len, -1, -1)
    return frames


def mixup(
    frames: list[Tensor],
    labels: list[Tensor],
    alpha: float,
    where: Literal["within", "across"],
    rng: np.random.Generator,
) -> tuple[list[Tensor], list[Tensor]]:
    """Blends samples in pairs (Zhang et al., 2018), weights ~ Beta(alpha, alpha).

    Args:
        frames: float (B_s, V, C, T, H, W) of each source.
        labels: (B_s, classes) of each source, soft.
        where: `within` pairs the samples of one source; `across` pairs each with one of another source (OmniSource,
            section 3.6), of which it takes as many views and frames as it has itself.

    Returns:
        frames and soft labels of the same shapes.
    """
    mixed_frames, mixed_labels = [], []
    for s, (own, own_labels) in enumerate(zip(frames, labels, strict=True)):
        others = [o for o in range(len(frames)) if o != s] if where == "across" and len(frames) > 1 else [s]
        other = others[int(rng.integers(len(others)))]
        count, there = len(own), len(frames[other])
        partners = torch.from_numpy(np.resize(rng.permutation(there), count))
        share = torch.from_numpy(rng.beta(alpha, alpha, count).astype(np.float32)).to(own.device)
        blend = fitted(frames[other][partners], own)
        mixed_frames.append(torch.lerp(blend, own, share.view(-1, 1, 1, 1, 1, 1)))
        mixed_labels.append(torch.lerp(labels[other][partners], own_labels, share.view(-1, 1)))
    return mixed_frames, mixed_labels


def fitted(frames: Tensor, like: Tensor) -> Tensor:
    """`frames` with as many views and frames as `like`: the first of them, or the one there is again and again."""
    for dim in (1, 3):
        wanted, there = like.shape[dim], frames.shape[dim]
        if there < wanted:
            places = torch.arange(wanted, device=frames.device) % there
            frames = frames.index_select(dim, places)
        elif there > wanted:
            frames = frames.narrow(dim, 0, wanted)
    return frames
