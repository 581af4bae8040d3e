"""OmniResNet: one set of weights for stills and for clips."""

from __future__ import annotations

from functools import partial

import torch

from omnisrc.models.heads.per_source import PerSourceHead
from omnisrc.models.inputs import InputSpec
from omnisrc.models.recogniser import Recogniser
from omnisrc.models.trunks.design import SLOWONLY, Design
from omnisrc.models.trunks.omni_resnet import clip_norm, summed
from omnisrc.models.trunks.resnet import ResNet, initialise


class OmniRecogniser(Recogniser):
    """Stills (B, V, C, 1, H, W), through kernels summed over time, answer by a head of their own."""

    head: PerSourceHead

    def forward(self, views: torch.Tensor) -> torch.Tensor:
        embedding = self.features(views)
        return self.head.stills(embedding) if views.shape[3] == 1 else self.head(embedding)


def omni(
    depth: int,
    num_classes: int,
    *,
    width: int = 64,
    dropout: float = 0.5,
    zero_init_gamma: bool = False,
    image_classes: int = 0,
    norm_momentum: float = 0.1,
) -> Recogniser:
    """OmniResNet (MMAction2 1.x): SlowOnly that takes stills at 1/T of the price. `image_classes`: 0, as many.

    `norm_momentum`, of the running statistics: MMAction2's runs of 256 epochs have 0.01, too slow for short ones.
    """
    trunk = ResNet(Design(depth, width, frames=SLOWONLY, convolve=summed, norm=partial(clip_norm, norm_momentum)))
    initialise(trunk, zero_init_gamma)
    spec = InputSpec("3d", clip_len=8, frame_interval=8, num_segments=1, takes_stills=True)
    head = PerSourceHead(trunk.channels, num_classes, dropout, image_classes or num_classes)
    return OmniRecogniser(trunk, head, spec, num_classes)


MODELS = {f"omni_r{depth}": partial(omni, depth) for depth in (18, 50)}
