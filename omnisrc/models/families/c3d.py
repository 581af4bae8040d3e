"""C3D: learning spatiotemporal features with 3-D convolutional networks."""

from __future__ import annotations

from omnisrc.errors import UserError
from omnisrc.models.heads.hidden import FlattenedHead
from omnisrc.models.inputs import IMAGENET_STD, InputSpec
from omnisrc.models.recogniser import Recogniser
from omnisrc.models.trunks.c3d import C3D, initialise

MEAN, STD = (104.0, 117.0, 128.0), (1.0, 1.0, 1.0)
"""Of the Sports-1M weights, as MMAction2 has them: frames in 0..255 less these means, and not scaled."""


def c3d(num_classes: int, *, width: int = 64, dropout: float = 0.5, last_pool: str = "padded") -> Recogniser:
    """C3D (Tran et al., 2015, section 3.2) on clips of 16 frames of 112 x 112 pixels, and no others.

    `last_pool`: how pool5 makes 4 rows of 7: "padded" in MMAction2, "ceil" in legacy MMAction, as in Caffe.
    """
    if last_pool not in ("padded", "ceil"):
        raise UserError(f"C3D needs a last_pool that is padded or ceil, not {last_pool!r}")
    trunk = C3D(width)
    initialise(trunk, deviation=sum(IMAGENET_STD) / 3)
    head = FlattenedHead(trunk.channels, num_classes, dropout, hidden=64 * width, ceil=last_pool == "ceil")
    spec = InputSpec("3d", 16, 1, 1, MEAN, STD, crop_size=112, short_side=128, fixed=True)
    return Recogniser(trunk, head, spec, num_classes)


MODELS = {"c3d": c3d}
