"""Puts weights into a workspace's models/: checked, whole, under their own name."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from omnisrc.errors import UserError, WorldError
from omnisrc.models.checkpoints.container import fingerprint
from omnisrc.models.checkpoints.read import read_checkpoint
from omnisrc.models.fetch import Report, fetch, fetch_released, place_of, publish, silent
from omnisrc.models.released import SUFFIXES, released_named
from omnisrc.models.settings import ModelSettings


def add(
    given: str, folder: Path, settings: ModelSettings, sha256: str = "", report: Report = silent
) -> tuple[Path, bool]:
    """A file, the file at a URL, or a released one by its name, in `folder`; and whether it was there before.

    What comes is read to the end before it is kept: it must hold weights of a known format, and no code.

    Raises:
        UserError: as `fetch` and `read_checkpoint`; or a file of this name with other content is there.
        WorldError: network or disk fail.
    """
    if "://" in given:
        before = place_of(given, folder).is_file()
        return _checked(fetch(given, folder, settings, sha256, report), keep=before), before
    if Path(given).suffix in SUFFIXES or Path(given).exists():
        return _copied(Path(given), folder, sha256)
    files = released_named(given)
    if not files:
        raise UserError(_unknown(given))
    path = folder / files[0].file
    before = path.is_file()
    return _checked(fetch_released(files[0], folder, settings, report), keep=before), before


def _checked(path: Path, keep: bool = False) -> Path:
    """The path, if it holds weights; the file is taken away again where it does not."""
    try:
        read_checkpoint(path)
    except UserError:
        if not keep:
            path.unlink(missing_ok=True)
        raise
    return path


def _copied(path: Path, folder: Path, sha256: str) -> tuple[Path, bool]:
    found = read_checkpoint(path)
    if sha256 and not found.sha256.startswith(sha256.lower()):
        raise UserError(f"{path} has the SHA-256 {found.sha256}, which does not begin with {sha256[:16]}: check both.")
    goal = folder / path.name
    if goal.exists():
        if fingerprint(goal) != found.sha256:
            raise UserError(f"There is another {goal} already: rename {path}, or remove that one first.")
        return goal, True
    with part_of(goal) as part:
        try:
            shutil.copyfile(path, part)
        except OSError as error:
            raise WorldError(f"The weights file {goal} could not be written: {error.strerror or error}.") from error
        return publish(part, goal), False


@contextmanager
def part_of(goal: Path) -> Iterator[Path]:
    """A place beside `goal` to write into; what is left there at the end is gone."""
    try:
        goal.parent.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix=".adding-", dir=goal.parent))
    except OSError as error:
        raise WorldError(f"The folder {goal.parent} cannot be written to: {error.strerror or error}.") from error
    try:
        yield folder / goal.name
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _unknown(given: str) -> str:
    from omnisrc.models.released import near_names

    return f"There is no file {given} and no released network of that name{near_names(given)}."
