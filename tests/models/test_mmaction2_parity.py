"""The networks are MMAction2's: its layouts, its parameter counts, its cost, its outputs.

Figures from a run of MMAction2 1.2.0 (4d6c9347) with PyTorch 2.13 on the CPU; cost from its model cards.
"""

from __future__ import annotations

import hashlib
import math
from zlib import crc32

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from omnisrc.models import Recogniser, create_model
from omnisrc.models.checkpoints.mmaction2 import our_key, their_key

LAYOUTS = {
    "tsn_r50": (
        "2bf99a4c4043fb27530c85082bea30044f9fe13c96f07c7682806e71536b87a2",
        "3561d8ecf9ac5b0dbd311d8e8f24aea89a1c810fb5606e8f40e66a3273c54bf6",
    ),
    "slowonly_r50": (
        "d5aa67d098e24dea5ba5b722d3dbaaf4e8a4927db0fe26d5e6aa2e6d4a972e40",
        "22dba4407137033374942a9d318f3105b61debf1f7fcfe089955d45d97643b09",
    ),
    "slowonly_r101": (
        "0b36e87fba2b392c0ce7a0358188c48f4a58550fe3cbb17c0b1e043ba3ab9291",
        "98a7c081835ec6c38ec830344e5ca6d3ee5ab9ef1e37b82680b3e7d50e9ac377",
    ),
}

PARAMETERS = {"tsn_r50": 24_327_632, "slowonly_r50": 32_454_096, "slowonly_r101": 60_359_120}

# model: input of the fixture, logits[0, 0:4], argmax of row 0, mean and std of logits, mean and std of features
OUTPUTS = {
    "tsn_r50": (
        (3, 3, 64, 64),
        (-0.47508, -0.13567, -0.51268, 3.70237),
        330,
        (-0.014507, 1.865458),
        (1.265743, 1.673456),
    ),
    "slowonly_r50": (
        (2, 3, 8, 64, 64),
        (0.41409, -0.59708, 0.33326, 2.80847),
        354,
        (-0.020623, 1.770472),
        (1.255643, 1.653905),
    ),
    "slowonly_r101": (
        (2, 3, 8, 64, 64),
        (-2.32982, -0.75021, -1.17529, 5.53569),
        276,
        (-0.075289, 2.801298),
        (1.966050, 2.563647),
    ),
}


def layout(model: Recogniser, counters: bool) -> str:
    """SHA-256 of the sorted lines "key shape" under MMAction2's names."""
    lines = [
        f"{their_key(key)} {'x'.join(map(str, value.shape)) or 'scalar'}"
        for key, value in model.state_dict().items()
        if counters or not key.endswith("num_batches_tracked")
    ]
    return hashlib.sha256("\n".join(sorted(lines)).encode()).hexdigest()


def fill(model: Recogniser) -> None:
    """Weights as a function of their MMAction2 names."""
    for key, value in model.state_dict().items():
        name = their_key(key)
        if name.endswith("num_batches_tracked"):
            continue
        z = torch.from_numpy(np.random.RandomState(crc32(name.encode())).standard_normal(tuple(value.shape)))
        if name.endswith("running_var"):
            z = 1 + 0.1 * z.abs()
        elif name.endswith(("running_mean", "bias")):
            z = 0.1 * z
        elif name.endswith("fc_cls.weight"):
            z = z * math.sqrt(1 / value.shape[1])
        elif value.ndim > 1:
            z = z * math.sqrt(2 / value[0].numel())
        else:
            z = (1 + 0.1 * z) * (0.2 if name.endswith("conv3.bn.weight") else 1)
        value.copy_(z)


@pytest.mark.parametrize("name", LAYOUTS)
def test_names_and_shapes_are_mmaction2s(name: str) -> None:
    with torch.device("meta"):
        model = create_model(name, 400)
    assert (layout(model, counters=True), layout(model, counters=False)) == LAYOUTS[name]
    assert all(our_key(their_key(key)) == key for key in model.state_dict())


@pytest.mark.parametrize("name", PARAMETERS)
def test_parameter_counts_are_the_published_ones(name: str) -> None:
    with torch.device("meta"):
        model = create_model(name, 400)
    assert sum(parameter.numel() for parameter in model.parameters()) == PARAMETERS[name]


@pytest.mark.parametrize(
    ("name", "frames", "side", "gflops", "within"),
    [
        ("tsn_r50", 1, 224, 4.11, 0.005),
        ("slowonly_r50", 4, 256, 27.38, 0.005),
        ("slowonly_r50", 8, 256, 54.75, 0.005),
        ("slowonly_r50", 8, 224, 41.92, 0.005),
        ("slowonly_r101", 8, 256, 112, 0.5),
    ],
)
def test_cost_is_the_published_one(name: str, frames: int, side: int, gflops: float, within: float) -> None:
    with torch.device("meta"):
        model = create_model(name, 400).eval()
        clip = torch.empty(1, 1, 3, frames, side, side)
    normed: list[int] = []
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d | nn.BatchNorm3d):
            module.register_forward_hook(lambda _module, _given, out: normed.append(out.numel()))
    with FlopCounterMode(display=False) as counter:
        model(clip)
    # As MMAction2 counts: one for a multiplication with its addition, two for each value that a norm scales and shifts.
    assert counter.get_total_flops() / 2e9 + 2 * sum(normed) / 1e9 == pytest.approx(gflops, abs=within)


@pytest.mark.parametrize("name", OUTPUTS)
def test_outputs_are_mmaction2s(name: str) -> None:
    shape, first, best, of_logits, of_features = OUTPUTS[name]
    given = torch.from_numpy(np.random.RandomState(0).standard_normal(shape))
    # TSN: three frames are three segments of one sample. SlowOnly: two clips.
    views = given[None, :, :, None] if name.startswith("tsn") else given[:, None]
    model = create_model(name, 400).double().eval()
    with torch.no_grad():
        fill(model)
        maps = model.trunk(views.flatten(0, 1))
        logits = model(views)
    assert logits.shape == (1 if name.startswith("tsn") else 2, 400)
    assert logits[0, :4].tolist() == pytest.approx(first, abs=5.1e-6)
    assert logits[0].argmax().item() == best
    assert (logits.mean().item(), logits.std().item()) == pytest.approx(of_logits, abs=5.1e-7)
    assert (maps.mean().item(), maps.std().item()) == pytest.approx(of_features, abs=5.1e-7)
