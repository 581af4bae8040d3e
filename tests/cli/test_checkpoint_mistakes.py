"""What a user may give for weights, through every command that takes them: one sentence, exit code 2, what helps."""

from __future__ import annotations

import io
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from omnisrc.study import Study
from tests.cli.taking_weights import COUNT, omnisrc, ours, plain

VERBS = ("eval", "predict", "train", "filter")
HELPS = ("omnisrc models", "omnisrc train", "--init", "--model", "torch.save")


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


# name of the file, how it is made, what every command says of it
REFUSED: list[tuple[str, Callable[[Path], object], str]] = [
    ("half.pth", cut, "cut short, damaged"),
    ("text.pth", lambda path: path.write_text("see the README"), "is not a weights file"),
    ("code.pth", malicious, "holds pickled code"),
    ("blobs.pkl", lambda path: path.write_bytes(pickle.dumps({"blobs": {"conv1_w": Code()}})), "can run code"),
    ("stranger.pth", lambda path: torch.save({"stem.7.weight": torch.ones(2)}, path), "of an unknown kind"),
]


@pytest.mark.parametrize("verb", VERBS)
def test_what_is_no_weights_file_is_refused_everywhere(
    verb: str, weights_world: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for name, write, sentence in REFUSED:
        write(tmp_path / name)
        code, answer = omnisrc(capsys, weights_world, verb, tmp_path / name)
        said = answer["error"]
        assert code == 2 and sentence in said and "\n" not in said, (name, answer)
        assert any(word in said for word in HELPS), said
    assert not (tmp_path / "ran").exists()


# name of the file, how it is made, which command says what
UNLIKE: list[tuple[str, Callable[[Path], object], dict[str, str]]] = [
    ("other.safetensors", lambda path: ours(path, "tsn_r18"), {"train": "ResNet"}),
    ("count.safetensors", lambda path: ours(path, classes=COUNT + 3), {"eval": "classes", "filter": "classes"}),
    ("order.safetensors", lambda path: ours(path, classes=COUNT), {}),
    (
        "hash.safetensors",
        lambda path: ours(path, class_list="others", class_list_sha256="0" * 64),
        {"eval": "others", "filter": "others"},
    ),
]


@pytest.mark.parametrize("verb", VERBS)
def test_float16_weights_under_three_prefixes_are_taken_everywhere(
    verb: str, weights_world: Study, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plain(tmp_path / "x.pth", prefix="module._orig_mod.module.", half=True)
    code, answer = omnisrc(capsys, weights_world, verb, tmp_path / "x.pth")
    assert code == 0, answer
