"""Files that are whole or absent: they take their name when all is written and on the disk."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from omnisrc.errors import WorldError
from omnisrc.shards.write import sync_folder

SHOWN = 50
"""Letters of a file's name that stand in the name of what is written beside it: names end at 255 bytes."""


@contextmanager
def whole_file(path: Path, mode: str = "w") -> Iterator[IO[Any]]:
    """A file beside `path` that takes its place when the block ends, and is gone where the block fails.

    Args:
        mode: `w` for text in UTF-8 (bytes of a file's name that are not are escaped, as JSON reads them), `wb` for
            bytes.

    Raises:
        WorldError: the disk fails.
    """
    part = path.with_name(f".{path.name[:SHOWN]}.{os.getpid()}.part")
    how: dict[str, Any] = {} if "b" in mode else {"encoding": "utf-8", "newline": "", "errors": "backslashreplace"}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with part.open(mode, **how) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
        sync_folder(path.parent)
    except OSError as error:
        if error.filename is not None and Path(str(error.filename)) not in (part, *part.parents):
            raise  # of another file, which the block uses
        raise WorldError(f"{path} could not be written: {error.strerror or error}.") from error
    finally:
        with suppress(OSError):  # where it could not be made it cannot be removed
            part.unlink()
