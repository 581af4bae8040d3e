"""Folders of object stores that belong to a study. A mark in the folder says whose it is, so that no study takes the
shards of another for litter."""

from __future__ import annotations

import secrets

from sqlalchemy import select
from sqlalchemy.orm import Session

from db.insert import insert_missing
from db.ledger import now
from db.models import Place
from omnisrc.errors import UserError
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
    token = study.database().write(lambda session: _token(session, folder))
    mark = f"{folder}/{MARK}"
    size = objects.size(mark)
    if size is None:
        objects.write(mark, token.encode())
        size = len(token)
    if objects.read(mark, 0, size) != token.encode():
        raise UserError(
            f"The folder {folder} belongs to another study; name another one by storage.shards (or, if that study is no"
            f" more, remove the object {mark})."
        )


def places(session: Session) -> list[str]:
    """All folders of object stores that the study has written to."""
    return list(session.scalars(select(Place.url).order_by(Place.created)))


def _token(session: Session, folder: str) -> str:
    insert_missing(session, Place, [{"url": folder, "token": secrets.token_hex(16), "created": now(session)}])
    return session.scalars(select(Place.token).where(Place.url == folder)).one()
