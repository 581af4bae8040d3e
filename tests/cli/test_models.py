"""`omnisrc models` as a user runs it, and what becomes of files that do not fit."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import onnxruntime
import pytest
import torch

from omnisrc.cli.main import run
from omnisrc.models import about, figures, load_model, released, save_weights
from omnisrc.models.convert import names_in
from omnisrc.models.released import RELEASED, Released
from tests.local_web import LocalWeb
from tests.models.networks import same, seasoned


@pytest.fixture(autouse=True)
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("OMNISRC_HOME", str(tmp_path / "study"))
    monkeypatch.setenv("COLUMNS", "300")
    torch.manual_seed(0)
    return tmp_path / "study" / "models"


@pytest.fixture
def web() -> Iterator[LocalWeb]:
    with LocalWeb() as served:
        yield served


def command(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, dict[str, Any], str]:
    """Exit code, the object of --json, what was said."""
    code = run(["models", *map(str, arguments), "--json"])
    said = capsys.readouterr()
    assert "Traceback" not in said.err
    return code, json.loads(said.out), " ".join(said.err.split())


def refusal(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    """The one sentence of a mistake."""
    code, answer, said = command(capsys, *arguments)
    assert code == 2 and answer["error"] in said and "\n" not in answer["error"]
    return str(answer["error"])


def mmaction2_file(path: Path, name: str = "slowonly_r18", classes: int = 5, **meta: Any) -> Any:
    model = seasoned(name, classes)
    names = names_in("mmaction2", name, list(model.state_dict()))
    state = {names[key]: value for key, value in model.state_dict().items()}
    torch.save({"meta": meta, "state_dict": state}, path)
    return model


def test_list_names_networks_with_their_published_sizes(capsys: pytest.CaptureFixture[str]) -> None:
    code, answer, said = command(capsys, "list")
    rows = {row["name"]: row for row in answer["models"]}
    assert code == 0 and "24.33 M" in said
    assert (rows["tsn_r50"]["parameters"], rows["slowonly_r101"]["parameters"]) == (24_327_632, 60_359_120)
    assert "slowonly_r50_8x8_k400" in rows["slowonly_r50"]["released"] and rows["tsn_r50"]["here"] == []


@pytest.mark.parametrize(
    ("name", "key", "published"),
    [
        ("tsn_r50", "gflops", 4.11),
        ("slowonly_r50", "gflops_of_three_crops", 54.8),
        ("slowonly_r101", "gflops_of_three_crops", 112),
    ],
)
def test_show_a_network_costs_what_was_published(
    name: str, key: str, published: float, capsys: pytest.CaptureFixture[str]
) -> None:
    code, answer, _ = command(capsys, "show", name)
    assert code == 0 and answer[key] == pytest.approx(published, rel=0.01)
    assert answer["stages"][-1]["channels"] == 2048 and len(answer["released"]) > 0


def test_show_a_file_says_all_that_is_known_of_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    mmaction2_file(tmp_path / "slowonly_r18_4x16x1_mine.pth", CLASSES=list("abcde"))
    code, answer, _ = command(capsys, "show", tmp_path / "slowonly_r18_4x16x1_mine.pth")
    assert code == 0 and (answer["model"], answer["num_classes"], answer["format"]) == ("slowonly_r18", 5, "mmaction2")
    assert answer["classes"] == list("abcde") and answer["sampling"]["clip_len"] == 4 and answer["view"][0] == 4
    assert answer["sha256"] == hashlib.sha256((tmp_path / "slowonly_r18_4x16x1_mine.pth").read_bytes()).hexdigest()
    assert answer["missing"] == answer["unexpected"] == answer["other_shape"] == []
    code, answer, _ = command(capsys, "show", tmp_path / "slowonly_r18_4x16x1_mine.pth", "--model", "tsn_r18")
    assert answer["compared_with"] == "tsn_r18" and "trunk.conv1.weight" in answer["other_shape"]
    assert run(["models", "show", str(tmp_path / "slowonly_r18_4x16x1_mine.pth")]) == 0
    assert "clip_len 4, frame_interval 16" in " ".join(capsys.readouterr().out.split())


def test_add_a_file_checks_it_and_keeps_it(workspace: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    mmaction2_file(tmp_path / "mine.pth")
    digest = hashlib.sha256((tmp_path / "mine.pth").read_bytes()).hexdigest()
    code, answer, said = command(capsys, "add", tmp_path / "mine.pth", "--sha256", digest)
    assert code == 0 and answer["added"] and "slowonly_r18 for 5 classes" in said
    assert (workspace / "mine.pth").read_bytes() == (tmp_path / "mine.pth").read_bytes()
    assert command(capsys, "add", tmp_path / "mine.pth")[1]["added"] is False
    assert "does not begin with 00000000" in refusal(capsys, "add", tmp_path / "mine.pth", "--sha256", "0" * 8)
    (tmp_path / "named-0a1b2c3d.pth").write_bytes((tmp_path / "mine.pth").read_bytes())
    assert "begins with 0a1b2c3d by its name" in refusal(capsys, "add", tmp_path / "named-0a1b2c3d.pth")
    mmaction2_file(tmp_path / "mine.pth", classes=7)
    assert "There is another" in refusal(capsys, "add", tmp_path / "mine.pth")
    assert sorted(path.name for path in workspace.iterdir()) == ["mine.pth"]


def test_add_fetches_a_url_and_a_released_name(
    web: LocalWeb, workspace: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    mmaction2_file(tmp_path / "mine.pth")
    content = (tmp_path / "mine.pth").read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    url = web.add("/other.pth", content)
    for new in (True, False):
        code, answer, _ = command(capsys, "add", url, "--sha256", digest)
        assert code == 0 and answer["model"] == "slowonly_r18" and answer["added"] is new
        assert (workspace / "other.pth").read_bytes() == content
    assert "There is another" in refusal(capsys, "add", url, "--sha256", "0" * 64)
    sampling = RELEASED[0].sampling
    row = Released("slowonly_r18_mine", "slowonly_r18", sampling, "five", 61.0, 62.0, "", "m/", "mine", digest[:8])
    for place in (released, about, figures):
        monkeypatch.setattr(place, "RELEASED", (*RELEASED, row))
    web.add(f"/m/{row.file}", content)
    mirror = ("--set", f"models.mirror={web.url}")
    code, answer, _ = command(capsys, "show", "slowonly_r18_mine")
    assert code == 0 and answer["here"] is False and answer["top1"] == 61.0
    code, answer, _ = command(capsys, "add", "slowonly_r18_mine", *mirror)
    assert code == 0 and answer["added"] and (workspace / row.file).is_file()
    assert command(capsys, "add", "slowonly_r18_mine", *mirror)[1]["added"] is False
    rows = {found["name"]: found for found in command(capsys, "list")[1]["models"]}
    assert rows["slowonly_r18"]["here"] == ["slowonly_r18_mine"]


def test_without_a_network_one_sentence_says_so(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    mirror = ("--set", "models.mirror=https://weights.invalid")
    code, answer, _ = command(capsys, "add", "slowonly_r50_8x8_k400", *mirror)
    assert code == 1 and "could not be fetched (dns" in answer["error"] and "omnisrc models add FILE" in answer["error"]
    assert list(workspace.iterdir()) == []


def test_convert_goes_to_mmaction2_and_back(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    origin = seasoned("tsn_r50")
    save_weights(origin, tmp_path / "x.safetensors", {"classes": list("abcde"), "licence": "CC0-1.0"})
    assert names_in("mmaction2", "tsn_r50", list(origin.state_dict()))["head.fc.bias"] == "cls_head.fc_cls.bias"
    code, theirs, _ = command(capsys, "convert", tmp_path / "x.safetensors", "--to", "mmaction2")
    assert code == 0 and Path(theirs["file"]).name == f"x_mmaction2-{theirs['sha256'][:8]}.pth"
    stored = torch.load(theirs["file"], weights_only=True)
    assert stored["meta"]["dataset_meta"]["classes"] == list("abcde")
    assert "backbone.layer4.0.downsample.bn.running_var" in stored["state_dict"] and len(stored["state_dict"]) == 320
    code, ours, _ = command(capsys, "convert", theirs["file"], "--to", "safetensors")
    model, report = load_model(ours["file"])
    assert code == 0 and same(model, origin) and report.meta["classes"] == list("abcde")
    assert "already" in refusal(capsys, "convert", theirs["file"])
    assert "no layout 'onnx'" in refusal(capsys, "convert", theirs["file"], "--to", "onnx")


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("name", "kind"),
    [("slowonly_r18", "onnx"), ("tsn_r18", "torch-export")],
)
def test_an_exported_program_gives_the_same_logits(
    name: str, kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = seasoned(name)
    with torch.no_grad():
        model.head.fc.weight.normal_()  # logits of some size
    save_weights(model, tmp_path / "x.safetensors", {"classes": list("abcde")})
    code, answer, said = command(
        capsys, "export", tmp_path / "x.safetensors", "--to", kind, "--side", 32, "--segments", 2
    )
    assert code == 0 and answer["input"][0] == 2 and answer["difference"] < 1e-4 and "differ by" in said
    clips = torch.randn(3, *answer["input"])
    with torch.no_grad():
        own = model(clips)
    if kind == "onnx":
        session = onnxruntime.InferenceSession(answer["file"], providers=["CPUExecutionProvider"])
        theirs = torch.from_numpy(session.run(None, {"views": clips.numpy()})[0])
        assert session.get_modelmeta().custom_metadata_map["classes"] == '["a", "b", "c", "d", "e"]'
    else:
        theirs = torch.export.load(answer["file"]).module()(clips)
    assert own.abs().max() > 1 and torch.allclose(theirs, own, atol=1e-4 * float(own.abs().max()))
    assert sorted(path.name for path in tmp_path.glob("*.*")) == sorted(["x.safetensors", Path(answer["file"]).name])


class Code:
    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return os.system, (f"touch {os.environ['RAN']}",)


def test_bad_files_are_one_sentence_and_nothing_runs(
    workspace: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAN", str(tmp_path / "ran"))
    mmaction2_file(tmp_path / "whole.pth")
    content = (tmp_path / "whole.pth").read_bytes()
    (tmp_path / "half.pth").write_bytes(content[: len(content) // 2])
    (tmp_path / "text.pth").write_text("404 not found")
    torch.save({"state_dict": torch.load(tmp_path / "whole.pth")["state_dict"], "more": Code()}, tmp_path / "code.pth")
    torch.save({"some.weight": torch.zeros(2)}, tmp_path / "other.pth")
    for name, sentence in (
        ("half.pth", "cut short"),
        ("text.pth", "is not a weights file"),
        ("code.pth", "holds pickled code"),
        ("other.pth", "weights of an unknown kind"),
        ("gone.pth", "no weights file"),
    ):
        for verb in ("show", "add", "convert", "export"):
            assert sentence in refusal(capsys, verb, tmp_path / name)
    assert not (tmp_path / "ran").exists() and not workspace.exists()
    assert {path.stem for path in tmp_path.iterdir()} == {"code", "half", "other", "text", "whole"}
    assert "did you mean slowonly_r50" in refusal(capsys, "show", "slowonly_r5o")
    assert "unknown model 'tsn_r5'" in refusal(capsys, "show", tmp_path / "whole.pth", "--model", "tsn_r5")


def test_narrow_and_wrapped_files_are_taken_and_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    state = seasoned("tsn_r18").half().state_dict()
    torch.save({f"module._orig_mod.model.{key}": value for key, value in state.items()}, tmp_path / "x.pth")
    code, _, said = command(capsys, "add", tmp_path / "x.pth")
    assert code == 0 and "float16 weights" in said and "prefix module._orig_mod.model. was taken off" in said
