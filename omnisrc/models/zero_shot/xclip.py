"""X-CLIP (Ni et al., ECCV 2022): frames speak with each other, and the texts look at the video."""

from __future__ import annotations

from typing import Any

import torch

from omnisrc.models.heads.head import Head
from omnisrc.models.inputs import InputSpec
from omnisrc.models.recogniser import Recogniser
from omnisrc.models.trunks.trunk import Stage, Trunk
from omnisrc.models.zero_shot.pairs import unit
from omnisrc.models.zero_shot.prompts import Prompts
from omnisrc.models.zero_shot.texts import class_vectors


class VideoTower(Trunk):
    """The video side: (N, 3, T, H, W), T as trained, -> (N, D, 1, 1, 1), one vector a clip."""

    def __init__(self, model: Any, image_size: int) -> None:
        super().__init__()
        self.vision, self.projection, self.integration = model.vision_model, model.visual_projection, model.mit
        self.norm, self.image_size = model.prompts_visual_layernorm, image_size
        self.prompts_projection = model.prompts_visual_projection
        self.stages = (Stage("embedding", int(model.projection_dim), image_size, self.frames_of(model)),)

    @staticmethod
    def frames_of(model: Any) -> int:
        return int(model.config.vision_config.num_frames)

    def forward(self, clips: torch.Tensor) -> torch.Tensor:
        return self.both(clips)[0][..., None, None, None]

    def maps(self, clips: torch.Tensor) -> dict[str, torch.Tensor]:
        return {"embedding": self(clips)}

    def both(self, clips: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The clip's vector (N, D), and what the texts look at: its patches (N, P, D), the mean over frames."""
        n, _, t, *_ = clips.shape
        frames = clips.transpose(1, 2).flatten(0, 1)
        other = frames.shape[-2:] != (self.image_size, self.image_size)
        found = self.vision(pixel_values=frames, interpolate_pos_encoding=other)
        vectors = self.projection(found.pooler_output).view(n, t, -1)
        patches = self.norm(found.last_hidden_state[:, 1:]) @ self.prompts_projection
        return self.integration(vectors).pooler_output, patches.view(n, t, *patches.shape[1:]).mean(1)


class SeenTextHead(Head):
    """Cosines of clips with sentences that have seen the clip; `texts` (S, D) are all sentences of all classes."""

    texts: torch.Tensor
    scale: torch.Tensor

    def __init__(self, model: Any, texts: torch.Tensor, prompts: Prompts) -> None:
        super().__init__()
        self.generator, self.prompts = model.prompts_generator, prompts
        self.register_buffer("texts", texts)
        self.register_buffer("scale", model.logit_scale.detach().float().exp())

    def judge(self, videos: torch.Tensor, patches: torch.Tensor) -> torch.Tensor:
        """Vectors of length 1 (B, D) and patches (B, P, D) -> logits (B, K)."""
        if not len(self.prompts):
            return videos.new_zeros(len(videos), 0)
        texts = self.texts.expand(len(videos), -1, -1)
        told = texts + self.generator(texts, patches)
        with torch.autocast(videos.device.type, enabled=False):
            return self.scale * torch.einsum("bd,bkd->bk", videos, class_vectors(told.float(), self.prompts))


class XClip(Recogniser):
    """The frames of a clip are its views, (B, V, 3, 1, H, W), or its time, (B, 1, 3, T, H, W), as many as trained; one
    frame alone (a still) is repeated."""

    trunk: VideoTower
    head: SeenTextHead

    def __init__(self, model: Any, texts: torch.Tensor, prompts: Prompts, spec: InputSpec, image_size: int) -> None:
        super().__init__(VideoTower(model, image_size), SeenTextHead(model, texts, prompts), spec, len(prompts))
        self.frames = VideoTower.frames_of(model)

    @property
    def memory_format(self) -> torch.memory_format:
        return torch.channels_last  # its one convolution is of frames

    def answer(self, views: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        clips = views.transpose(1, 2).flatten(2, 3)  # (B, 3, V * T, H, W)
        if clips.shape[2] == 1:
            clips = clips.expand(-1, -1, self.frames, -1, -1)
        video, patches = self.trunk.both(clips)
        embedding = unit(video.float())
        return embedding, self.head.judge(embedding, patches)

    def features(self, views: torch.Tensor) -> torch.Tensor:
        return self.answer(views)[0]

    def forward(self, views: torch.Tensor) -> torch.Tensor:
        return self.answer(views)[1]
