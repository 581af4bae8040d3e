"""The networks are PyTorchVideo's: its layouts, its parameter counts, its outputs.

Figures from runs of PyTorchVideo 0.1.5 with PyTorch 2.15 on the CPU; its heads pool over the whole map.
"""

from __future__ import annotations

from typing import Any

import pytest
import torch

from omnisrc.models import create_model
from omnisrc.models.checkpoints import pytorchvideo
from omnisrc.models.checkpoints.layout import Layout
from tests.models.deterministic import fill, layout, noise

PLAIN, POOLED, SLOWFAST = pytorchvideo.PLAIN, pytorchvideo.POOLED, pytorchvideo.SLOWFAST

# hub: model, arguments, layout, entries and the first digits of the SHA-256 of the lines "key shape", parameters
HUB: dict[str, tuple[str, dict[str, Any], Layout, int, str, int]] = {
    "slow_r50": ("slowonly_r50", {}, PLAIN, 320, "ed4ddb3c726e6415", 32_454_096),
    "i3d_r50": ("i3d_r50", {"stem_stride": 1}, POOLED, 320, "f0ab764117be142a", 28_043_472),
    "c2d_r50": ("c2d_r50", {}, POOLED, 320, "d3b3c28cbdab9faf", 24_327_632),
    "csn_r101": ("ircsn_r101", {"eps": 1e-5}, PLAIN, 626, "a8b1ebcd8f319cf7", 22_213_776),
    "r2plus1d_r50": ("r2plus1d_r50", {}, PLAIN, 416, "da1172d14329f646", 28_107_600),
    "slowfast_r50": ("slowfast_r50", {}, SLOWFAST, 662, "988e4c34337b83c8", 34_566_488),
    "slowfast_r101": ("slowfast_r101", {}, SLOWFAST, 1274, "7507cb8170d906dd", 62_826_968),
    "slowfast_16x8_r101_50_50": (
        "slowfast_r101", {"slow_timed": 6, "fast_timed": 6}, SLOWFAST, 1274, "899d534f69f82123", 53_774_808,
    ),
}  # fmt: skip

# model, arguments, layout, frames; logits[0, 0:4], argmax of row 0, mean and std of logits, of two clips of 32 x 32
NARROW_OUTPUTS: list[tuple[str, dict[str, Any], Layout, int, tuple[float, ...], int, tuple[float, float]]] = [
    ("slowonly_r50", {}, PLAIN, 8, (-1.55836, -1.04638, -0.35040, 1.94070), 261, (-0.078993, 1.278157)),
    ("i3d_r50", {"stem_stride": 1}, POOLED, 8, (0.59297, 1.24835, 0.66251, 0.43193), 156, (-0.082858, 1.118559)),
    ("c2d_r50", {}, POOLED, 8, (0.35425, 1.41849, 1.00852, 0.95316), 34, (-0.088233, 1.303461)),
    ("ircsn_r50", {"eps": 1e-5}, PLAIN, 8, (-1.99039, -1.00621, -0.32373, 1.68548), 261, (-0.027615, 1.806700)),
    ("r2plus1d_r50", {}, PLAIN, 8, (-0.95422, -0.34305, -0.20021, 0.50972), 147, (-0.031506, 0.569184)),
    ("slowfast_r50", {"width": 16}, SLOWFAST, 16, (2.00332, -0.92200, -0.84063, 0.00143), 245, (-0.039737, 1.034906)),
]


@pytest.mark.parametrize("hub", HUB)
def test_names_shapes_and_counts_are_the_hubs(hub: str) -> None:
    name, args, form, entries, sha256, parameters = HUB[hub]
    with torch.device("meta"):
        model = create_model(name, 400, **args)
    state = model.state_dict()
    theirs = [form.their_key(key) for key in state]
    assert (len(state), layout(model, form.their_key)[:16]) == (entries, sha256)
    assert [form.our_key(key) for key in theirs] == list(state)
    assert next(known for known in pytorchvideo.LAYOUTS if known.matches(theirs)) is form
    assert sum(parameter.numel() for parameter in model.parameters()) == parameters


@pytest.mark.parametrize(("name", "args", "form", "frames", "first", "best", "of_logits"), NARROW_OUTPUTS)
def test_outputs_of_narrow_networks_are_pytorchvideos(
    name: str,
    args: dict[str, Any],
    form: Layout,
    frames: int,
    first: tuple[float, ...],
    best: int,
    of_logits: tuple[float, float],
) -> None:
    model = create_model(name, 400, **{"width": 8, **args}).double().eval()
    fill(model, form.their_key)
    with torch.no_grad():
        logits = model(noise((2, 3, frames, 32, 32))[:, None])
    assert logits[0, :4].tolist() == pytest.approx(first, abs=5.1e-6)
    assert logits[0].argmax().item() == best
    assert (logits.mean().item(), logits.std().item()) == pytest.approx(of_logits, abs=5.1e-7)
