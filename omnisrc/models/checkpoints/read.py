"""A weights file in our words: its format, its tensors under our names, its metadata."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import torch

from omnisrc.errors import UserError
from omnisrc.models.checkpoints.container import Contents, open_contents
from omnisrc.models.checkpoints.formats import FORMATS, Adapting, Format, format_of
from omnisrc.models.checkpoints.pyslowfast import from_blobs, is_blobs
from omnisrc.models.checkpoints.recognise import Match, recognise
from omnisrc.models.pretrained.folder import pretrained_folder
from omnisrc.models.pretrained.video import read_video
from omnisrc.models.released import released_by_hash

HEAD = "head.fc.weight"


@dataclass(frozen=True)
class Checkpoint:
    """A file as read; `state` has our names, `said` what the file or its format says, in the words of CheckpointReport.

    Which model the weights are is asked when it is needed, for it takes building models.
    """

    path: Path
    format: str
    sha256: str
    state: dict[str, torch.Tensor]
    said: dict[str, Any]
    notes: tuple[str, ...] = ()

    @cached_property
    def match(self) -> Match | None:
        """The model that the weights fill: as the file says, or as their names and shapes do."""
        name, args, classes = (self.said.get(key) for key in ("model", "model_args", "num_classes"))
        if isinstance(name, str):
            return Match(name, args if isinstance(args, dict) else {}, classes if isinstance(classes, int) else None)
        known = released_by_hash(self.sha256)
        hints = known.model if known else f"{self.path.stem} {self.said.get('family', '')}"
        return recognise(self.state, hints, str(self.said.get("family", "")))

    @property
    def num_classes(self) -> int | None:
        """How many classes the head answers for; None where there is no head, or no model fits."""
        head = self.state.get(HEAD)
        if head is not None and head.ndim == 2:
            return head.shape[0]
        return None if self.match is None else self.match.num_classes

    @property
    def meta(self) -> dict[str, Any]:
        """What is said of the file and what its weights tell, in the words of CheckpointReport."""
        match, meta = self.match, dict(self.said)
        if match is not None:
            meta |= {"model": match.name, "model_args": dict(match.args)}
        if self.num_classes is not None:
            meta["num_classes"] = self.num_classes
        return meta


def read_checkpoint(path: Path, averaged: bool = True, blobs: bool = False) -> Checkpoint:
    """A file, or a folder of transformers'. Raises UserError for what cannot be read (see `open_contents`) and for
    weights of no known format."""
    folder = pretrained_folder(path)
    if folder is not None:
        return Checkpoint(path, "transformers", *read_video(folder))
    contents = open_contents(path, averaged, blobs)
    if is_blobs(contents.state):
        contents = replace(contents, state=from_blobs(contents.state))
    form = format_of(contents.state)
    if form is None:
        raise UserError(
            f"{path} holds weights of an unknown kind ({some(contents.state)}): recognisers of "
            f"{', '.join(dict.fromkeys(known.NAME for known in FORMATS))} can be read; `omnisrc models list` names them"
        )
    renamed = {form.our_key(key): value for key, value in contents.state.items()}
    state = {key: value for key, value in renamed.items() if key is not None}
    notes = list(contents.notes)
    with _as_should_be(form, contents):
        if isinstance(form, Adapting):
            state = form.adapt(state)
        said = dict(form.meta(contents))
        if said.pop("channel_order", "rgb") == "bgr":
            state, said = to_rgb(state, said)
            notes.append("it takes BGR: its stem and its scaling were turned to RGB")
    return Checkpoint(path, form.NAME, contents.sha256, state, said, tuple(notes))


@contextmanager
def _as_should_be(form: Format, contents: Contents) -> Iterator[None]:
    """Reads what a format takes for granted; UserError where a tensor is missing or has another shape."""
    try:
        yield
    except (KeyError, StopIteration) as error:
        raise UserError(
            f"{contents.path} holds but a part of a {form.NAME} network ({some(contents.state)}): fetch it whole"
        ) from error
    except (IndexError, RuntimeError, TypeError, ValueError, ZeroDivisionError) as error:
        raise UserError(
            f"{contents.path} holds tensors of a {form.NAME} network, but not of the shapes that such a network has: "
            "fetch it again"
        ) from error


def to_rgb(state: dict[str, torch.Tensor], said: dict[str, Any]) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """A network of BGR frames as one of RGB frames: the same outputs, for the same frames in the other order."""
    stems = [key for key, value in state.items() if key.startswith("trunk.") and value.ndim > 3 and value.shape[1] == 3]
    turned = {key: state[key].flip(1) for key in stems}
    scaling: dict[str, Any] = {word: list(said[word])[::-1] for word in ("mean", "std") if word in said}
    return {**state, **turned}, {**said, **scaling}


def some(keys: Collection[str], most: int = 3) -> str:
    """The first few names, and how many more there are."""
    rest = len(keys) - most
    return ", ".join(list(keys)[:most]) + (f" and {rest} more" if rest > 0 else "")
