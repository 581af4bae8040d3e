import pytest

from bench.recognisers_gpu import Shape, operations, run

TINY = (Shape("tsn_r18", 2, 1, 32, 2), Shape("slowfast_r18", 1, 8, 32, 2), Shape("ircsn_r50", 1, 4, 32, 2))


@pytest.mark.parametrize("shape", TINY, ids=lambda shape: shape.name)
def test_what_runs_on_a_gpu_runs_on_any_device(shape: Shape) -> None:
    figures = run(seconds=0.01, device="cpu", shapes=[shape])
    named = f"{shape.name} {shape.views} x {shape.frames} x 32, batch 2: "
    peak, work = figures["matrix product in bf16, TFLOP/s"] * 1e3, figures[f"{named}GFLOP a clip, forward"]
    for layout in ("contiguous", "channels last"):
        for kind, passes in (("forward", 1), ("training step", 3)):
            rate = figures[f"{named}{kind}, bf16, {layout}, clips/s"]
            share = figures[f"{named}{kind}, bf16, {layout}, share of the peak"]
            assert rate > 0 and share == pytest.approx(rate * work * passes / peak)


def test_the_arithmetic_counted_is_that_of_the_layers() -> None:
    """ResNet-18 at 224 x 224 is 1.814 G multiply-adds (torchvision's figure for 1000 classes), two operations each."""
    assert operations(Shape("tsn_r18", 3, 1, 224, 1)) == pytest.approx(3 * 2 * 1.814e9, rel=1e-3)
