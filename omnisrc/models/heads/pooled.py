"""S3D's head."""

from __future__ import annotations

import torch
from torch.nn.functional import avg_pool3d

from omnisrc.models.heads.linear import LinearHead


class WindowedHead(LinearHead):
    """The mean over windows of 2 x 7 x 7 places at every shift, then as LinearHead (torchvision's S3D).

    On one window it is the plain mean; on larger maps places in the middle count more often. Maps smaller than a
    window are one window.
    """

    WINDOW = (2, 7, 7)

    def embed(self, maps: torch.Tensor, views: int) -> torch.Tensor:
        window = [min(size, side) for size, side in zip(self.WINDOW, maps.shape[2:], strict=True)]
        wide = torch.promote_types(maps.dtype, torch.float32)
        return super().embed(avg_pool3d(maps.to(wide), window, stride=1), views)
