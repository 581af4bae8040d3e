"""Writes a study into one file."""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import tarfile
import time
from collections.abc import Callable, Collection
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO

import yaml

from db import schema
from db.session import Database
from omnisrc.carry.archive import CATALOGUE, FORMAT, HEADER, MANIFEST, compression, written
from omnisrc.carry.contents import CarriedFile, carried_files, open_file
from omnisrc.carry.settings import carried, keys_to_set
from omnisrc.carry.snapshot import bring_home, in_place, providers_asked, take_snapshot
from omnisrc.config import load_yaml
from omnisrc.errors import UserError, WorldError
from omnisrc.shards.turns import using_shards
from omnisrc.study import SETTINGS_FILE, Study

Progress = Callable[[int, int], None]
"""Told the bytes that are written, and those in all."""


@dataclass(frozen=True)
class Told:
    """What is in the file, and what whoever imports it must know. Sizes are in bytes."""

    files: int
    bytes: int
    without: list[str]
    set_again: list[str]
    elsewhere: list[str]
    in_place: dict[str, int]


def export_workspace(
    study: Study, path: Path, without: Collection[str] = (), progress: Progress = lambda done, total: None
) -> Told:
    """Writes settings, catalogue, shards, predictions, models, runs and reports to `path`, all or nothing. Shards of an
    object store are read there, and lie in the workspace where the study arrives.

    Raises:
        UserError: the name or place of the file does not do; shards are being moved or freed.
        WorldError, ItemError: a file of the study is missing; the disk is full; an object store does not answer.
    """
    compression(path)
    if not path.parent.is_dir():
        raise UserError(f"There is no folder {path.parent}; make it, or name another file.")
    if path.is_dir():
        raise UserError(f"{path} is a folder; name a file.")
    snapshot = path.with_name(f".{path.name}.catalogue")
    try:
        with using_shards(study), written(path) as file:
            _remove(snapshot)
            take_snapshot(study, snapshot, without)
            return _write(study, file, path, snapshot, without, progress)
    except OSError as error:
        raise WorldError(
            f"The study could not be written to {path} ({error.strerror or error}); nothing is left there. Make room, "
            "or leave something behind with --without landing, and run it again."
        ) from error
    finally:
        _remove(snapshot)


def _write(
    study: Study, file: IO[bytes], path: Path, snapshot: Path, without: Collection[str], progress: Progress
) -> Told:
    catalogue = Database(f"sqlite:///{snapshot}")
    try:
        files = carried_files(study, catalogue, without)
        own = study.root / SETTINGS_FILE
        settings = carried(load_yaml(own) if own.exists() else {}, study.root)
        keys = catalogue.read(providers_asked)
        places = catalogue.read(in_place)
        bring_home(catalogue)
    finally:
        catalogue.dispose()
    text = yaml.safe_dump(settings.settings, sort_keys=False, allow_unicode=True).encode() if settings.settings else b""
    total = sum(one.bytes for one in files) + snapshot.stat().st_size + len(text)
    _refuse_full(path, total)
    told = Told(
        len(files) + 2, total, sorted(without), settings.dropped + keys_to_set(keys), settings.elsewhere, places
    )
    with tarfile.open(fileobj=file, mode="w|", format=tarfile.PAX_FORMAT) as tar:
        packer = _Packer(tar, total, progress)
        head = {"format": FORMAT, "schema": schema.VERSION, "created": time.time(), **asdict(told)}
        packer.add(HEADER, len(header := json.dumps(head, indent=1).encode()), io.BytesIO(header))
        packer.add(SETTINGS_FILE, len(text), io.BytesIO(text))
        with snapshot.open("rb") as content:
            packer.add(CATALOGUE, snapshot.stat().st_size, content)
        for one in files:
            packer.add_file(study, one)
        packer.close()
    return told


class _Packer:
    """Adds files to a tar and notes what went in."""

    def __init__(self, tar: tarfile.TarFile, total: int, progress: Progress) -> None:
        self._tar = tar
        self._total = total
        self._progress = progress
        self._done = 0
        self._lines: list[str] = []

    def add_file(self, study: Study, one: CarriedFile) -> None:
        try:
            with open_file(study, one.place, one.bytes) as content:
                self.add(one.name, one.bytes, content)
        except FileNotFoundError as error:
            raise WorldError(
                f"{one.place} went away while the study was exported; stop what works on it and run it again."
            ) from error

    def add(self, name: str, size: int, content: IO[bytes]) -> None:
        reader = _Hashed(content, self._tell)
        member = tarfile.TarInfo(name)
        member.size = size
        self._tar.addfile(member, reader)
        if content.read(1):
            raise WorldError(f"{name} grew while the study was exported; stop what works on it and run it again.")
        self._lines.append(json.dumps({"name": name, "bytes": size, "sha256": reader.hash.hexdigest()}))

    def close(self) -> None:
        data = "".join(f"{line}\n" for line in self._lines).encode()
        member = tarfile.TarInfo(MANIFEST)
        member.size = len(data)
        self._tar.addfile(member, io.BytesIO(data))

    def _tell(self, count: int) -> None:
        self._done += count
        self._progress(self._done, self._total)


class _Hashed:
    """Reads a file and hashes what is read."""

    def __init__(self, file: IO[bytes], tell: Callable[[int], None]) -> None:
        self._file = file
        self._tell = tell
        self.hash = hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        data = self._file.read(size)
        self.hash.update(data)
        self._tell(len(data))
        return data


def _refuse_full(path: Path, total: int) -> None:
    free = shutil.disk_usage(path.parent).free
    if not compression(path) and total > free:
        raise WorldError(
            f"The study has {total / 1e9:,.2f} GB and the volume of {path.parent} {free / 1e9:,.2f} GB free; make "
            "room, name another place, or leave something behind with --without landing."
        )


def _remove(snapshot: Path) -> None:
    for ending in ("", "-wal", "-shm", "-journal"):
        snapshot.with_name(snapshot.name + ending).unlink(missing_ok=True)
