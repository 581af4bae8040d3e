"""Opens a weights file, safetensors or PyTorch's, and never runs code that it holds."""

from __future__ import annotations

import errno
import hashlib
import json
import pickle
import re
import threading
import warnings
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch

from omnisrc.errors import UserError, WorldError
from omnisrc.models.checkpoints.blobs import RefusedName, load_blobs
from omnisrc.models.checkpoints.nesting import choose, unwrapped
from omnisrc.models.checkpoints.own_words import checked
from omnisrc.models.pretrained.folder import folder_sha256, is_pretrained

METADATA_KEY = "omnisrc"
"""The one key of the safetensors metadata: the writer orders several at random, and the file's hash would not hold."""


class Discarded:
    """Stands in for what training leaves beside weights: takes any content, keeps nothing."""

    def __new__(cls, *args: object, **fields: object) -> Discarded:
        return super().__new__(cls)

    def __setstate__(self, state: object) -> None:
        return None


DISCARDED = (
    "mmengine.logging.history_buffer.HistoryBuffer",
    "numpy.core.multiarray._reconstruct",
    "numpy._core.multiarray._reconstruct",
    "numpy.core.multiarray.scalar",
    "numpy._core.multiarray.scalar",
    "numpy.ndarray",
    "numpy.dtype",
    "argparse.Namespace",
)
"""Names that honest checkpoints hold besides tensors and plain values (logs, arguments); read as `Discarded`."""

DICTS = ("fvcore.common.config.CfgNode", "yacs.config.CfgNode")
"""Configs that are dicts with methods; read as plain dicts, which have none of them."""

ZIP = b"PK\x03\x04"
LOADING = threading.Lock()

NAMED_HASH = re.compile(r"-([0-9a-f]{8})\.(?:pth|pt|pyth)$")
DATE = re.compile(r"(?:19|20)\d\d(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])")


@dataclass(frozen=True)
class Contents:
    """A file as it is: tensors by the file's names, wrappers taken off, and what stood beside them.

    `notes` say what was done to come to the tensors, for the screen.
    """

    path: Path
    sha256: str
    state: dict[str, torch.Tensor]
    beside: Mapping[str, Any] = field(default_factory=dict)
    own_meta: Mapping[str, Any] | None = None
    notes: tuple[str, ...] = ()


def fingerprint(path: Path) -> str:
    """SHA-256 of the file's bytes, in hex; of a folder of transformers', over its files."""
    if is_pretrained(path):
        return folder_sha256(path)
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise _unreadable(path, error) from error


def open_contents(path: Path, averaged: bool = True, blobs: bool = False) -> Contents:
    """Reads the whole file on the CPU. Raises UserError for anything that is not a sound, code-free weights file.

    Where a file holds weights and their moving average, `averaged` chooses. Caffe2's pickled blobs are refused but
    where `blobs` asks for their arrays.
    """
    head = _head(path)
    sha256 = fingerprint(path)
    _check_named_hash(path, sha256)
    if _is_safetensors(path, head):
        return _open_safetensors(path, sha256)
    if path.suffix == ".pkl" and not head.startswith(ZIP):
        return _open_blobs(path, sha256, blobs)
    if head.startswith((ZIP, b"\x80")):
        return _open_torch(path, sha256, averaged)
    raise UserError(
        f"{path} is not a weights file: expected .safetensors, or a PyTorch .pth, .pt or .pyth; `omnisrc models list` "
        "names some"
    )


def own_metadata(path: Path) -> Mapping[str, Any] | None:
    """What `save_weights` wrote beside the tensors, from the header alone; None if this is not such a file."""
    if path.is_dir() or not _is_safetensors(path, _head(path)):
        return None
    with _sound(path), safetensors.safe_open(str(path), "pt") as file:
        text = (file.metadata() or {}).get(METADATA_KEY)
        meta = None if text is None else json.loads(text)
    return checked(path, meta) if isinstance(meta, dict) else None


def _head(path: Path) -> bytes:
    if path.is_dir():
        raise UserError(f"{path} is a folder: give the weights file itself")
    try:
        with path.open("rb") as file:
            head = file.read(16)
    except OSError as error:
        raise _unreadable(path, error) from error
    if not head:
        raise UserError(f"weights file {path} is empty: fetch or copy it again")
    return head


def _unreadable(path: Path, error: OSError) -> UserError | WorldError:
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        return UserError(f"there is no weights file {path}: check the path")
    return WorldError(f"weights file {path} could not be read: {error.strerror or error}")


def _check_named_hash(path: Path, sha256: str) -> None:
    """MMAction2 and torchvision end a file's name with the first 8 digits of its SHA-256."""
    named = NAMED_HASH.search(path.name)
    if named is None or DATE.fullmatch(named[1]) or sha256.startswith(named[1]):
        return
    raise UserError(
        f"weights file {path} should have a SHA-256 that begins with {named[1]} by its name, but it begins with "
        f"{sha256[:8]}: fetch it again, or rename it if that is not a hash"
    )


def _is_safetensors(path: Path, head: bytes) -> bool:
    return path.suffix == ".safetensors" or head[8:9] == b"{"


@contextmanager
def _sound(path: Path) -> Iterator[None]:
    """Turns whatever a reader throws over damaged bytes into one sentence; readers throw nearly everything."""
    try:
        yield
    except Exception as error:
        # PyTorch's zip reader says EINVAL of a file that ends early; the disk does not.
        if isinstance(error, OSError) and error.errno != errno.EINVAL:
            raise _unreadable(path, error) from error
        refused = _refused_code(error)
        if refused is None:
            raise UserError(
                f"weights file {path} is cut short, damaged or no such file: fetch it again, with `omnisrc models add` "
                "where it has a name or a URL"
            ) from error
        raise UserError(
            f"weights file {path} holds pickled code ({refused}) and is refused: ask for a plain state_dict "
            "(`torch.save(model.state_dict(), FILE)`) or a .safetensors file"
        ) from None


def _refused_code(error: Exception) -> str | None:
    """What the weights-only reader would not do, if that is why it stopped."""
    text = str(error)
    if "TorchScript" in text:
        return "a TorchScript program"
    if not isinstance(error, pickle.UnpicklingError):
        return None
    if isinstance(error, RefusedName):
        return error.name
    named = re.search(r"GLOBAL (\S+)", text)
    if named:
        return named[1]
    called = re.search(r"(?:unrecognized function|but got) (<[^>]*>)", text)
    return called[1] if called else None


def _open_safetensors(path: Path, sha256: str) -> Contents:
    with _sound(path):
        state = safetensors.torch.load_file(str(path))
    found = unwrapped(state)
    return Contents(path, sha256, found.state, own_meta=own_metadata(path), notes=found.notes)


def _open_torch(path: Path, sha256: str, averaged: bool) -> Contents:
    found = choose(_mapping(path, _load(path)), averaged)
    if not found.state:
        raise UserError(f"weights file {path} holds no tensors: it is not a state_dict")
    return Contents(path, sha256, found.state, found.beside, notes=found.notes)


def _load(path: Path) -> Any:
    stand_ins: list[Any] = [(Discarded, name) for name in DISCARDED] + [(OrderedDict, name) for name in DICTS]
    # The list of allowed names is the process's own: who leaves first would take it from the other.
    with LOADING, _sound(path), torch.serialization.safe_globals(stand_ins), warnings.catch_warnings(action="ignore"):
        return torch.load(str(path), map_location="cpu", weights_only=True)


def _open_blobs(path: Path, sha256: str, wanted: bool) -> Contents:
    if not wanted:
        raise UserError(
            f"weights file {path} is a pickle, which can run code, and is refused: `omnisrc models convert {path} --to "
            "safetensors` reads the arrays of Caffe2's blobs and nothing else of it"
        )
    with _sound(path):
        loaded = load_blobs(path)
    return Contents(path, sha256, dict(_mapping(path, loaded)), notes=("Caffe2's blobs",))


def _mapping(path: Path, loaded: Any) -> Mapping[Any, Any]:
    if not isinstance(loaded, Mapping):
        raise UserError(f"weights file {path} holds a {type(loaded).__name__}, not a state_dict")
    return loaded
