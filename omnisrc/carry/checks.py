"""Whether an unpacked workspace may take its place: what its catalogue names is there, and inside."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from sqlalchemy import select
from sqlalchemy import text as sql
from sqlalchemy.exc import DatabaseError
from sqlalchemy.orm import Session

from db import schema
from db.models import PredictionSet, Shard
from db.session import Database
from omnisrc import resources
from omnisrc.carry.archive import CATALOGUE
from omnisrc.carry.contents import carried_files
from omnisrc.errors import UserError, WorldError
from omnisrc.study import FOLDERS, Study


class Refused(Exception):
    """What is wrong with the file, to go after its name in a sentence."""


def check_workspace(staging: Path, path: Path) -> None:
    """The settings validate, the catalogue fits, and it names nothing but files that came.

    Raises UserError about the file `path` that the workspace `staging` came from, and SchemaError.
    """
    study = Study.open(staging)
    database = Database(f"sqlite:///{staging / CATALOGUE}")
    try:
        if not (staging / CATALOGUE).is_file():
            raise Refused("has no catalogue")
        if database.read(_programs):
            raise Refused("has a catalogue with programs in it")
        schema.upgrade(database, resources.migrations())
        if bad := database.read(_strays):
            raise Refused(f"names a file outside the workspace: {bad!r}")
        carried_files(study, database, ())
    except (Refused, WorldError, DatabaseError) as error:
        why = "lacks files that its catalogue names" if isinstance(error, WorldError) else str(error)
        why = "has a catalogue that is none" if isinstance(error, DatabaseError) else why
        raise UserError(f"{path} {why}; nothing was imported.") from error
    finally:
        database.dispose()


def _programs(session: Session) -> list[str]:
    """Triggers and views, of which ours have none."""
    return list(session.scalars(sql("select name from sqlite_master where type in ('trigger', 'view')")))


def _strays(session: Session) -> str | None:
    """A path of a shard or of predictions that leads out of the workspace."""
    for column in (Shard.path, PredictionSet.path):
        for name in session.scalars(select(column)):
            path = PurePosixPath(name)
            if path.is_absolute() or ".." in path.parts or path.parts[:1] not in [(folder,) for folder in FOLDERS]:
                return str(name)
    return None
