"""2-D weights start a 3-D network that says the same of a still clip."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import torchvision

from omnisrc.errors import UserError
from omnisrc.models import create_model, load_checkpoint, save_weights
from tests.models.networks import seasoned


@pytest.mark.parametrize(("two", "three"), [("tsn_r18", "slowonly_r18"), ("tsn_r50", "slowonly_r50")])
def test_a_still_clip_gives_the_2d_map_away_from_its_ends(two: str, three: str, tmp_path: Path) -> None:
    flat = seasoned(two).double()
    save_weights(flat, tmp_path / "flat.safetensors", {})
    deep = create_model(three, 5, width=4).double().eval()
    report = load_checkpoint(deep, tmp_path / "flat.safetensors", strict=False)
    assert report.inflated and not report.missing and not report.unexpected and not report.left_out
    image = torch.randn(1, 3, 1, 32, 32, dtype=torch.float64)
    frames = 23  # zeros beyond the ends reach at most one frame a temporal convolution: 9 in ResNet-50, 8 in ResNet-18
    with torch.no_grad():
        still = deep.trunk(image.expand(-1, -1, frames, -1, -1))
        assert torch.allclose(still[:, :, frames // 2], flat.trunk(image)[:, :, 0], atol=1e-12)
        assert not torch.allclose(still[:, :, 0], flat.trunk(image)[:, :, 0], atol=1e-3)


def test_torchvisions_imagenet_file_starts_slowonly(tmp_path: Path) -> None:
    imagenet = torchvision.models.resnet18(weights=None)
    torch.save(imagenet.state_dict(), tmp_path / "resnet18.pth")
    model = create_model("slowonly_r18", 5)
    head = model.head.fc.weight.clone()
    report = load_checkpoint(model, tmp_path / "resnet18.pth", strict=False)
    assert report.inflated and report.format == "torchvision"
    assert report.left_out == ("head.fc.weight", "head.fc.bias") and not report.missing and not report.unexpected
    assert torch.equal(model.head.fc.weight, head)
    kernel = model.trunk.layer4[0].conv1.weight
    assert kernel.shape[2] == 3
    assert torch.allclose(kernel.sum(2), imagenet.layer4[0].conv1.weight, atol=1e-6)
    assert str(report) == ("resnet18.pth (torchvision); 2-D kernels inflated; left out: head.fc.weight, head.fc.bias")


def test_nothing_is_inflated_or_flattened_unasked(tmp_path: Path) -> None:
    flat, deep = seasoned("tsn_r18"), seasoned("slowonly_r18")
    save_weights(flat, tmp_path / "flat.safetensors", {})
    save_weights(deep, tmp_path / "deep.safetensors", {})
    with pytest.raises(UserError, match=r"holds a 2-D ResNet-18 of width 4, but slowonly_r18 is a 3-D .* --init"):
        load_checkpoint(deep, tmp_path / "flat.safetensors")
    with pytest.raises(
        UserError, match=r"holds a 3-D ResNet-18 of width 4, but tsn_r18 is a 2-D .* fits slowonly_r18 \(--model"
    ):
        load_checkpoint(flat, tmp_path / "deep.safetensors", strict=False)
