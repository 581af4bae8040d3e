"""Folders of object stores that belong to a study. A mark in the folder says whose it is, so that no study takes the
shards of another for litter."""

from __future__ import annotations

import secrets

from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from db.insert import insert_missing
from db.ledger import now
from db.models import Place
from omnisrc.errors import UserError
from omnisrc.shards.objects import ObjectStore
from omnisrc.shards.settings import StorageSettings
from omnisrc.shards.store import store_of
from omnisrc.study import Study

MARK = "omnisrc-study"


def open_storage(study: Study) -> None:
    """Sees that new shards can be put where the settings say, before a command begins.

    Raises:
        UserError: s3fs is not installed, there is no such bucket, the keys are wrong, or the folder is another study's.
        WorldError: the store does not answer.
    """
    folder = study.section(StorageSettings).shards
    if folder:
        take_place(study, folder)


def take_place(study: Study, folder: str) -> None:
    """Makes a folder of an object store the study's own; raises as `open_storage`."""
    objects = store_of(study).objects
    objects.check(folder)
    known = study.database().read(lambda session: session.scalar(_token_of(folder)))
    there = _mark(objects, folder)
    if there is None:
        known = study.database().write(lambda session: _add(session, folder))
        objects.write(f"{folder}/{MARK}", known.encode())
        there = _mark(objects, folder)
    if there != known:
        raise UserError(
            f"The folder {folder} belongs to another study; name another one by storage.shards (or, if that study is no"
            f" more, remove the object {folder}/{MARK})."
        )


def own_places(study: Study) -> list[str]:
    """The folders of object stores that the study has written to and that bear its mark still."""
    rows = study.database().read(lambda session: list(session.scalars(select(Place).order_by(Place.created))))
    objects = store_of(study).objects
    return [row.url for row in rows if _mark(objects, row.url) == row.token]


def _mark(objects: ObjectStore, folder: str) -> str | None:
    size = objects.size(f"{folder}/{MARK}")
    return None if size is None else objects.read(f"{folder}/{MARK}", 0, size).decode("utf-8", "replace")


def _token_of(folder: str) -> Select[str]:
    return select(Place.token).where(Place.url == folder)


def _add(session: Session, folder: str) -> str:
    insert_missing(session, Place, [{"url": folder, "token": secrets.token_hex(16), "created": now(session)}])
    return session.scalars(_token_of(folder)).one()
