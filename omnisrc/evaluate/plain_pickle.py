"""Reads a pickle of plain values, arrays and tensors, and never runs code that it holds."""

from __future__ import annotations

import importlib
import io
import pickle
import warnings
from pathlib import Path
from typing import Any

from omnisrc.errors import UserError

ALLOWED = frozenset(
    {
        ("collections", "OrderedDict"),
        ("numpy", "dtype"),
        ("numpy", "ndarray"),
        ("numpy.core.multiarray", "_reconstruct"),
        ("numpy.core.multiarray", "scalar"),
        ("numpy._core.multiarray", "_reconstruct"),
        ("numpy._core.multiarray", "scalar"),
        ("numpy._core.numeric", "_frombuffer"),
        ("torch._utils", "_rebuild_tensor_v2"),
    }
)
"""What builds arrays, numbers and tensors out of their bytes, and nothing else."""


class PlainUnpickler(pickle.Unpickler):
    """Takes the names of ALLOWED; what torch or codecs would do is done by the
    functions below, which take less."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("torch.storage", "_load_from_bytes"):
            return _storage
        if (module, name) == ("_codecs", "encode"):
            return _latin1
        if (module, name) not in ALLOWED:
            raise pickle.UnpicklingError(f"{module}.{name}")
        return getattr(importlib.import_module(module.replace("numpy.core", "numpy._core")), name)


def read_plain_pickle(path: Path) -> Any:
    """The value in a file.

    Raises:
        UserError: it is missing, damaged, or holds more than plain values.
    """
    try:
        with path.open("rb") as file:
            return PlainUnpickler(file).load()
    except OSError as error:
        raise UserError(f"The file {path} cannot be read: {error.strerror}.") from error
    except pickle.UnpicklingError as error:
        what = str(error)
        if "." in what and " " not in what:
            raise UserError(
                f"The file {path} holds pickled code ({what}) and is refused; save plain arrays."
            ) from error
        raise UserError(f"The file {path} is no whole pickle ({what}).") from error
    except Exception as error:  # a pickle can fail in as many ways as it has opcodes
        raise UserError(f"The file {path} is no whole pickle ({type(error).__name__}).") from error


def _latin1(text: str, encoding: str) -> bytes:
    """Bytes as the second protocol writes them."""
    if encoding != "latin1":
        raise pickle.UnpicklingError(f"bytes in {encoding}")
    return text.encode("latin1")


def _storage(data: bytes) -> Any:
    import torch

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what the bytes may be instead of a storage
        return torch.load(io.BytesIO(data), weights_only=True)
