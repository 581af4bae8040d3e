"""X3D is PyTorchVideo's, and MMAction2's with one norm more: layouts, counts, cost, outputs."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from omnisrc.models import create_model
from omnisrc.models.checkpoints import mmaction2
from omnisrc.models.checkpoints.pytorchvideo_x3d import adapt, our_key, their_key
from tests.models.goldens import fill, noise
from tests.models.networks import check_stages, season

# From PyTorchVideo 0.1.5 in float64, on clips of 4 x 64 x 64, weights by their names: logits[0, :4], argmax of row 0,
# mean and deviation of all logits.
OUTPUTS = {
    "x3d_s": ((0.79527, 1.2334, -1.75893, 0.15287), 336, (0.008152, 0.958466)),
    "x3d_l": ((0.13803, 1.72511, -1.774, 0.88011), 53, (0.013633, 1.336828)),
}


@pytest.mark.parametrize(
    ("name", "parameters", "entries"),
    [("x3d_xs", 3_794_274, 563), ("x3d_s", 3_794_274, 563), ("x3d_m", 3_794_274, 563), ("x3d_l", 6_153_384, 1141)],
)
def test_parameters_and_entries_are_pytorchvideos(name: str, parameters: int, entries: int) -> None:
    with torch.device("meta"):
        model = create_model(name, 400)
    assert sum(parameter.numel() for parameter in model.parameters()) == parameters
    theirs = [their_key(key) for key in model.state_dict()]
    assert len(set(theirs)) == entries and [our_key(key) for key in theirs] == list(model.state_dict())
    known = {"blocks.0.conv.conv_t.weight", "blocks.1.res_blocks.0.branch2.norm_b.1.block.2.bias",
             "blocks.4.res_blocks.6.branch2.norm_c.running_var", "blocks.5.pool.post_conv.weight"}  # fmt: skip
    assert known <= set(theirs)


@pytest.mark.parametrize(("name", "gflops"), [("x3d_xs", 0.60), ("x3d_s", 1.96), ("x3d_m", 4.73), ("x3d_l", 18.37)])
def test_cost_is_that_of_the_papers_table(name: str, gflops: float) -> None:
    with torch.device("meta"):
        model = create_model(name, 400).eval()
        spec = model.input
        clip = torch.empty(1, 1, 3, spec.clip_len, spec.crop_size, spec.crop_size)
    with FlopCounterMode(display=False) as counter:
        model(clip)
    assert counter.get_total_flops() / 2e9 == pytest.approx(gflops, rel=0.02)


@pytest.mark.parametrize("name", OUTPUTS)
def test_outputs_are_pytorchvideos(name: str) -> None:
    first, best, of_logits = OUTPUTS[name]
    model = create_model(name, 400).double().eval()
    theirs = {their_key(key): value.clone() for key, value in model.state_dict().items()}
    projection = "blocks.5.pool.post_conv.weight"
    theirs[projection] = theirs[projection][:, :, None, None, None]
    fill(theirs, small="norm_c.weight")
    model.load_state_dict(adapt({str(our_key(key)): value for key, value in theirs.items()}))
    with torch.no_grad():
        logits = model(noise(2, 3, 4, 64, 64)[:, None])
    assert logits[0, :4].tolist() == pytest.approx(first, abs=5.1e-6)
    assert logits[0].argmax().item() == best
    assert (logits.mean().item(), logits.std().item()) == pytest.approx(of_logits, abs=5.1e-7)


def test_stages_and_averaging_of_views() -> None:
    model = season(create_model("x3d_s", 5, width=8))
    check_stages(model, torch.randn(2, 3, 4, 50, 64))
    clips = torch.randn(2, 3, 3, 4, 32, 32)
    with torch.no_grad():
        alone = torch.stack([model(clips[:, [view]]) for view in range(3)])
        assert torch.allclose(model(clips), alone.mean(0), atol=1e-5)


def test_a_program_of_torch_export_gives_the_same_logits() -> None:
    model = season(create_model("x3d_xs", 5, width=8))
    clips = torch.randn(3, 1, 3, 4, 32, 32)
    dynamic = ({0: torch.export.Dim("batch", min=1, max=64)},)
    program = torch.export.export(model, (clips[:2],), dynamic_shapes=dynamic)
    with torch.no_grad():
        assert torch.allclose(program.module()(clips), model(clips), atol=1e-4)


@pytest.mark.slow
def test_onnx_gives_the_same_logits(tmp_path: Path) -> None:
    """30 s, nearly all of them the export."""
    import onnxruntime

    model = season(create_model("x3d_xs", 5, width=8))
    clips = torch.randn(3, 1, 3, 4, 32, 32)
    dynamic = ({0: torch.export.Dim("batch", min=1, max=64)},)
    program = torch.export.export(model, (clips[:2],), dynamic_shapes=dynamic)
    torch.onnx.export(program, f=str(tmp_path / "x3d.onnx"), verbose=False)
    session = onnxruntime.InferenceSession(str(tmp_path / "x3d.onnx"), providers=["CPUExecutionProvider"])
    (onnx,) = session.run(None, {session.get_inputs()[0].name: clips.numpy()})
    with torch.no_grad():
        assert torch.allclose(torch.from_numpy(onnx), model(clips), atol=1e-4)


def test_mmaction2s_names_and_outputs() -> None:
    """Of MMAction2 1.2.0 in float64: entries, parameters, logits[0, :4], argmax of row 0, mean and deviation of all."""
    layout = mmaction2.X3D
    model = create_model("x3d_m", 400, short_cut_norm=True).double().eval()
    theirs = {layout.their_key(key): value.clone() for key, value in model.state_dict().items()}
    assert len(theirs) == 568 and sum(parameter.numel() for parameter in model.parameters()) == 3_794_322
    assert layout.matches(theirs) and layout.matches([key.removeprefix("backbone.") for key in theirs])
    fill(theirs, small="conv3.bn.weight")
    model.load_state_dict({str(layout.our_key(key)): value for key, value in theirs.items()})
    with torch.no_grad():
        logits = model(noise(2, 3, 4, 64, 64)[:, None])
    assert logits[0, :4].tolist() == pytest.approx((-0.41734, -0.44985, 0.57435, 0.15706), abs=5.1e-6)
    assert logits[0].argmax().item() == 305
    assert (logits.mean().item(), logits.std().item()) == pytest.approx((0.023929, 0.816068), abs=5.1e-7)
