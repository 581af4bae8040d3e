"""The modules pass PyTorch's exporters with any batch, and their programs give the same logits."""

from __future__ import annotations

import warnings
from pathlib import Path

import onnxruntime
import pytest
import torch

from tests.models.networks import FAMILIES, seasoned

QUICK = ("tsm_r18", "slowfast_r18")
BATCH = ({0: torch.export.Dim("batch", min=1, max=64)},)


def clips(name: str) -> torch.Tensor:
    return torch.randn(3, 1, 3, 1 if name.startswith("tsn") else 8, 32, 32)


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=() if name in QUICK else pytest.mark.slow) for name in FAMILIES]
)
def test_torch_export_gives_the_same_logits(name: str) -> None:
    model, given = seasoned(name, width=8), clips(name)
    program = torch.export.export(model, (given[:2],), dynamic_shapes=BATCH).module()
    with torch.no_grad():
        assert torch.allclose(program(given), model(given), atol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("name", FAMILIES)
def test_onnx_gives_the_same_logits(name: str, tmp_path: Path) -> None:
    model, given = seasoned(name, width=8), clips(name)
    path = str(tmp_path / "model.onnx")
    with warnings.catch_warnings(action="ignore"):
        torch.onnx.export(model, (given[:2],), path, dynamo=True, dynamic_shapes=BATCH, verbose=False)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    (logits,) = session.run(None, {session.get_inputs()[0].name: given.numpy()})
    with torch.no_grad():
        own = model(given)
    assert torch.allclose(torch.from_numpy(logits), own, atol=1e-4 * max(1.0, own.abs().max().item()))
