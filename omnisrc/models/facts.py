"""What can be said of a model without its weights: size, cost, input."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from omnisrc.errors import UserError
from omnisrc.models.create import create_model
from omnisrc.models.inputs import InputSpec
from omnisrc.models.recogniser import Recogniser


@dataclass(frozen=True)
class Facts:
    """Of a model with `num_classes` classes; `parameters` are what training moves, buffers are not counted."""

    name: str
    num_classes: int
    parameters: int
    input: InputSpec

    @property
    def view(self) -> tuple[int, int, int]:
        """(frames, height, width) of one view."""
        return self.input.clip_len, self.input.crop_size, self.input.crop_size


def facts_of(name: str, num_classes: int, args: Mapping[str, Any] | None = None) -> Facts | None:
    """None where an optional package that the model needs is not there. Unknown names raise UserError."""
    model = on_meta(name, num_classes, args)
    if model is None:
        return None
    return Facts(name, num_classes, sum(weight.numel() for weight in model.parameters()), model.input)


def on_meta(name: str, num_classes: int, args: Mapping[str, Any] | None = None) -> Recogniser | None:
    """The model with shapes and no content; None where an optional package that it needs is not there."""
    try:
        with torch.device("meta"):
            return create_model(name, num_classes, **(args or {}))
    except UserError as error:
        if "unknown model" in str(error):
            raise
        return None


def gflops(model: Recogniser, frames: int, side: int) -> float:
    """Multiplications and additions, a pair counted as one as papers do, in 10^9, of one view of frames x side x side.

    Counted over convolutions, matrix products and attention; computed on shapes alone.
    """
    clip = torch.zeros(1, 1, 3, frames, side, side, device="meta")
    counter = FlopCounterMode(display=False)
    with counter, torch.no_grad():
        model.to("meta").eval()(clip)
    return counter.get_total_flops() / 2e9
