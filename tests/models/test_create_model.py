"""`create_model` and what every recogniser promises."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch

from omnisrc.errors import UserError
from omnisrc.models import create_model, model_names
from omnisrc.models.create import FAMILIES as MODULES
from tests.models.networks import FAMILIES, seasoned, views

DEPTHS = (18, 50, 101, 152)
KNOWN = [
    *(f"{family}_r{depth}" for family in ("tsn", "slowonly") for depth in (18, 34, 50, 101, 152)),
    *(f"{family}_r{depth}" for family in ("trn", "latefusion", "lrcn") for depth in DEPTHS),
    *(f"{family}_r{depth}" for family in ("ircsn", "ipcsn") for depth in (50, 101, 152)),
    *("tsn_bninception", "tsn_efficientnet_b4", "tsn_swin_t", "tsn_swin_s", "tsn_swin_b", "trn_bninception"),
    *("tsm_r18", "tsm_r34", "tsm_r50", "tsm_r101", "i3d_r50", "i3d_nl_dot", "i3d_nl_embedded", "i3d_nl_gauss"),
    *("slowfast_r50", "slowfast_r101", "r2plus1d_r34", "c3d", "x3d_xs", "x3d_s", "x3d_m", "x3d_l", "omni_r50"),
    *("s3d", "r3d_18", "mc3_18", "r2plus1d_18", "mvit_v1_b", "mvit_v2_s", "swin3d_t", "swin3d_s", "swin3d_b"),
    *("videomae_b", "videomae_l", "timesformer_b", "vivit_b", "vjepa2_l"),
]
SLOW_TO_BUILD = ("videomae_l", "vjepa2_l", "vivit_b")


def test_the_names_that_users_know_are_there() -> None:
    assert set(KNOWN) <= set(model_names())


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow if name in SLOW_TO_BUILD else ()) for name in model_names()]
)
def test_every_name_takes_views_of_its_own_size_and_one_sample_alone(name: str) -> None:
    for extra in {getattr(family, "EXTRA", "") for family in MODULES if name in family.MODELS} - {""}:
        pytest.importorskip(extra)
    with torch.device("meta"), torch.no_grad():
        model = create_model(name, 7).eval()
        spec = model.input
        views = torch.empty(1, 2, spec.channels, spec.clip_len, spec.crop_size, spec.crop_size)
        embedding, logits = model.answer(views)
    assert logits.shape == (1, 7) and embedding.ndim == 2 and len(embedding) == 1
    assert logits.device.type == "meta"


@pytest.mark.parametrize("name", FAMILIES)
def test_views_become_logits_and_an_embedding(name: str) -> None:
    model = seasoned(name, classes=7)
    given = views(model)
    with torch.no_grad():
        logits, embedding = model(given), model.features(given)
    assert logits.shape == (2, 7)
    assert embedding.shape == (2, model.trunk.channels)
    assert torch.equal(model.head(embedding), logits)


@pytest.mark.parametrize("name", ["tsn_r18", "slowonly_r18"])
def test_views_are_averaged_before_the_head(name: str) -> None:
    model = seasoned(name)
    given = views(model)
    with torch.no_grad():
        alone = torch.stack([model(given[:, [view]]) for view in range(given.shape[1])])
        assert torch.allclose(model(given), alone.mean(0), atol=1e-5)


def test_a_2d_model_takes_frames_as_views_or_as_time_in_any_order() -> None:
    model = seasoned("tsn_r18")
    frames = torch.randn(2, 6, 3, 1, 32, 32)
    as_time = frames.flip(1).transpose(1, 3)  # (2, 1, 3, 6, 32, 32)
    with torch.no_grad():
        assert torch.allclose(model(frames), model(as_time), atol=1e-5)


def test_a_3d_model_sees_the_order_of_frames() -> None:
    model = seasoned("slowonly_r18")
    clips = views(model)
    with torch.no_grad():
        assert not torch.allclose(model(clips), model(clips[:, :, :, [1, 0, 3, 2]]), atol=1e-5)


@pytest.mark.parametrize("name", ["tsn_r18", "slowonly_r18"])
def test_an_image_is_one_frame(name: str) -> None:
    assert seasoned(name)(torch.randn(2, 1, 3, 1, 32, 32)).shape == (2, 5)


@pytest.mark.parametrize("name", ["tsn_r50", "slowonly_r50"])
def test_the_preferred_memory_format_changes_no_logit(name: str) -> None:
    model = seasoned(name)
    given = views(model)
    with torch.no_grad():
        before = model(given)
        model.to(memory_format=model.memory_format)
        last = given.flatten(0, 1).to(memory_format=torch.channels_last_3d).unflatten(0, (2, 3))
        assert torch.allclose(model(last), before, atol=1e-4)


def test_folding_frames_keeps_channels_last_without_a_copy() -> None:
    clips = torch.randn(2, 3, 4, 8, 8).to(memory_format=torch.channels_last_3d)
    seen: list[torch.Tensor] = []
    model = seasoned("tsn_r18")
    model.trunk.conv1.register_forward_pre_hook(lambda _module, given: seen.append(given[0]))
    model(clips[:, None])
    assert seen[0].is_contiguous(memory_format=torch.channels_last)
    assert seen[0].data_ptr() == clips.data_ptr()


@pytest.mark.parametrize("name", ["tsn_r18", "slowonly_r18"])
def test_under_bf16_autocast_only_the_trunk_is_narrow(name: str) -> None:
    model = seasoned(name, width=8)
    given = views(model)
    with torch.no_grad():
        full = model(given)
        with torch.autocast("cpu", torch.bfloat16):
            assert model.trunk(given[:, 0]).dtype == torch.bfloat16
            narrow, embedding = model(given), model.features(given)
    assert narrow.dtype == embedding.dtype == torch.float32
    assert torch.allclose(narrow, full, atol=0.05 * full.abs().max().item())


@pytest.mark.parametrize("name", ["tsn_r18", "slowonly_r18"])
def test_models_can_be_exported_with_any_batch(name: str) -> None:
    model = seasoned(name)
    given = views(model, batch=5)
    dynamic = ({0: torch.export.Dim("batch", min=1, max=64)},)
    exported = torch.export.export(model, (given[:2],), dynamic_shapes=dynamic).module()
    with torch.no_grad():
        assert torch.allclose(exported(given), model(given), atol=1e-4)


def test_zero_init_gamma_silences_every_block_at_the_start() -> None:
    model = create_model("tsn_r50", 5, width=4, zero_init_gamma=True)
    block = model.trunk.layer2[1]
    x = torch.rand(2, 32, 8, 8)
    assert torch.equal(block(x), x)
    assert not torch.equal(create_model("tsn_r50", 5, width=4).trunk.layer2[1](x), x)


def test_a_tensor_without_views_is_a_bug_of_the_caller() -> None:
    with pytest.raises(ValueError, match=r"\(B, V, C, T, H, W\).*\(2, 3, 32, 32\)"):
        seasoned("tsn_r18")(torch.randn(2, 3, 32, 32))


@pytest.mark.parametrize(
    ("name", "classes", "args", "sentence"),
    [
        ("slownly_r50", 5, {}, "unknown model 'slownly_r50': did you mean slowonly_r50"),
        ("slowonly", 5, {}, "unknown model 'slowonly': did you mean slowonly_r18, slowonly_r34, slowonly_r50"),
        ("vgg", 5, {}, "unknown model 'vgg': `omnisrc models list` shows all names"),
        ("TSN-R50", 5, {}, "unknown model 'TSN-R50': did you mean tsn_r50"),
        ("i3d_nl_gaussian", 5, {}, "did you mean i3d_nl_gauss?"),
        ("tsn_mobilenet_v2", 5, {}, "tsn_torchvision.mobilenet_v2 and tsn_timm.mobilenet_v2 take the image networks"),
        ("tsn_r18", 5, {"droput": 0.1}, "takes no argument 'droput': did you mean dropout?"),
        ("tsn_r18", 5, {"depth": 50}, "takes no argument 'depth'"),
        ("tsn_r18", 0, {}, "at least one class, not 0"),
        ("tsn_r18", 5, {"width": 0}, "width of at least 1, not 0"),
        ("tsn_r18", 5, {"dropout": 1.0}, r"dropout in \[0, 1\), not 1.0"),
        ("slowfast_r50", 5, {"alpha": 0}, "an alpha of at least 1 and an odd lateral_kernel, not 0 and 7"),
        ("slowfast_r50", 5, {"order": "fast"}, "knows no 'fast': choose one of slow-fast, fast-slow"),
        ("i3d_r50", 5, {"stem_stride": 3}, "a stem_stride of 1 or 2, not 3"),
    ],
)
def test_what_makes_no_model_is_said_in_a_sentence(
    name: str, classes: int, args: dict[str, float], sentence: str
) -> None:
    with pytest.raises(UserError, match=sentence):
        create_model(name, classes, **args)


def test_naming_models_and_released_weights_does_not_import_torch() -> None:
    code = (
        "import sys, omnisrc.models, omnisrc.models.released\n"
        "assert 'torch' not in sys.modules\n"
        "assert callable(omnisrc.models.create_model) and 'torch' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("name", FAMILIES)
def test_a_trunk_gives_the_map_of_every_stage_as_it_says(name: str) -> None:
    trunk = seasoned(name, width=8).trunk
    clips = torch.randn(1, 3, 16, 64, 64)
    with torch.no_grad():
        maps = trunk.maps(clips)
        assert torch.equal(maps[trunk.stages[-1].name], trunk(clips))
    assert list(maps) == [stage.name for stage in trunk.stages]
    for stage in trunk.stages:
        side = 64 // stage.stride
        assert maps[stage.name].shape == (1, stage.channels, 16 // stage.temporal_stride, side, side)
