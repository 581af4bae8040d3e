"""What a user may give for weights, through every command that takes them: one sentence, exit code 2, what helps."""

from __future__ import annotations

import io
import pickle
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from omnisrc.study import Study
from tests.cli.taking_weights import CLASSES, COUNT, omnisrc, ours, plain

ORDER = list(reversed(CLASSES))
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


@pytest.mark.parametrize(
    ("verb", "meta", "count", "sentence"),
    [
        ("eval", {}, COUNT + 3, "knows 7 classes, but the target's class list toy has 4; `omnisrc train --init"),
        ("filter", {}, COUNT + 3, "knows 7 classes .* `omnisrc train --mix target`"),
        ("eval", {"classes": ORDER}, COUNT, "another order, first at 0: .*`omnisrc train --init FILE`"),
        ("filter", {"classes": ORDER}, COUNT, "another order, first at 0: .*`omnisrc train --mix target`"),
        ("eval", {"class_list": "theirs", "class_list_sha256": "f" * 64}, COUNT, "theirs.*`omnisrc "),
        ("filter", {"class_list": "theirs", "class_list_sha256": "f" * 64}, COUNT, "theirs.*`omnisrc train"),
    ],
)
def test_other_classes_another_order_and_another_list_are_named_where_answers_count(
    verb: str, meta: dict[str, Any], count: int, sentence: str,
    weights_world: Study, tmp_path: Path, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    ours(tmp_path / "x.safetensors", count=count, **meta)
    code, answer = omnisrc(capsys, weights_world, verb, tmp_path / "x.safetensors")
    assert code == 2 and re.search(sentence, answer["error"]) and "\n" not in answer["error"], answer


def test_a_start_from_another_architecture_names_the_one_that_fits(
    weights_world: Study, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ours(tmp_path / "x.safetensors", "r2plus1d_r34")
    code, answer = omnisrc(capsys, weights_world, "train", tmp_path / "x.safetensors")
    assert code == 2 and "it fits r2plus1d_r34 (--model r2plus1d_r34)" in answer["error"]


@pytest.mark.parametrize("verb", VERBS)
def test_float16_weights_under_three_prefixes_are_taken_everywhere(
    verb: str, weights_world: Study, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plain(tmp_path / "x.pth", prefix="module._orig_mod.module.", half=True)
    code, answer = omnisrc(capsys, weights_world, verb, tmp_path / "x.pth")
    assert code == 0, answer
