"""Our own files with metadata of other kinds than we write: one sentence each, wherever they are used."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from omnisrc.cli.main import run
from omnisrc.errors import UserError
from omnisrc.models import create_model, load_model, save_weights
from omnisrc.models.checkpoints.container import METADATA_KEY

STRANGE = [5, -1, 1.5, "x", [], ["a"], ["a", "a", None], {}, {"a": 1}, True, float("nan"), "\n[red]", [[]],
           {"clip_len": "x"}, [0, 0, 0], {"width": "x"}, {"width": 10**9}]  # fmt: skip


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    path = tmp_path_factory.mktemp("own") / "whole.safetensors"
    save_weights(create_model("slowonly_r18", 3, width=4), path, {"classes": ["a", "b", "c"]})
    with safe_open(path, "pt") as file:
        return path, json.loads(file.metadata()[METADATA_KEY])


def rewritten(whole: Path, meta: object, path: Path) -> Path:
    save_file(load_file(whole), path, {METADATA_KEY: json.dumps(meta)})
    return path


@pytest.mark.parametrize("key", ["bn_eps", "classes", "mean", "model", "model_args", "num_classes", "sampling", "std"])
def test_what_is_of_another_kind_is_one_sentence(
    key: str, whole: tuple[Path, dict[str, Any]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    origin, meta = whole
    picture, workspace = tmp_path / "still.png", tmp_path / "w"
    Image.new("RGB", (64, 64)).save(picture)
    refused = 0
    for value in STRANGE:
        path = rewritten(origin, {**meta, key: value}, tmp_path / "strange.safetensors")
        try:
            load_model(path)
        except UserError as error:
            assert str(path) in str(error) and "\n" not in str(error)
            refused += 1
        assert run(["models", "show", str(path)]) in (0, 2)
        line = ["predict", "--model", str(path), str(picture), "--workspace", str(workspace)]
        assert run([*line, "--set", "eval.device=cpu"]) in (0, 2)
        capsys.readouterr()
    assert refused >= 7


def test_what_is_null_is_not_said(whole: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    origin, meta = whole
    path = rewritten(origin, {**meta, "mean": None, "licence": None}, tmp_path / "null.safetensors")
    model, _ = load_model(path)
    assert model.input.mean == create_model("slowonly_r18", 3).input.mean


@pytest.mark.parametrize(
    ("args", "words"),
    [({"width": "x"}, "another width than 'x', such as 64"), ({"dropout": True}, "another dropout than True"),
     ({"width": 10**9}, "cannot be built with")],
)  # fmt: skip
def test_an_argument_of_another_kind_is_one_sentence(args: dict[str, Any], words: str) -> None:
    with pytest.raises(UserError, match=words):
        create_model("slowonly_r18", 3, **args)
