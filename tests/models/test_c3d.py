"""C3D by its published sizes, and MMAction2's outputs."""

from __future__ import annotations

import pytest
import torch

from omnisrc.errors import UserError
from omnisrc.models import create_model
from omnisrc.models.checkpoints import caffe_c3d, mmaction2_c3d
from tests.models.goldens import fill, noise
from tests.models.networks import check_stages


@pytest.mark.parametrize(("classes", "parameters"), [(101, 78_409_573), (487, 79_991_015)])
def test_parameter_counts_are_the_published_ones(classes: int, parameters: int) -> None:
    with torch.device("meta"):
        model = create_model("c3d", classes)
    assert sum(parameter.numel() for parameter in model.parameters()) == parameters


def test_maps_have_the_shapes_of_the_paper() -> None:
    with torch.device("meta"):
        model = create_model("c3d", 101)
        maps = model.trunk.maps(torch.empty(1, 3, 16, 112, 112))
        pooled = model.head.pool5(maps["conv5"])
    assert [tuple(x.shape[1:]) for x in maps.values()] == [
        (64, 16, 112, 112),
        (128, 16, 56, 56),
        (256, 8, 28, 28),
        (512, 4, 14, 14),
        (512, 2, 7, 7),
    ]
    assert tuple(pooled.shape[1:]) == (512, 1, 4, 4) and model.head.fc6.in_features == 8192
    check_stages(create_model("c3d", 5, width=2), torch.randn(1, 3, 16, 112, 112))


def test_its_input_is_the_sports1m_weights() -> None:
    spec = create_model("c3d", 5, width=2).input
    assert (spec.mean, spec.std) == ((104, 117, 128), (1, 1, 1))
    assert (spec.clip_len, spec.crop_size, spec.short_side, spec.fixed) == (16, 112, 128, True)


@pytest.mark.parametrize("shape", [(2, 1, 3, 16, 128, 128), (2, 1, 3, 8, 112, 112)])
def test_other_sizes_are_refused_in_a_sentence(shape: tuple[int, ...]) -> None:
    model = create_model("c3d", 5, width=2)
    with pytest.raises(UserError, match=r"c3d takes clips of 16 frames of 112 x 112 pixels and no others, not"):
        model(torch.empty(shape))


@pytest.mark.slow
def test_outputs_are_mmaction2s() -> None:
    """Its C3D and a linear layer of 101 classes, in float64 on one clip, weights by their names (4 s, 700 MB)."""
    model = create_model("c3d", 101).double().eval()
    fill({mmaction2_c3d.their_key(key): value for key, value in model.state_dict().items()})
    with torch.no_grad():
        logits = model(noise(1, 3, 16, 112, 112)[:, None])
    assert logits[0, :4].tolist() == pytest.approx((-0.0412, -0.5132, -1.19929, 2.95493), abs=5.1e-6)
    assert logits[0].argmax().item() == 14
    assert (logits.mean().item(), logits.std().item()) == pytest.approx((0.004688, 1.753843), abs=5.1e-7)


def test_both_layouts_are_read_and_written() -> None:
    keys = list(create_model("c3d", 5, width=2).state_dict())
    for layout in (mmaction2_c3d, caffe_c3d):
        theirs = [layout.their_key(key) for key in keys]
        assert layout.matches(theirs) and [layout.our_key(key) for key in theirs] == keys
    assert {"backbone.conv1a.conv.weight", "backbone.fc6.bias", "cls_head.fc_cls.weight"} <= {
        mmaction2_c3d.their_key(key) for key in keys
    }
    assert {"conv1.weight", "conv3b.bias", "fc8.weight"} <= {caffe_c3d.their_key(key) for key in keys}
    trunk = [key for key in keys if "head.fc." not in key]
    bare = [mmaction2_c3d.their_key(key).removeprefix("backbone.") for key in trunk]
    assert mmaction2_c3d.matches(bare) and [mmaction2_c3d.our_key(key) for key in bare] == trunk
