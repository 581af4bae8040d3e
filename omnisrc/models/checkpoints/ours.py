"""Our own files: safetensors under our names, with the metadata as one JSON text."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import safetensors.torch

from omnisrc.errors import WorldError
from omnisrc.models.checkpoints.container import METADATA_KEY, Contents
from omnisrc.models.checkpoints.norms import eps_of
from omnisrc.models.recogniser import Recogniser
from omnisrc.shards.write import sync_folder

NAME = "omnisrc"


def matches(keys: Collection[str]) -> bool:
    return any(key.startswith("trunk.") for key in keys)


def our_key(key: str) -> str | None:
    return key


def meta(contents: Contents) -> Mapping[str, Any]:
    return dict(contents.own_meta or {})


def save_weights(model: Recogniser, path: Path, meta: Mapping[str, Any]) -> str:
    """Writes weights and metadata in one piece (a reader never sees half a file) and returns the file's SHA-256.

    `meta` may hold classes, class_list, class_list_sha256, licence, source, and anything else that is JSON; what the
    model knows of itself (model, model_args, num_classes, mean, std, bn_eps, sampling) is added, `meta` winning. Equal
    weights and metadata give equal bytes. Raises WorldError when the disk fails.
    """
    tensors = {key: value.detach().cpu().contiguous() for key, value in model.state_dict().items()}
    text = json.dumps({**_own(model), **meta}, sort_keys=True)
    data = safetensors.torch.save(tensors, {METADATA_KEY: text})
    part = path.with_name(path.name + ".part")
    try:
        with part.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
        sync_folder(path.parent)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise WorldError(f"weights file {path} could not be written: {error.strerror or error}") from error
    return hashlib.sha256(data).hexdigest()


def _own(model: Recogniser) -> dict[str, Any]:
    spec, eps = model.input, eps_of(model)
    return {
        **({} if eps is None else {"bn_eps": eps}),
        "model": model.name,
        "model_args": dict(model.args),
        "num_classes": model.num_classes,
        "mean": list(spec.mean),
        "std": list(spec.std),
        "modality": spec.modality,
        "sampling": {
            "clip_len": spec.clip_len,
            "frame_interval": spec.frame_interval,
            "num_segments": spec.num_segments,
            "crop_size": spec.crop_size,
            "short_side": spec.short_side,
        },
    }
