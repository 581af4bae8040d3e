"""CLIP and SigLIP: a vector for each frame, a vector for each class, and their cosine."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from omnisrc.models.heads.head import Head
from omnisrc.models.trunks.trunk import Stage, Trunk, fold_frames, unfold_frames


class ImageTower(Trunk):
    """The image side: (N, 3, T, H, W) -> (N, D, T, 1, 1), one vector a frame, as it is compared with texts."""

    def __init__(self, vision: nn.Module, projection: nn.Module, channels: int, image_size: int) -> None:
        super().__init__()
        self.vision, self.projection, self.image_size = vision, projection, image_size
        self.stages = (Stage("embedding", channels, image_size),)

    def forward(self, clips: torch.Tensor) -> torch.Tensor:
        frames = fold_frames(clips)
        other = frames.shape[-2:] != (self.image_size, self.image_size)
        found = self.vision(pixel_values=frames, interpolate_pos_encoding=other).pooler_output
        return unfold_frames(self.projection(found)[..., None, None], clips.shape[2])

    def maps(self, clips: torch.Tensor) -> dict[str, torch.Tensor]:
        return {"embedding": self(clips)}


class TextHead(Head):
    """Scaled cosines with the classes' vectors (K, D).

    Frames and views are pooled as vectors of length 1 whose mean is brought to length 1 (CLIP4Clip's mean pooling: Luo
    et al., 2021, section 3.3); of one frame that is the network's own answer. CLIP's logits are for a softmax;
    SigLIP's (`exclusive` false) for a sigmoid each, with a bias.
    """

    classes: torch.Tensor
    scale: torch.Tensor
    bias: torch.Tensor

    def __init__(self, classes: torch.Tensor, scale: torch.Tensor, bias: torch.Tensor, exclusive: bool) -> None:
        super().__init__()
        self.exclusive = exclusive
        self.register_buffer("classes", classes)
        self.register_buffer("scale", scale.detach().float().exp().reshape(()))
        self.register_buffer("bias", bias.detach().float().reshape(()))

    def embed(self, maps: torch.Tensor, views: int) -> torch.Tensor:
        frames = maps.float().flatten(2).transpose(1, 2).reshape(-1, views * maps[0, 0].numel(), maps.shape[1])
        return unit(unit(frames).mean(1))

    def forward(self, embedding: torch.Tensor) -> torch.Tensor:
        with torch.autocast(embedding.device.type, enabled=False):
            return self.scale * (embedding.float() @ self.classes.T) + self.bias


def unit(vectors: torch.Tensor) -> torch.Tensor:
    """(..., D), each of length 1."""
    scaled: torch.Tensor = vectors / vectors.norm(dim=-1, keepdim=True)
    return scaled


def pair_parts(model: Any, image_size: int, classes: torch.Tensor) -> tuple[ImageTower, TextHead]:
    """The two sides of transformers' CLIPModel or SiglipModel; the text side stays behind."""
    if hasattr(model, "visual_projection"):
        tower = ImageTower(model.vision_model, model.visual_projection, int(model.config.projection_dim), image_size)
        return tower, TextHead(classes, model.logit_scale, torch.zeros(()), exclusive=True)
    channels = int(model.config.vision_config.hidden_size)
    tower = ImageTower(model.vision_model, nn.Identity(), channels, image_size)
    return tower, TextHead(classes, model.logit_scale, model.logit_bias, exclusive=False)
