"""Makes a workspace from a file that another one was exported to, or nothing at all.

What is in the file was written by others: names, kinds, sizes and hashes are checked before anything has its place.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tarfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Any

from omnisrc.carry.archive import CATALOGUE, CHUNK, FORMAT, HEADER, MANIFEST, lock, opened
from omnisrc.carry.checks import Refused, check_workspace
from omnisrc.data.flow_cache import FOLDER as FLOW
from omnisrc.errors import UserError, WorldError
from omnisrc.shards.write import sync_folder
from omnisrc.study import FOLDERS, SETTINGS_FILE

MOST_HEADER = 2**24
MOST_LINE = 2000
"""Bytes of the manifest for each file, at most."""

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Header:
    """What the first member of the file says."""

    files: int
    bytes: int
    said: dict[str, Any]


def import_workspace(path: Path, into: Path, progress: Progress = lambda done, total: None) -> Header:
    """Unpacks `path`, checks everything, and gives it the name `into` at last.

    Until then it lies in `.NAME.importing` beside; what a killed import left there is removed.

    Raises:
        UserError: the file is no export of a study, damaged, ends early or holds what it must not; `into` has something
            in it.
        WorldError: the disk is full or fails.
    """
    _refuse_filled(into)
    if not path.is_file():
        raise UserError(f"There is no file {path}.")
    staging = into.with_name(f".{into.name}.importing")
    try:
        staging.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"The folder {into} cannot be made ({error.strerror}); name another with --into.") from error
    held = os.open(staging, os.O_RDONLY)
    try:
        lock(held, f"Another import into {into} runs")
        _clear(staging)
        header = _unpack(path, staging, progress)
        check_workspace(staging, path)
        for name in FOLDERS:
            (staging / name).mkdir(exist_ok=True)
        sync_folder(staging)
        staging.rename(into)
        sync_folder(into.parent)
        return header
    except BaseException:
        shutil.rmtree(staging, ignore_errors=True)
        raise
    finally:
        os.close(held)


def _refuse_filled(into: Path) -> None:
    if into.exists() and not into.is_dir():
        raise UserError(f"{into} is a file; name a new folder with --into.")
    if into.is_dir() and any(into.iterdir()):
        raise UserError(f"The folder {into} is not empty; a study is imported into a new one: name it with --into.")


def _clear(staging: Path) -> None:
    for entry in staging.iterdir():
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink()


def _unpack(path: Path, staging: Path, progress: Progress) -> Header:
    try:
        with opened(path) as file, tarfile.open(fileobj=file, mode="r|") as tar:
            return _Unpacker(tar, staging, progress).run()
    except Refused as error:
        raise UserError(f"{path} {error}; nothing was imported.") from error
    except (tarfile.TarError, EOFError, zlib.error, ValueError, OSError) as error:
        raise UserError(
            f"{path} is damaged, ends early or is no export of a study ({error}); copy it again. Nothing was imported."
        ) from error


class _Unpacker:
    """Writes the members of a tar to a folder, and compares them with the manifest at its end."""

    def __init__(self, tar: tarfile.TarFile, staging: Path, progress: Progress) -> None:
        self._tar = tar
        self._staging = staging
        self._progress = progress
        self._came: dict[str, tuple[int, str]] = {}
        self._done = 0

    def run(self) -> Header:
        header = self._header()
        _refuse_full(self._staging, header.bytes)
        while (member := self._tar.next()) is not None:
            _vet(member, self._came)
            if member.name == MANIFEST:
                self._compare(member, header)
                return header
            if self._done + member.size > header.bytes:
                raise Refused(f"holds more than the {header.bytes:,} bytes that it names")
            self._write(member, header.bytes)
        raise Refused("ends early: the list of its files is missing; copy it again")

    def _header(self) -> Header:
        member = self._tar.next()
        if member is None or member.name != HEADER or not member.isreg() or member.size > MOST_HEADER:
            raise Refused("is no export of a study")
        data = self._content(member).read()
        said = json.loads(data)
        if not isinstance(said, dict) or said.get("format") != FORMAT:
            raise Refused("was written by another version of omnisrc")
        self._came[HEADER] = (len(data), hashlib.sha256(data).hexdigest())
        return Header(int(said["files"]), int(said["bytes"]), said)

    def _write(self, member: tarfile.TarInfo, total: int) -> None:
        content, digest, size = self._content(member), hashlib.sha256(), 0
        target = self._staging / member.name
        with _disk(target):
            target.parent.mkdir(parents=True, exist_ok=True)
            file = target.open("xb")
        with file:
            while chunk := content.read(CHUNK):
                with _disk(target):
                    file.write(chunk)
                digest.update(chunk)
                size += len(chunk)
                self._progress(self._done + size, total)
            with _disk(target):
                file.flush()
                os.fsync(file.fileno())
        self._done += size
        self._came[member.name] = (size, digest.hexdigest())

    def _compare(self, member: tarfile.TarInfo, header: Header) -> None:
        if member.size > MOST_LINE * (header.files + 2):
            raise Refused("has a list of files that is too long")
        lines = [json.loads(line) for line in self._content(member).read().splitlines()]
        listed = {str(line["name"]): (int(line["bytes"]), str(line["sha256"])) for line in lines}
        if missing := sorted(listed.keys() - self._came.keys()):
            raise Refused(f"lacks {missing[0]}")
        for name, facts in self._came.items():
            if listed.get(name) != facts:
                raise Refused(f"is damaged: {name} is not what was exported; copy it again")

    def _content(self, member: tarfile.TarInfo) -> IO[bytes]:
        content = self._tar.extractfile(member)
        assert content is not None
        return content


class _disk:
    """Turns what fails as a file is written into a WorldError: it is no fault of what is read."""

    def __init__(self, target: Path) -> None:
        self._target = target

    def __enter__(self) -> None: ...

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: object) -> None:
        if isinstance(error, FileExistsError | NotADirectoryError | IsADirectoryError):
            raise Refused(f"holds {self._target.name!r} as a file and as a folder") from error
        if isinstance(error, OSError):
            raise WorldError(
                f"{self._target.name} could not be written ({error.strerror}); nothing was imported. Make room, or "
                "name a folder elsewhere with --into, and run it again."
            ) from error


def _vet(member: tarfile.TarInfo, came: dict[str, tuple[int, str]]) -> None:
    """Refuses what is no plain file with a plain name at a place of a workspace."""
    name, path = member.name, PurePosixPath(member.name)
    if not member.isreg() or member.issparse():
        raise Refused(f"holds {name!r}, which is no plain file")
    plain = str(path) == name and "\\" not in name and name.isprintable() and len(name) < 1000
    if not plain or path.is_absolute() or ".." in path.parts:
        raise Refused(f"holds a file with the name {name!r}")
    known = name in (SETTINGS_FILE, CATALOGUE, MANIFEST) or (len(path.parts) > 1 and path.parts[0] in (*FOLDERS, FLOW))
    if not known:
        raise Refused(f"holds {name!r}, which is no part of a study")
    if name in came:
        raise Refused(f"holds {name!r} twice")


def _refuse_full(staging: Path, total: int) -> None:
    free = shutil.disk_usage(staging).free
    if total > free:
        raise WorldError(
            f"The study has {total / 1e9:,.2f} GB, and there are {free / 1e9:,.2f} GB free; make room, or name a "
            "folder elsewhere with --into."
        )
