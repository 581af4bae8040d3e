"""Which model a file is, from names and shapes alone, whatever the number of classes and the width."""

from __future__ import annotations

import pytest
import torch

from omnisrc.models import create_model, model_names
from omnisrc.models.checkpoints import recognise as recognition
from omnisrc.models.checkpoints.recognise import also_fits, in_order, layout, recognise
from omnisrc.models.create import FAMILIES


def plain(name: str) -> bool:
    """Whether the model needs no optional package."""
    return not any(getattr(family, "EXTRA", "") and name in family.MODELS for family in FAMILIES)


@pytest.mark.parametrize("name", [name for name in model_names() if plain(name)])
def test_every_model_is_recognised_by_its_own_names_and_shapes(name: str) -> None:
    with torch.device("meta"):
        state = create_model(name, 37).state_dict()
    found = recognise(state, name)
    assert found is not None and found.num_classes == 37
    # Models of one shape (a shift has no weights) are told apart by their name alone.
    assert found.name == name or name in also_fits(state, found)


@pytest.mark.parametrize("name", ["tsn_r18", "slowonly_r50"])
def test_a_trunk_alone_and_another_width_are_recognised(name: str) -> None:
    with torch.device("meta"):
        state = create_model(name, 5, width=12).state_dict()
    trunk = {key: value for key, value in state.items() if key.startswith("trunk.")}
    for weights, classes in ((state, 5), (trunk, None)):
        found = recognise(weights, f"{name}.pth")
        assert found is not None and (found.name, found.args, found.num_classes) == (name, {"width": 12}, classes)


def test_one_tensor_of_another_shape_or_name_is_another_network() -> None:
    with torch.device("meta"):
        state = create_model("tsn_r18", 5).state_dict()
        assert recognise({**state, "trunk.conv1.weight": torch.zeros(64, 7, 7, 7)}) is None
        flow = recognise({**state, "trunk.conv1.weight": torch.zeros(64, 10, 7, 7)})
        assert flow is not None and flow.args == {"modality": "flow", "in_channels": 10}
        assert recognise({**state, "trunk.more": torch.zeros(1)}) is None
        assert recognise({key: state[key] for key in list(state)[1:]}) is None


def test_shapes_that_make_no_network_are_no_match() -> None:
    with torch.device("meta"):
        state = create_model("tsn_r18", 5).state_dict()
        assert recognise({key: torch.zeros(0) for key in state}) is None
        assert recognise({key: torch.zeros(()) for key in state}) is None
        assert recognise({}) is None


def test_a_file_that_says_what_it_is_costs_one_model(monkeypatch: pytest.MonkeyPatch) -> None:
    with torch.device("meta"):
        state = create_model("slowonly_r101", 7).state_dict()
    built: list[str] = []
    real = create_model
    monkeypatch.setattr(recognition, "create_model", lambda name, *a, **k: built.append(name) or real(name, *a, **k))
    layout.cache_clear()
    hint = "slowonly_r101_omni_8x8x1_kinetics400_rgb_20200926-b5dbb701"
    assert in_order(hint)[0] == "slowonly_r101"
    for _ in range(3):
        assert recognise(state, hint).name == "slowonly_r101"
    assert built == ["slowonly_r101"]


def test_the_family_decides_between_networks_of_one_shape(monkeypatch: pytest.MonkeyPatch) -> None:
    """As MMAction2's names tell a temporal shift, which has no weights, from the network that it is put into."""
    monkeypatch.setitem(recognition.MODELS, "shifted_r18", recognition.MODELS["tsn_r18"])
    with torch.device("meta"):
        state = create_model("tsn_r18", 5).state_dict()
    assert recognise(state, family="shifted").name == "shifted_r18"
    assert recognise(state, "a file of shifted_r18").name == "shifted_r18"
    found = recognise(state)
    assert found is not None and found.name == "tsn_r18" and "shifted_r18" in also_fits(state, found)
    assert recognise(state, family="slowonly") is None
