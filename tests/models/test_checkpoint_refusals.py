"""What is not a sound and harmless file for this model is refused in a sentence, and changes nothing."""

from __future__ import annotations

import io
import os
import pickle
import random
import zipfile
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
import torchvision

from omnisrc.errors import UserError
from omnisrc.models import Recogniser, create_model, fingerprint, load_checkpoint, read_meta, save_weights
from omnisrc.models.checkpoints.mmaction2 import their_key
from tests.models.networks import same, seasoned


def refusal(model: Recogniser, path: Path, strict: bool = True) -> str:
    """The sentence; the model is as before."""
    before = {key: value.clone() for key, value in model.state_dict().items()}
    with pytest.raises(UserError) as caught:
        load_checkpoint(model, path, strict)
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    sentence = str(caught.value)
    assert str(path) in sentence and "\n" not in sentence and len(sentence) < 400 + len(str(path))
    return sentence


def mmaction2(model: Recogniser) -> dict[str, torch.Tensor]:
    return {their_key(key): value for key, value in model.state_dict().items()}


class Code:
    """Pickles as a call."""

    def __init__(self, function: Any, *args: Any) -> None:
        self.call = function, args

    def __reduce__(self) -> tuple[Any, tuple[Any, ...]]:
        return self.call


@pytest.mark.parametrize("zip_file", [True, False], ids=["zip", "before-1.6"])
@pytest.mark.parametrize("place", ["beside", "within", "instead"])
@pytest.mark.parametrize("function", [os.system, eval, exec, getattr, os.makedirs], ids=lambda f: f.__name__)
def test_pickled_code_does_not_run(
    function: Any, place: str, zip_file: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "1")
    ran = tmp_path / "ran"
    script = {
        os.system: (f"touch {ran}",),
        eval: (f"open({str(ran)!r}, 'w')",),
        exec: (f"open({str(ran)!r}, 'w')",),
        getattr: (ran, "touch"),
        os.makedirs: (str(ran),),
    }
    model = seasoned("tsn_r18")
    code = Code(function, *script[function])
    state: dict[str, Any] = mmaction2(model)
    content = {
        "beside": {"state_dict": state, "optimizer": code},
        "within": {"state_dict": {**state, "backbone.extra": code}},
        "instead": code,
    }[place]
    torch.save(content, tmp_path / "x.pth", _use_new_zipfile_serialization=zip_file)
    sentence = refusal(model, tmp_path / "x.pth")
    assert "holds pickled code" in sentence and "is refused" in sentence
    assert not ran.exists()


@pytest.mark.parametrize("protocol", range(6))
def test_a_bare_pickle_does_not_run(protocol: int, tmp_path: Path) -> None:
    ran = tmp_path / "ran"
    (tmp_path / "x.pth").write_bytes(pickle.dumps(Code(os.system, f"touch {ran}"), protocol))
    refusal(seasoned("tsn_r18"), tmp_path / "x.pth")
    assert not ran.exists()


@pytest.mark.filterwarnings("ignore:`torch.jit")
def test_pickled_networks_and_programs_are_named(tmp_path: Path) -> None:
    model = seasoned("tsn_r18")
    torch.save(torchvision.models.resnet18(weights=None), tmp_path / "module.pth")
    assert "holds pickled code (torchvision.models.resnet.ResNet)" in refusal(model, tmp_path / "module.pth")
    torch.jit.save(torch.jit.script(torch.nn.Linear(2, 2)), tmp_path / "program.pt")
    assert "holds pickled code (a TorchScript program)" in refusal(model, tmp_path / "program.pt")


def test_what_is_no_file_of_weights_is_named(tmp_path: Path) -> None:
    model = seasoned("tsn_r18")
    assert "there is no weights file" in refusal(model, tmp_path / "absent.pth")
    assert "there is no weights file" in refusal(model, tmp_path / "absent.safetensors")
    assert "is a folder" in refusal(model, tmp_path)
    (tmp_path / "empty.pth").touch()
    assert "is empty" in refusal(model, tmp_path / "empty.pth")
    (tmp_path / "text.pth").write_text("<html>404 Not Found</html>")
    assert "is not a weights file" in refusal(model, tmp_path / "text.pth")
    (tmp_path / "text.safetensors").write_text("<html>404 Not Found</html>")
    assert "is cut short, damaged or no such file" in refusal(model, tmp_path / "text.safetensors")
    with zipfile.ZipFile(tmp_path / "other.pt", "w") as archive:
        archive.writestr("a.txt", "a")
    assert "is cut short, damaged or no such file" in refusal(model, tmp_path / "other.pt")
    torch.save([torch.zeros(2)], tmp_path / "list.pth")
    assert "holds a list, not a state_dict" in refusal(model, tmp_path / "list.pth")
    torch.save({"lr": 0.1}, tmp_path / "numbers.pth")
    assert "holds no tensors" in refusal(model, tmp_path / "numbers.pth")


def saved(model: Recogniser, kind: str) -> bytes:
    if kind == "safetensors":
        return safetensors.torch.save(model.state_dict(), {"omnisrc": "{}"})
    stream = io.BytesIO()
    torch.save(mmaction2(model), stream, _use_new_zipfile_serialization=kind == "zip")
    return stream.getvalue()


@pytest.mark.parametrize("kind", ["safetensors", "zip", "before-1.6"])
def test_a_file_cut_anywhere_is_refused(kind: str, tmp_path: Path) -> None:
    model = seasoned("tsn_r18", width=2)
    whole = saved(model, kind)
    path = tmp_path / ("x.safetensors" if kind == "safetensors" else "x.pth")
    for length in [1, 2, 9, 100, 1000, *(len(whole) * part // 8 for part in range(1, 8)), len(whole) - 1]:
        path.write_bytes(whole[:length])
        refusal(model, path)
    path.write_bytes(whole)
    load_checkpoint(model, path)


@pytest.mark.parametrize("kind", ["safetensors", "zip", "before-1.6"])
def test_a_file_with_wrong_bytes_is_read_or_refused_but_never_breaks(kind: str, tmp_path: Path) -> None:
    model = seasoned("tsn_r18", width=1)
    whole = saved(model, kind)
    path = tmp_path / ("x.safetensors" if kind == "safetensors" else "x.pth")
    chance = random.Random(0)
    refused = 0
    for _ in range(60):
        damaged = bytearray(whole)
        for _ in range(20):
            damaged[chance.randrange(len(damaged))] = chance.randrange(256)
        path.write_bytes(damaged)
        try:
            load_checkpoint(model, path)
        except UserError:
            refused += 1
    assert refused > 10


def test_the_hash_in_a_name_is_checked(tmp_path: Path) -> None:
    model = seasoned("tsn_r18")
    torch.save(mmaction2(model), tmp_path / "x.pth")
    content, sha256 = (tmp_path / "x.pth").read_bytes(), fingerprint(tmp_path / "x.pth")
    right = tmp_path / f"tsn_r18_1x1x3_20200614-{sha256[:8]}.pth"
    right.write_bytes(content)
    load_checkpoint(model, right)
    wrong = tmp_path / "tsn_r18_1x1x3_20200614-e508be42.pth"
    wrong.write_bytes(content)
    assert f"begins with e508be42 by its name, but it begins with {sha256[:8]}" in refusal(model, wrong)
    dated = tmp_path / "mine-20200614.pth"
    dated.write_bytes(content)
    load_checkpoint(model, dated)


def test_another_number_of_classes_is_named(tmp_path: Path) -> None:
    save_weights(seasoned("tsn_r18", classes=400), tmp_path / "k400.safetensors", {})
    sentence = refusal(create_model("tsn_r18", 101, width=4), tmp_path / "k400.safetensors")
    assert "answers for 400 classes, but tsn_r18 was made for 101" in sentence and "--init" in sentence


@pytest.mark.parametrize(
    ("held", "width", "model", "sentence"),
    [
        ("tsn_r50", 4, "tsn_r18", "holds a 2-D ResNet-50 of width 4, but tsn_r18 is a 2-D ResNet-18 of width 4"),
        ("tsn_r101", 4, "tsn_r50", "holds a 2-D ResNet-101 of width 4, but tsn_r50 is a 2-D ResNet-50 of width 4"),
        ("slowonly_r18", 8, "slowonly_r18", "holds a 3-D ResNet-18 of width 8, but slowonly_r18 is a 3-D ResNet-18"),
        ("slowonly_r18", 4, "tsn_r18", "but tsn_r18 is a 2-D ResNet-18 of width 4: it fits slowonly_r18"),
    ],
)
@pytest.mark.parametrize("strict", [True, False])
def test_another_architecture_is_named(
    held: str, width: int, model: str, sentence: str, strict: bool, tmp_path: Path
) -> None:
    torch.save(mmaction2(seasoned(held, width=width)), tmp_path / "x.pth")
    assert sentence in refusal(seasoned(model), tmp_path / "x.pth", strict)


def test_weights_of_an_unknown_kind_are_named(tmp_path: Path) -> None:
    model = seasoned("tsn_r18")
    torch.save(torchvision.models.squeezenet1_1(weights=None).state_dict(), tmp_path / "x.pth")
    assert "holds weights of an unknown kind (features.0.weight, " in refusal(model, tmp_path / "x.pth")
    torch.save({"backbone.conv1.conv.weight": torch.zeros(2, 3, 7, 7)}, tmp_path / "y.pth")
    assert "holds no ResNet (trunk.conv1.weight)" in refusal(model, tmp_path / "y.pth")


def test_tensors_without_a_place_and_places_without_a_tensor_are_named(tmp_path: Path) -> None:
    origin = seasoned("tsn_r18")
    state = mmaction2(origin)
    del state["backbone.layer3.0.conv2.bn.running_mean"]
    torch.save({**state, "cls_head.fc_aux.weight": torch.zeros(2, 2)}, tmp_path / "x.pth")
    sentence = refusal(seasoned("tsn_r18"), tmp_path / "x.pth")
    assert "lacks trunk.layer3.0.bn2.running_mean and has cls_head.fc_aux.weight beyond it" in sentence
    assert "lacks trunk.layer3.0.bn2.running_mean" in refusal(seasoned("tsn_r18"), tmp_path / "x.pth", strict=False)
    torch.save({**mmaction2(origin), "cls_head.fc_aux.weight": torch.zeros(2, 2)}, tmp_path / "z.pth")
    model = seasoned("tsn_r18")
    assert "it has cls_head.fc_aux.weight beyond it" in refusal(model, tmp_path / "z.pth")
    report = load_checkpoint(model, tmp_path / "z.pth", strict=False)
    assert report.unexpected == ("cls_head.fc_aux.weight",) and same(model, origin)


def test_a_tensor_of_another_shape_is_named(tmp_path: Path) -> None:
    """A flow network has ten channels at its stem."""
    state = mmaction2(seasoned("tsn_r18"))
    state["backbone.conv1.conv.weight"] = torch.zeros(4, 10, 7, 7)
    torch.save(state, tmp_path / "flow.pth")
    assert "its trunk.conv1.weight is 4x10x7x7, the model's 4x3x7x7" in refusal(
        seasoned("tsn_r18"), tmp_path / "flow.pth"
    )


def test_damaged_metadata_of_ours_is_named(tmp_path: Path) -> None:
    model = seasoned("tsn_r18")
    for number, meta in enumerate(({"mean": "grey"}, {"std": [1]}, {"sampling": {"clip_len": 1}}, {"sampling": 8})):
        path = tmp_path / f"{number}.safetensors"
        save_weights(model, path, meta)
        assert "has damaged metadata" in refusal(model, path)
    state = {key: value.contiguous() for key, value in model.state_dict().items()}
    safetensors.torch.save_file(state, tmp_path / "x.safetensors", {"omnisrc": "{no json"})
    with pytest.raises(UserError, match="damaged"):
        read_meta(tmp_path / "x.safetensors")
