"""Every command that takes weights, run over a small study."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from omnisrc.cli.main import run
from omnisrc.models import save_weights
from omnisrc.study import Study
from tests.filter.web import Item, land
from tests.media_files import image_bytes, video_bytes
from tests.mixed_world import CLASSES, record_world, write_world
from tests.models.networks import seasoned

COUNTS = {("target", "train"): 4, ("target", "val"): 3, ("target", "test"): 3}
QUICK = ("eval.clips=1", "eval.crops=1", "eval.device=cpu", "eval.workers=0", "train.crop_size=32", "train.steps=1",
         "train.model_args={width: 4}", "train.device=cpu", "train.clip_len=4", "train.batch_size=2",
         "filter.leak_checks=0")  # fmt: skip
COUNT = len(CLASSES)


def fill_world(study: Study) -> Study:
    """A target of four classes, one image that was fetched, and a video beside the study."""
    record_world(study, write_world(study.root, COUNTS))
    land(study, [Item("a.jpg", dict.fromkeys(CLASSES, 0), image_bytes(96, 72))], CLASSES)
    (study.root.parent / "clip.mp4").write_bytes(video_bytes(8, width=96, height=72))
    study.database().dispose()
    return study


def commands(study: Study, given: object) -> dict[str, list[object]]:
    """Each command that takes weights, with these."""
    video = study.root.parent / "clip.mp4"
    return {
        "eval": ["eval", "--checkpoint", given, "--split", "val"],
        "predict": ["predict", video, "--model", given],
        "features": ["features", video, "--model", given, "--output", study.root / "features"],
        "train": ["train", "--model", "slowonly_r18", "--mix", "target", "--init", given],
        "filter": ["filter", "--teacher", given],
        "show": ["models", "show", given],
    }


def omnisrc(
    capsys: pytest.CaptureFixture[str], study: Study, verb: str, given: object, *sets: str
) -> tuple[int, dict[str, Any]]:
    """Exit code and the object of --json; no command may show a traceback."""
    line = [*map(str, commands(study, given)[verb]), "--workspace", str(study.root), "--json"]
    for setting in (*QUICK, *sets):
        line += ["--set", setting]
    code = run(line)
    said = capsys.readouterr()
    assert "Traceback" not in said.err
    return code, json.loads(said.out.splitlines()[-1])


def ours(path: Path, name: str = "slowonly_r18", count: int = COUNT, **meta: Any) -> None:
    save_weights(seasoned(name, count), path, meta)


def plain(path: Path, prefix: str = "", half: bool = False) -> None:
    state = seasoned("slowonly_r18", COUNT).state_dict()
    torch.save({f"{prefix}{key}": value.half() if half else value for key, value in state.items()}, path)
