"""Recognisers and their checkpoints. Names are looked up on first use: importing this package does not import torch."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from omnisrc.models.checkpoints.load import CheckpointReport, fingerprint, load_checkpoint, load_model, read_meta
    from omnisrc.models.checkpoints.ours import save_weights
    from omnisrc.models.create import create_model, model_names
    from omnisrc.models.inputs import InputSpec
    from omnisrc.models.recogniser import Recogniser

_HOMES = {
    "CheckpointReport": "omnisrc.models.checkpoints.load",
    "InputSpec": "omnisrc.models.inputs",
    "Recogniser": "omnisrc.models.recogniser",
    "create_model": "omnisrc.models.create",
    "fingerprint": "omnisrc.models.checkpoints.load",
    "load_checkpoint": "omnisrc.models.checkpoints.load",
    "load_model": "omnisrc.models.checkpoints.load",
    "model_names": "omnisrc.models.create",
    "read_meta": "omnisrc.models.checkpoints.load",
    "save_weights": "omnisrc.models.checkpoints.ours",
}

__all__ = [
    "CheckpointReport",
    "InputSpec",
    "Recogniser",
    "create_model",
    "fingerprint",
    "load_checkpoint",
    "load_model",
    "model_names",
    "read_meta",
    "save_weights",
]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
