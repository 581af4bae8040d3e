"""What a user may give for weights, through every command that takes them: one sentence, exit code 2, what helps."""

from __future__ import annotations

import io
import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from omnisrc.classes import names_sha256
from omnisrc.cli.main import run
from omnisrc.models import save_weights
from omnisrc.study import Study
from tests.mixed_world import CLASSES, record_world, write_world
from tests.models.networks import seasoned

COUNTS = {("target", "train"): 4, ("target", "val"): 3, ("target", "test"): 3}
QUICK = ["eval.clips=1", "eval.crops=1", "eval.device=cpu", "eval.workers=0", "train.crop_size=32", "train.steps=1",
         "train.model_args={width: 4}", "train.device=cpu", "train.clip_len=4", "train.batch_size=2"]  # fmt: skip
COUNT = len(CLASSES)


@pytest.fixture
def world(study: Study) -> Study:
    record_world(study, write_world(study.root, COUNTS))
    study.database().dispose()
    return study


def ours(path: Path, name: str = "slowonly_r18", classes: int = COUNT, **meta: Any) -> None:
    save_weights(seasoned(name, classes), path, meta)


def plain(path: Path, name: str = "slowonly_r18", prefix: str = "", half: bool = False) -> None:
    state = seasoned(name, COUNT).state_dict()
    torch.save({f"{prefix}{key}": value.half() if half else value for key, value in state.items()}, path)


def cut(path: Path) -> None:
    plain(path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


class Code:
    def __reduce__(self) -> tuple[Any, tuple[Any, ...]]:
        return Path("ran").touch, ()


def malicious(path: Path) -> None:
    stream = io.BytesIO()
    torch.save({"state_dict": {"conv1.weight": torch.ones(1)}, "hook": Code()}, stream)
    path.write_bytes(stream.getvalue())


def blobs(path: Path) -> None:
    path.write_bytes(pickle.dumps({"blobs": {"conv1_w": [1.0], "pred_w": Code()}}, protocol=2))


Write = Callable[[Path], None]
ORDER = list(reversed(CLASSES))
# what a file is, its name, how it is made, what the sentence says
MISTAKES: list[tuple[str, str, Write, str]] = [
    ("half a file", "x.pth", cut, "cut short, damaged"),
    ("a text file", "x.pth", lambda path: path.write_text("see the README") and None, "is not a weights file"),
    ("a pickle that runs code", "x.pth", malicious, "holds pickled code"),
    ("pickled blobs", "x.pkl", blobs, "is a pickle, which can run code"),
    ("an empty file", "x.pth", lambda path: path.touch(), "is empty"),
    ("no file", "absent.pth", lambda path: None, "there is no weights file"),
]


def command(capsys: pytest.CaptureFixture[str], world: Study, *arguments: object) -> tuple[int, dict[str, Any], str]:
    line = [str(argument) for argument in arguments] + ["--workspace", str(world.root), "--json"]
    for setting in QUICK:
        line += ["--set", setting]
    code = run(line)
    said = capsys.readouterr()
    assert "Traceback" not in said.err
    return code, json.loads(said.out.splitlines()[-1]), said.err


def commands(world: Study, given: object) -> dict[str, list[object]]:
    """Each command that takes weights, with these."""
    video = next(iter(sorted(world.root.rglob("*.mp4"))), world.root)
    return {
        "eval": ["eval", "--checkpoint", given, "--split", "val"],
        "predict": ["predict", video, "--model", given],
        "features": ["features", video, "--model", given, "--output", world.root / "features"],
        "train": ["train", "--model", "slowonly_r18", "--mix", "target", "--init", given],
        "filter": ["filter", "--teacher", given],
        "show": ["models", "show", given],
    }
