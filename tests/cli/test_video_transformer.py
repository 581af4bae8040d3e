"""A video transformer through the commands: started from a folder, trained on a mix, scored."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from omnisrc.cli.main import run
from omnisrc.models.pretrained.folder import folder_sha256
from omnisrc.study import Study
from tests.mixed_world import CLASSES, record_world, write_world
from tests.models.pretrained_folders import TINY, video_classifier

pytest.importorskip("transformers")
COUNTS = {("target", "train"): 8, ("target", "val"): 4, ("web-image", "train"): 4}


@pytest.mark.slow
def test_a_folder_is_trained_on_with_images_and_clips_and_scored(
    study: Study, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    record_world(study, write_world(study.root, COUNTS))
    study.database().dispose()
    folder = video_classifier(tmp_path / "videomae", "videomae_b", ["a", "b", "c"])
    args = json.dumps({"config": {**TINY["videomae_b"]}})
    sets = [f"train.model_args={args}", "train.crop_size=32", "train.batch_size=4", "train.frame_interval=1",
            "train.threads=1", "train.device=cpu", "eval.clips=1", "eval.crops=1", "eval.device=cpu"]  # fmt: skip
    place = ["--workspace", str(study.root), "--json", *(part for each in sets for part in ("--set", each))]
    command = ["train", "--model", "videomae_b", "--init", str(folder), "--mix", "web,target", "--steps", "2"]
    code = run([*command, "--name", "student", *place])
    assert code == 0, capsys.readouterr().out
    content = yaml.safe_load((study.runs / "student" / "run.yaml").read_text())
    assert content["recipe"]["settings"]["model_args"] == {"config": TINY["videomae_b"]}
    capsys.readouterr()
    assert run(["eval", "--run", "student", "--split", "val", *place]) == 0
    scored = json.loads(capsys.readouterr().out)
    assert scored["samples"] == scored["expected"] == 4
    known = video_classifier(tmp_path / "known", "videomae_b", list(CLASSES))
    assert run(["eval", "--checkpoint", str(known), "--split", "val", *place]) == 0
    scored = json.loads(capsys.readouterr().out)
    assert scored["samples"] == 4 and scored["checkpoint_sha256"] == folder_sha256(known)
