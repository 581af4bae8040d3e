"""The student as one step sees it: every source's frames in, every source's logits out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from omnisrc.models import Recogniser


class Student(nn.Module):
    """One module whose forward takes the whole mixed step, so that the hooks of DDP fire once."""

    def __init__(self, model: Recogniser) -> None:
        super().__init__()
        self.model = model

    def forward(self, frames: Sequence[Tensor], moving: Sequence[bool]) -> list[Tensor]:
        """Logits (B_s, classes) of each source.

        Args:
            frames: float (B_s, V, C, T, H, W) of each source; V and T may differ between sources.
            moving: whether a source's batch moves the running statistics of batch norm.
        """
        logits = []
        for views, moves in zip(frames, moving, strict=True):
            with statistics_at_rest(self.model, not moves):
                logits.append(self.model(views))
        return logits


@contextmanager
def statistics_at_rest(model: nn.Module, at_rest: bool) -> Iterator[None]:
    """Batch norm normalises by its batch and leaves its running statistics alone.

    The score that counts is on the target, whose statistics a mean over stills and web clips would blur; MMAction2's
    OmniResNet treats its image path so. Layers in evaluation mode (frozen ones) go on as they are.
    """
    norms = [m for m in model.modules() if isinstance(m, _BatchNorm) and m.track_running_stats]
    for norm in norms if at_rest else ():
        norm.track_running_stats = False
    try:
        yield
    finally:
        for norm in norms if at_rest else ():
            norm.track_running_stats = True
