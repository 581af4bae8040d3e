"""`omnisrc predict`, `explain`, `features` and `eval` with a recogniser of two class lists."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import av
import numpy as np
import pytest
import torch

from omnisrc.errors import UserError
from omnisrc.filter.settings import FilterSettings
from omnisrc.filter.teachers import open_teacher
from omnisrc.models import create_model, load_checkpoint, load_model, save_weights
from tests.cli.looking import CLASSES, SAMPLING, inputs_by_hand, omnisrc, video
from tests.mixed_world import record_world, write_world
from tests.models.networks import same, season

THINGS = ("ball", "rope", "hoop", "none", "box")


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No workspace in sight."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("OMNISRC_HOME", raising=False)


def two_heads(path: Path, name: str = "slowonly_r18", **lists: object) -> Path:
    torch.manual_seed(2)
    model = season(create_model(name, 4, width=4, dropout=0.0, heads={"move": 4, "thing": 5}))
    for head in model.head.heads.values():
        torch.nn.init.normal_(head.fc.weight, std=2.0)
    said = {"move": {"classes": list(CLASSES), **lists}, "thing": {"classes": list(THINGS)}}
    save_weights(model, path, {"sampling": SAMPLING, "heads": said})
    return path


def test_a_file_with_two_heads_comes_back_as_it_was_and_starts_one_with_others(tmp_path):
    net = two_heads(tmp_path / "net.safetensors")
    model, report = load_model(net)
    clips = torch.randn(2, 1, 3, 4, 32, 32)
    again = create_model(model.name, 4, **model.args)
    load_checkpoint(again, net)
    assert same(model, again) and list(model.eval()(clips)) == ["move", "thing"]
    assert model(clips)["thing"].shape == (2, 5) and report.meta["heads"]["thing"]["classes"] == list(THINGS)
    alone = create_model("slowonly_r18", 9, width=4)
    load_checkpoint(alone, net, strict=False)
    assert torch.equal(alone.trunk.conv1.weight, model.trunk.conv1.weight)
    with pytest.raises(UserError, match="heads of at least one class, the first of 4"):
        create_model("slowonly_r18", 4, heads={"a": 5})
    with pytest.raises(UserError, match=r"a\.b"):
        create_model("slowonly_r18", 4, width=4, heads={"x": 4, "a.b": 5})
    with pytest.raises(UserError, match="a head of its own kind"):
        create_model("omni_r18", 4, width=4, heads={"x": 4, "y": 5})


def test_labels_are_told_by_head_and_one_of_them_alone_says_the_same(tmp_path, capsys):
    net, clip = two_heads(tmp_path / "net.safetensors"), video(tmp_path / "a.mp4", count=16)
    code, said, shown = omnisrc(capsys, "predict", clip, "--model", net, "-o", "all.json", "--video", "film.mp4")
    assert code == 0
    [found] = said["inputs"]
    assert set(found["heads"]) == {"move", "thing"} and "labels" not in found and "windows" not in found
    assert "head move" in shown and "head thing" in shown
    with torch.no_grad():
        model = load_model(net)[0].eval()
        logits = model(inputs_by_hand(clip, [0, 2, 4, 6]).transpose(0, 1)[None, None])
    for head, names in (("move", CLASSES), ("thing", THINGS)):
        first = found["heads"][head]["windows"][0]["labels"]
        expected = torch.softmax(logits[head][0], 0).numpy()
        assert np.allclose([label["score"] for label in first], np.sort(expected)[::-1], atol=1e-4)
        assert first[0]["name"] == names[int(expected.argmax())]
        code, one, _ = omnisrc(capsys, "predict", clip, "--model", net, "--head", head)
        assert code == 0 and one["head"] == head
        assert {key: one["inputs"][0][key] for key in ("labels", "windows")} == found["heads"][head]
    assert json.loads((tmp_path / "all.json").read_text())["inputs"] == said["inputs"]
    with av.open("film.mp4") as film:
        assert sum(1 for _ in film.decode(video=0)) == 16
    omnisrc(capsys, "predict", clip, "--model", net, "-o", "all.csv", "--top", 1)
    rows = list(csv.DictReader((tmp_path / "all.csv").open()))
    assert [(row["head"], row["scope"]) for row in rows] == [
        (head, scope) for head in ("move", "thing") for scope in ("all", *["window"] * (len(rows) // 2 - 1))
    ]


def test_a_head_is_chosen_by_its_name_to_be_explained_and_features_need_none(tmp_path, capsys):
    net, clip = two_heads(tmp_path / "net.safetensors"), video(tmp_path / "a.mp4", count=16)
    explain = ("explain", clip, "--model", net, "--method", "cam", "-o", "out")
    code, said, _ = omnisrc(capsys, *explain)
    assert code == 2 and "has several heads (move, thing); choose one with --head NAME" in said["error"]
    code, said, _ = omnisrc(capsys, *explain, "--head", "thing", "--class", "hoop")
    assert code == 0 and said["class"] == "hoop" and said["predicted"] in THINGS
    code, said, _ = omnisrc(capsys, *explain, "--head", "thnig")
    assert code == 2 and "has no head 'thnig'. Did you mean thing" in said["error"]
    code, said, _ = omnisrc(capsys, "predict", clip, "--model", net, "--classes", "ucf101")
    assert code == 2 and "--classes ucf101 names the classes of one head" in said["error"]
    code, said, _ = omnisrc(capsys, "features", clip, "--model", net, "-o", "feats")
    model = load_model(net)[0].eval()
    with torch.no_grad():
        expected = model.features(inputs_by_hand(clip, [0, 2, 4, 6]).transpose(0, 1)[None, None])[0]
    assert code == 0 and np.allclose(np.load("feats/a.npy")[0], expected.numpy(), atol=1e-4)
    torch.manual_seed(0)
    save_weights(create_model("tsn_r18", 4, width=4), tmp_path / "one.safetensors", {"classes": list(CLASSES)})
    code, said, _ = omnisrc(capsys, "predict", clip, "--model", "one.safetensors", "--head", "move")
    assert code == 2 and "one.safetensors has one head alone; leave --head move out" in said["error"]


def test_eval_scores_the_head_for_the_target_s_class_list(tmp_path, capsys, study):
    record_world(study, write_world(study.root, {("target", "train"): 2, ("target", "test"): 6}))
    study.database().dispose()
    net = two_heads(tmp_path / "net.safetensors")
    line = ("eval", "--checkpoint", net, "--workspace", study.root, "--protocol", "1x1")
    code, said, _ = omnisrc(capsys, *line, sets=("eval.workers=0",))
    assert code == 0 and said["head"] == "move" and said["samples"] == 6, said
    code, same_again, _ = omnisrc(capsys, *line, "--head", "move")
    assert code == 0 and same_again["top1"] == said["top1"]
    code, said, _ = omnisrc(capsys, *line, "--head", "thing")
    assert code == 2 and "trained on other classes than the target's" in said["error"]
    torch.manual_seed(2)
    silent = tmp_path / "silent.safetensors"
    save_weights(create_model("slowonly_r18", 4, width=4, heads={"x": 4, "y": 5}), silent, {"sampling": SAMPLING})
    code, said, _ = omnisrc(capsys, "eval", "--checkpoint", silent, "--workspace", study.root)
    assert code == 2 and "several heads (x, y), and of them none answers for the target's class list" in said["error"]
    with pytest.raises(UserError, match=r"has several heads \(move, thing\)"):
        open_teacher(study, str(net), FilterSettings())
