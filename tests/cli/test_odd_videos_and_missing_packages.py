"""Videos that are shorter than a clip or very long, names that are not there, packages that are not installed."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from omnisrc.models import create_model, save_weights
from omnisrc.study import Study
from tests.cli.looking import omnisrc, video, weights
from tests.filter.stages import stages_here, tiny_teacher
from tests.filter.web import Item, land
from tests.media_files import image_bytes, video_bytes
from tests.mixed_world import CLASSES, clip_frames, record_world, write_world
from tests.models.pretrained_folders import TINY, video_classifier

VERBS = ("predict", "features", "explain")


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No workspace in sight."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("OMNISRC_HOME", raising=False)


def looked(capsys: Any, verb: str, clip: Path, net: object, *more: object) -> tuple[int, Any]:
    end = {"features": ("-o", f"out-{clip.stem}"), "explain": ("-o", f"out-{clip.stem}", "--method", "cam")}
    return omnisrc(capsys, verb, clip, "--model", net, *end.get(verb, ()), *more)[:2]


@pytest.mark.parametrize("name", ["slowonly_r18", "tsn_r18"])
@pytest.mark.parametrize("verb", VERBS)
def test_a_video_of_one_frame_or_of_less_than_a_clip_is_judged(tmp_path: Path, capsys: Any, verb: str, name: str):
    """A clip spans seven frames; where there are fewer, it begins again."""
    net = weights(tmp_path / "net.safetensors", name, classes=list(CLASSES))
    for count in (1, 3):
        code, said = looked(capsys, verb, video(tmp_path / f"{count}.mp4", count=count), net)
        assert code == 0, said
        if verb == "predict":
            [found] = said["inputs"]
            assert len(found["windows"]) == 1
            assert sum(label["score"] for label in found["labels"]) == pytest.approx(1, abs=1e-4)
        elif verb == "features":
            assert (said["new"], said["windows"]) == (1, 1)
        else:
            with np.load(said["numbers"]) as numbers:
                assert len(numbers["heat"]) == (4 if name == "slowonly_r18" else 3)


@pytest.fixture(scope="module")
def ten_hours(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("long") / "long.mp4"
    frames = [np.full((40, 48, 3), 8 * (at % 30), np.uint8) for at in range(3600)]
    path.write_bytes(video_bytes(frames, fps=0.1))
    return path


@pytest.mark.parametrize("verb", VERBS)
def test_a_video_of_ten_hours_is_judged(tmp_path: Path, capsys: Any, ten_hours: Path, verb: str):
    net = weights(tmp_path / "net.safetensors", classes=list(CLASSES))
    more = ("--start", 30_000) if verb == "explain" else ("--window", 3600)
    code, said = looked(capsys, verb, ten_hours, net, *more)
    assert code == 0, said
    if verb == "predict":
        assert [window["start"] for window in said["inputs"][0]["windows"]] == [3600.0 * at for at in range(10)]
    elif verb == "features":
        assert said["windows"] == 10
    else:
        with np.load(said["numbers"]) as numbers:
            assert numbers["seconds"].min() >= 30_000


def test_filter_judges_a_video_of_one_frame(study: Study, capsys: Any, monkeypatch: pytest.MonkeyPatch):
    stages_here(monkeypatch)
    found = dict.fromkeys(("golf", "pour", "run"), 0)
    land(study, [Item("one.mp4", found, video_bytes(1, width=96, height=72), medium="video")])
    tiny_teacher(study.models / "tiny.safetensors", "slowonly_r18")
    sets = ("filter.leak_checks=0", "engine.cpu_workers=1")
    code, said, _ = omnisrc(capsys, "filter", "--teacher", "tiny", "--workspace", study.root, sets=sets)
    assert code == 0, said
    assert said["members"]["clip"]["found"] == said["members"]["clip"]["kept"] == 1, said


def test_train_and_eval_take_target_clips_of_one_frame(tmp_path: Path, capsys: Any):
    rows = []
    for at, split in enumerate(("train",) * 4 + ("val", "test")):
        data = video_bytes(clip_frames(at % 2, at, 1 + at % 3), fps=10)
        (tmp_path / f"{at}.mp4").write_bytes(data)
        rows.append(f"{at}.mp4,{CLASSES[at % 2]},g{at},{split}")
    (tmp_path / "list.csv").write_text("\n".join(["path,label,group,split", *rows]) + "\n")
    (tmp_path / "classes.txt").write_text("\n".join(CLASSES[:2]) + "\n")
    place = ("--workspace", tmp_path / "study")
    code, said, _ = omnisrc(
        capsys, "target", "add", "list.csv", "--format", "csv", "--classes", tmp_path / "classes.txt", *place
    )
    assert code == 0 and {split: row["stored"] for split, row in said["splits"].items()} == {
        "train": 4, "val": 1, "test": 1,
    }, said  # fmt: skip
    sets = ("train.model_args={width: 8}", "train.crop_size=32", "train.batch_size=4", "train.clip_len=4",
            "train.frame_interval=2", "train.threads=1", "train.device=cpu", "eval.clips=2",
            "eval.crops=1")  # fmt: skip
    code, said, _ = omnisrc(
        capsys, "train", "--mix", "target", "--model", "slowonly_r18", "--steps", 1, "--name", "a", *place, sets=sets
    )
    assert code == 0, said
    code, said, _ = omnisrc(capsys, "eval", "--run", "a", "--split", "test", *place, sets=sets)
    assert code == 0 and said["samples"] == said["expected"] == 1, said


@pytest.fixture
def world(study: Study) -> Study:
    counts = {("target", "train"): 4, ("target", "val"): 2, ("target", "test"): 2, ("web-image", "train"): 4}
    record_world(study, write_world(study.root, counts))
    land(study, [Item("a.jpg", dict.fromkeys(CLASSES, 0), image_bytes(96, 72))], CLASSES)
    study.database().dispose()
    return study


def commands(study: Study, clip: Path, net: object, model: str) -> dict[str, tuple[object, ...]]:
    """Every command that takes a network, given these weights, or `model` to build."""
    place = ("--workspace", study.root)
    return {
        **{verb: (verb, clip, "--model", net, *place) for verb in VERBS},
        "filter": ("filter", "--teacher", net, *place),
        "eval": ("eval", "--checkpoint", net, *place),
        "train": ("train", "--mix", "target", "--steps", 1, "--model", model, *place),
        "train-init": ("train", "--mix", "target", "--steps", 1, "--model", model, "--init", net, *place),
        "show": ("models", "show", model),
    }


def refused(capsys: Any, given: dict[str, tuple[object, ...]], sentence: str, sets: tuple[str, ...] = ()) -> None:
    """Each ends with exit code 2 and this sentence."""
    missed = {}
    for verb, line in given.items():
        code, said, _ = omnisrc(capsys, *line, sets=sets if line[0] == "train" else ())
        error = said.get("error", "")
        if code != 2 or sentence not in error or "\n" in error.strip():
            missed[verb] = (code, error or said)
    assert not missed


def test_without_transformers_each_command_names_what_installs_it(
    world: Study, tmp_path: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch
):
    pytest.importorskip("transformers")
    folder = video_classifier(tmp_path / "net" / "videomae", "videomae_b", list(CLASSES))
    given = commands(world, video(tmp_path / "a.mp4"), folder, "videomae_b")
    monkeypatch.setitem(sys.modules, "transformers", None)
    sets = (f"train.model_args={{config: {TINY['videomae_b']}}}",)
    refused(capsys, given, "pip install 'omnisrc[transformers]'", sets)


def test_without_timm_each_command_names_what_installs_it(
    world: Study, tmp_path: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch
):
    pytest.importorskip("timm")
    net = tmp_path / "net.safetensors"
    save_weights(create_model("tsn_timm.test_resnet", 4), net, {"classes": list(CLASSES)})
    given = commands(world, video(tmp_path / "a.mp4"), net, "tsn_timm.test_resnet")
    given["show"] = ("models", "show", "tsn_timm")
    monkeypatch.setitem(sys.modules, "timm", None)
    refused(capsys, given, "pip install 'omnisrc[timm]'")


def test_a_misspelt_network_is_answered_with_the_nearest(world: Study, tmp_path: Path, capsys: Any):
    given = commands(world, video(tmp_path / "a.mp4"), "slowonly_r5o", "slowonly_r5o")
    del given["eval"]  # takes a file
    refused(capsys, given, "did you mean slowonly_r50")
