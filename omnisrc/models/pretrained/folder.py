"""A folder of a pretrained network: which files count, what they say, and one hash over them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omnisrc.errors import UserError, WorldError
from omnisrc.models.pretrained.licence import licence_of

CONFIG = "config.json"
READ = (".json", ".safetensors", ".txt", ".model")
"""Suffixes of the files that loading reads: configurations, weights, vocabularies."""


@dataclass(frozen=True)
class PretrainedFolder:
    """`config` is config.json; `preprocessing` what the folder says of its input, empty where it says nothing;
    `sha256` is `folder_sha256`."""

    path: Path
    config: Mapping[str, Any]
    preprocessing: Mapping[str, Any]
    licence: str | None
    sha256: str

    @property
    def model_type(self) -> str:
        """transformers' word for the architecture: clip, siglip, xclip, videomae, timesformer, vivit, vjepa2."""
        return str(self.config.get("model_type", ""))


def is_pretrained(path: Path) -> bool:
    """Whether this is a folder with a config.json."""
    return (path / CONFIG).is_file()


def pretrained_folder(path: Path) -> Path | None:
    """The folder that a path means: the folder itself, or that of its model.safetensors; None if it is neither."""
    if is_pretrained(path):
        return path
    return path.parent if path.name == "model.safetensors" and is_pretrained(path.parent) else None


def open_folder(path: Path) -> PretrainedFolder:
    """Reads everything but the tensors.

    Raises:
        UserError: no config.json, damaged JSON, or no safetensors (other weights may run code when they are read).
    """
    if not is_pretrained(path):
        raise UserError(
            f"The folder {path} holds no config.json; give one as transformers' save_pretrained writes it, or a"
            " weights file."
        )
    if not any(path.glob("*.safetensors")):
        raise UserError(
            f"The folder {path} holds no model.safetensors, and weights of other kinds are not read because they may"
            " run code; fetch the safetensors file of the same model."
        )
    return PretrainedFolder(path, read_json(path / CONFIG), _preprocessing(path), licence_of(path), folder_sha256(path))


def read_json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise WorldError(f"The file {path} could not be read: {error.strerror or error}.") from error
    except ValueError as error:
        raise UserError(f"The file {path} is damaged (no JSON); fetch it again.") from error
    if not isinstance(content, dict):
        raise UserError(f"The file {path} is damaged (no JSON object); fetch it again.")
    return content


def _preprocessing(path: Path) -> dict[str, Any]:
    """Newer folders keep it inside processor_config.json, or in a file of its own for videos."""
    for name in ("preprocessor_config.json", "video_preprocessor_config.json"):
        if (path / name).is_file():
            return read_json(path / name)
    if (path / "processor_config.json").is_file():
        both = read_json(path / "processor_config.json")
        found = both.get("image_processor") or both.get("video_processor") or {}
        return dict(found) if isinstance(found, dict) else {}
    return {}


def folder_sha256(path: Path) -> str:
    """SHA-256 over the names and bytes of every file that loading reads."""
    whole = hashlib.sha256()
    try:
        for file in sorted(each for each in path.iterdir() if each.suffix in READ and each.is_file()):
            with file.open("rb") as opened:
                whole.update(f"{file.name} {hashlib.file_digest(opened, 'sha256').hexdigest()}\n".encode())
    except OSError as error:
        raise WorldError(f"The folder {path} could not be read: {error.strerror or error}.") from error
    return whole.hexdigest()
