"""Files of arrays: whole or absent, without pickles."""

from __future__ import annotations

import hashlib
import io
import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from omnisrc.errors import ErrorClass, ItemError
from omnisrc.shards.write import storage_error, sync_folder


def write_arrays(path: Path, **arrays: NDArray[Any]) -> str:
    """Writes arrays under a name that nobody else uses (a lease token is part of it), syncs them to disk and returns
    the file's SHA-256. A failing disk is `ItemError(STORAGE)`, and nothing is left behind."""
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **arrays)
    data = buffer.getvalue()
    try:
        with path.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        sync_folder(path.parent)
    except OSError as error:
        path.unlink(missing_ok=True)
        raise storage_error(path, error) from error
    return hashlib.sha256(data).hexdigest()


def read_arrays(path: Path, *names: str) -> list[NDArray[Any]]:
    """Arrays of a file, by name. `ItemError(STORAGE)` for one that is missing or damaged."""
    try:
        with np.load(path, allow_pickle=False) as arrays:
            return [arrays[name] for name in names]
    except (OSError, ValueError, KeyError) as error:
        raise ItemError(ErrorClass.STORAGE, f"{path}: {error}") from error
