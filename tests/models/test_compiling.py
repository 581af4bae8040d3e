import shutil

import pytest
import torch
from torch._dynamo.utils import counters

from omnisrc.errors import UserError
from omnisrc.models import create_model
from omnisrc.models.compiling import SteadyBatches, compile_trunk

NEEDS_COMPILER = pytest.mark.skipif(shutil.which("g++") is None, reason="torch.compile calls g++ here")


@pytest.mark.slow
@NEEDS_COMPILER
def test_a_compiled_trunk_gives_the_same_logits_and_a_smaller_batch_is_not_compiled_again() -> None:
    model = create_model("tsn_r18", 3, width=8).eval().to(memory_format=torch.channels_last)
    with torch.inference_mode():
        views = torch.rand(4, 2, 1, 32, 32, 3).permute(0, 1, 5, 2, 3, 4)
        still = views[:, :1]
        plain = [model(given) for given in (views, views[:3], views[1:2])]
        compile_trunk(model)
        compile_trunk(model)
        before = counters["stats"]["unique_graphs"]
        fast = [model(given) for given in (views, views[:3], views[1:2])]
        assert counters["stats"]["unique_graphs"] == before + 1
        embedding, logits = model.answer(still)
        assert torch.allclose(logits, model.head(embedding))
    for one, other in zip(plain, fast, strict=True):
        assert torch.allclose(one, other, atol=1e-5)


def test_shorter_batches_are_filled_up_and_cut_again() -> None:
    seen: list[tuple[tuple[int, ...], tuple[int, ...]]] = []

    def forward(clips: torch.Tensor) -> torch.Tensor:
        seen.append((tuple(clips.shape), clips.stride()))
        return 2 * clips

    steady, still = SteadyBatches(forward), torch.rand(2, 3, 1, 4, 4)
    for clips in (torch.rand(5, 3, 2, 4, 4), still.expand(-1, -1, 2, -1, -1), torch.rand(5, 2, 4, 4, 3).movedim(4, 1)):
        assert torch.equal(steady(clips), 2 * clips)
    assert len(set(seen)) == 1
    assert steady(torch.rand(1, 3, 2, 8, 8)).shape == (1, 3, 2, 8, 8) and seen[-1][0] == (1, 3, 2, 8, 8)


def test_without_a_compiler_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(UserError, match="install g"):
        compile_trunk(create_model("tsn_r18", 3, width=8))
