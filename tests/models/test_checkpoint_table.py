"""Every format and every family: what is read, what goes back, and one sentence for what does not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from omnisrc.errors import UserError
from omnisrc.models import Recogniser, create_model, load_model, save_weights
from omnisrc.models.convert import LAYOUTS, convert
from omnisrc.models.create import MODELS
from tests.models.networks import same, season, seasoned

MMACTION2, PYSLOWFAST, PYTORCHVIDEO = LAYOUTS[1:]
WHOLE = ("r3d_18", "lrcn_r18")
"""Models that season all their norms' weights, or have no width."""
THEIRS = {"lateral_norm": False, "slow_frames": "stride", "order": "fast-slow"}

# model, arguments, the stem of its file, the layouts that have names for it
FAMILIES: list[tuple[str, dict[str, Any], str, set[str]]] = [
    ("tsn_r18", {}, "tsn", {MMACTION2}),
    ("tsn_r50", {}, "tsn", {MMACTION2}),
    ("tsm_r18", {}, "tsm", {MMACTION2}),
    ("tsm_r50", {}, "tsm", {MMACTION2}),
    ("tsm_r101", {}, "tsm", {MMACTION2}),
    ("trn_r18", {}, "trn", {MMACTION2}),
    ("trn_r50", {}, "trn", {MMACTION2}),
    ("slowonly_r18", {}, "slowonly", {MMACTION2}),
    ("slowonly_r50", {}, "slowonly", set(LAYOUTS[1:])),
    ("slowonly_r101", {}, "slowonly", set(LAYOUTS[1:])),
    ("i3d_r50", {}, "i3d", {MMACTION2}),
    ("i3d_r50", {"stem_stride": 1}, "i3d", {PYSLOWFAST, PYTORCHVIDEO}),
    ("i3d_r50", {"stem_stride": 1, "halve": False}, "i3d", {PYSLOWFAST}),
    ("i3d_r50_heavy", {}, "i3d_heavy", {MMACTION2}),
    ("i3d_nl_dot", {}, "i3d_nl_dot", {MMACTION2}),
    ("i3d_nl_embedded", {}, "i3d_nl_gaussian", {MMACTION2}),
    ("i3d_nl_gauss", {}, "i3d_nl_gauss", {MMACTION2}),
    ("c2d_r50", {}, "c2d", {PYSLOWFAST, PYTORCHVIDEO}),
    ("r2plus1d_r34", {}, "r2plus1d", {MMACTION2}),
    ("r2plus1d_r50", {}, "r2plus1d", {PYTORCHVIDEO}),
    ("ircsn_r50", {}, "csn", {MMACTION2}),
    ("ircsn_r50", {"eps": 1e-5}, "csn", {PYTORCHVIDEO}),
    ("ipcsn_r50", {}, "csn", {MMACTION2}),
    ("slowfast_r50", {"width": 16}, "slowfast_8x8x1", {PYSLOWFAST, PYTORCHVIDEO}),
    ("slowfast_r50", {"width": 16, **THEIRS}, "slowfast_8x8x1", {MMACTION2}),
    ("slowfast_r50", {"width": 16, "alpha": 8}, "slowfast_4x16", {PYSLOWFAST, PYTORCHVIDEO}),
    ("slowfast_r101", {"width": 16, "slow_timed": 6, "fast_timed": 6}, "slowfast_8x8", {PYSLOWFAST, PYTORCHVIDEO}),
    ("omni_r18", {}, "omni", {MMACTION2}),
    ("x3d_s", {"width": 8}, "x3d_s", {PYTORCHVIDEO}),
    ("x3d_m", {"width": 8, "short_cut_norm": True}, "x3d_m", {MMACTION2, PYSLOWFAST}),
    ("c3d", {}, "c3d", {MMACTION2}),
    ("latefusion_r18", {}, "latefusion", set()),
    ("lrcn_r18", {}, "lrcn", set()),
    ("tsn_bninception", {"width": 8}, "tsn", set()),
    ("r3d_18", {}, "r3d", set()),
]


def made(name: str, args: dict[str, Any]) -> Recogniser:
    if name in WHOLE:
        return season(create_model(name, 5, **args))
    return seasoned(name, 5, **{"width": 4, **args})


@pytest.mark.parametrize(("name", "args", "stem", "written"), FAMILIES)
def test_a_family_goes_to_the_layouts_that_have_names_for_it_and_back(
    name: str, args: dict[str, Any], stem: str, written: set[str], tmp_path: Path
) -> None:
    origin, path = made(name, args), tmp_path / f"{stem}.safetensors"
    save_weights(origin, path, {})
    for layout in LAYOUTS[1:]:
        output = tmp_path / f"{stem}_{layout}.pth"
        if layout not in written:
            with pytest.raises(UserError, match=r"(no names in|not come back from) .*: keep the file as it is"):
                convert(path, layout, output)
            assert not output.exists()
            continue
        convert(path, layout, output)
        model, report = load_model(output)
        assert report.format == layout and model.name == name and same(model, origin)
        back = convert(output, "safetensors", tmp_path / f"{stem}_{layout}.safetensors")[0]
        assert same(load_model(back)[0], origin)


def test_every_model_stands_in_the_table_or_is_of_one_that_does() -> None:
    """Or is of a library whose own files are read: timm, torchvision, transformers."""
    families = {name.split("_")[0] for name, _, _, _ in FAMILIES}
    others = {"mc3", "s3d", "swin3d", "mvit", "videomae", "timesformer", "vivit", "vjepa2"}
    assert {name.split("_")[0] for name in MODELS} == families | others
