"""The table of released files, and finding weights by name."""

from __future__ import annotations

from pathlib import Path

import pytest

from omnisrc.errors import UserError
from omnisrc.models import model_names
from omnisrc.models.checkpoints.openmmlab import NAMED_SAMPLING
from omnisrc.models.released import RELEASED, find_weights

# Addresses as the model cards give them: folder, file.
V0, V1 = "https://download.openmmlab.com/mmaction/", "https://download.openmmlab.com/mmaction/v1.0/"
ADDRESSES = {
    "slowonly_r101_8x8_k400_omni": (
        V0 + "recognition/slowonly/omni/",
        "slowonly_r101_omni_8x8x1_kinetics400_rgb_20200926-b5dbb701.pth",
    ),
    "tsn_r50_3seg_k400_omni": (
        V0 + "recognition/tsn/omni/",
        "tsn_imagenet_pretrained_r50_omni_1x1x3_kinetics400_rgb_20200926-54192355.pth",
    ),
    "slowonly_r50_4x16_k400_scratch_256p_0x": (
        V0 + "recognition/slowonly/slowonly_r50_256p_4x16x1_256e_kinetics400_rgb/",
        "slowonly_r50_256p_4x16x1_256e_kinetics400_rgb_20200820-bea7701f.pth",
    ),
    "tsn_r50_3seg_k400_340x256_0x": (
        V0 + "recognition/tsn/tsn_r50_1x1x3_100e_kinetics400_rgb/",
        "tsn_r50_1x1x3_100e_kinetics400_rgb_20200614-e508be42.pth",
    ),
    "slowonly_r50_8x8_k400": (
        V1 + "recognition/slowonly/slowonly_imagenet-pretrained-r50_8xb16-8x8x1-steplr-150e_kinetics400-rgb/",
        "slowonly_imagenet-pretrained-r50_8xb16-8x8x1-steplr-150e_kinetics400-rgb_20220901-df42dc84.pth",
    ),
    "slowonly_r50_4x16_k400_scratch": (
        V1 + "recognition/slowonly/slowonly_r50_8xb16-4x16x1-256e_kinetics400-rgb/",
        "slowonly_r50_4x16x1_256e_8xb16_kinetics400-rgb_20220901-f6a40d08.pth",
    ),
    "i3d_r50_32x2_k400_256p_0x": (
        V0 + "recognition/i3d/i3d_r50_256p_32x2x1_100e_kinetics400_rgb/",
        "i3d_r50_256p_32x2x1_100e_kinetics400_rgb_20200801-7d9f44de.pth",
    ),
    "ircsn_r152_32x2_k400_ig65m_bnfrozen_0x": (
        V0 + "recognition/csn/ircsn_ig65m_pretrained_bnfrozen_r152_32x2x1_58e_kinetics400_rgb/",
        "ircsn_ig65m_pretrained_bnfrozen_r152_32x2x1_58e_kinetics400_rgb_20200812-9037a758.pth",
    ),
    "ipcsn_r152_32x2_k400_scratch_vmz": (
        V0 + "recognition/csn/vmz/",
        "vmz_ipcsn_from_scratch_r152_32x2x1_180e_kinetics400_rgb_20210617-d565828d.pth",
    ),
    "ircsn_r152_ig65m_trunk": (
        V0 + "recognition/csn/",
        "ircsn_from_scratch_r152_ig65m_20200807-771c4135.pth",
    ),
    "tsn_r50_8seg_k400": (
        V1 + "recognition/tsn/tsn_imagenet-pretrained-r50_8xb32-1x1x8-100e_kinetics400-rgb/",
        "tsn_imagenet-pretrained-r50_8xb32-1x1x8-100e_kinetics400-rgb_20220906-2692d16c.pth",
    ),
}


@pytest.mark.parametrize("name", ADDRESSES)
def test_addresses_are_the_model_cards(name: str) -> None:
    assert [file.url for file in RELEASED if file.name == name] == ["".join(ADDRESSES[name])]


def test_the_table_agrees_with_itself() -> None:
    assert len({file.name for file in RELEASED}) == len({file.sha256 for file in RELEASED}) == len(RELEASED) > 25
    for file in RELEASED:
        named = NAMED_SAMPLING.search(file.file)
        assert f"r{file.model.split('_r')[1]}".split("_")[0] in file.file and file.class_list in file.file
        assert file.name.startswith(f"{file.model}_") and len(file.sha256) == 8
        if file.class_list:
            assert named is not None and tuple(map(int, named.groups())) == file.sampling, file.name
            assert 60 < file.top1 < file.top5 < 100
        else:
            assert file.top1 == file.top5 == 0 and file.name.endswith("_trunk")
        assert ("ig65m" in file.name) == ("IG-65M" in file.licence)


def test_every_row_is_of_a_model_that_can_be_built() -> None:
    assert not {file.model for file in RELEASED} - set(model_names())


def test_networks_that_vmz_trained_alone_have_its_scaling() -> None:
    scaled = {file.sha256: file.scaling for file in RELEASED if file.scaling}
    assert set(scaled) == {"5c933ae1", "d565828d"} and scaled["5c933ae1"][0] == (110.2008, 100.63983, 95.99475)


def test_the_paper_s_own_results_are_in_the_table() -> None:
    scores = {file.sha256: (file.top1, file.top5) for file in RELEASED}
    assert (scores["b5dbb701"], scores["51b1f7ea"], scores["54192355"]) == ((80.4, 94.4), (76.8, 92.5), (73.6, 91.0))


def test_a_family_that_is_absent_says_what_to_put_where(tmp_path: Path) -> None:
    with pytest.raises(UserError) as caught:
        find_weights("slowonly", tmp_path / "models")
    sentence = str(caught.value)
    assert f"no weights for 'slowonly' in {tmp_path / 'models'}" in sentence and "\n" not in sentence
    assert (
        "".join(ADDRESSES["slowonly_r50_8x8_k400"]) in sentence
        and "76.45 % top-1" in sentence
        and "Apache-2.0" in sentence
    )
    assert "omnisrc train --mix target --model slowonly_r50" in sentence


def test_weights_are_found_by_path_name_family_and_model(tmp_path: Path) -> None:
    second = next(file for file in RELEASED if file.name == "slowonly_r101_8x8_k400_omni")
    (tmp_path / second.file).touch()
    (tmp_path / "mine.safetensors").touch()
    for name in (second.name, "slowonly", "slowonly_r101", second.file, str(tmp_path / second.file)):
        assert find_weights(name, tmp_path) == tmp_path / second.file
    assert find_weights("mine", tmp_path) == find_weights("mine.safetensors", tmp_path) == tmp_path / "mine.safetensors"
    with pytest.raises(UserError, match="no weights for 'slowonly_r50'"):
        find_weights("slowonly_r50", tmp_path)


def test_unknown_names_and_paths_are_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no weights 'slownly' .* did you mean slowonly"):
        find_weights("slownly", tmp_path)
    with pytest.raises(UserError, match=r"there is no weights file elsewhere/x.pth"):
        find_weights("elsewhere/x.pth", tmp_path)
