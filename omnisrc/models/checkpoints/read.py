"""A weights file in our words: its format, its tensors under our names, its metadata."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from omnisrc.errors import UserError
from omnisrc.models.checkpoints.architecture import classes_of, model_for
from omnisrc.models.checkpoints.container import open_contents
from omnisrc.models.checkpoints.formats import FORMATS, format_of


@dataclass(frozen=True)
class Checkpoint:
    """A file as read; `state` has our names, `meta` the words of CheckpointReport."""

    path: Path
    format: str
    sha256: str
    state: dict[str, torch.Tensor]
    meta: dict[str, Any]


def read_checkpoint(path: Path) -> Checkpoint:
    """Raises UserError for what cannot be read (see `open_contents`) and for weights of no known format."""
    contents = open_contents(path)
    form = format_of(contents.state)
    if form is None:
        raise UserError(
            f"{path} holds weights of an unknown kind ({some(contents.state)}): ResNet recognisers of "
            f"{', '.join(dict.fromkeys(known.NAME for known in FORMATS))} can be read"
        )
    renamed = {form.our_key(key): value for key, value in contents.state.items()}
    state = {key: value for key, value in renamed.items() if key is not None}
    meta = dict(form.meta(contents))
    if "model" not in meta:
        fitting = model_for(state)
        meta |= {} if fitting is None else {"model": fitting[0], "model_args": fitting[1]}
    if classes_of(state) is not None:
        meta["num_classes"] = classes_of(state)
    return Checkpoint(path, form.NAME, contents.sha256, state, meta)


def some(keys: Collection[str], most: int = 3) -> str:
    """The first few names, and how many more there are."""
    rest = len(keys) - most
    return ", ".join(list(keys)[:most]) + (f" and {rest} more" if rest > 0 else "")
