"""What every command shares: its three options, its output, and how it ends."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from db import schema
from omnisrc import resources
from omnisrc.errors import UserError, WorldError
from omnisrc.study import Study

Workspace = Annotated[
    Path | None,
    typer.Option(
        "--workspace",
        metavar="DIR",
        help="The study's folder.  \\[default: $OMNISRC_HOME or ./omnisrc-data]",
        show_default=False,
    ),
]
Json = Annotated[bool, typer.Option("--json", help="One JSON object on stdout; everything else on stderr.")]
Sets = Annotated[
    list[str] | None,
    typer.Option(
        "--set", metavar="A.B=VALUE", help="A setting for this command, in YAML; repeatable.", show_default=False
    ),
]


class Failed(WorldError):
    """The world's failure, with what the command has found out: one JSON object holds both."""

    def __init__(self, sentence: str, answer: dict[str, Any]) -> None:
        super().__init__(sentence)
        self.answer = answer


@dataclass
class Command:
    """One running command: its study, its console, and the object that --json prints."""

    study: Study
    console: Console
    as_json: bool
    answer: dict[str, Any] = field(default_factory=dict)

    def emit(self, **values: Any) -> None:
        """Adds to the JSON object that is printed at the end where --json was given."""
        self.answer.update(values)


@contextmanager
def command(
    workspace: Path | None, as_json: bool, sets: Sequence[str] | None, *, database: str = "existing"
) -> Iterator[Command]:
    """Opens the study for one command and prints its JSON object at the end.

    Args:
        database: `none`: not needed; `create`: the workspace and its tables are made where they are missing;
            `existing`: must be there.

    Raises:
        UserError: the settings do not validate, or the workspace holds no study.
    """
    study = Study.open(workspace, tuple(sets or ()))
    console = Console(stderr=as_json, highlight=False)
    if database != "none":
        open_database(study, create=database == "create")
    running = Command(study, console, as_json)
    yield running
    if as_json:
        print(json.dumps(running.answer, ensure_ascii=False, default=str), file=sys.stdout, flush=True)


def open_database(study: Study, *, create: bool) -> None:
    """Sees that the study's tables are there and fit this program.

    Raises:
        UserError: there are none (and `create` is false), or they are older than this program.
        SchemaError: they are newer, or half-migrated.
    """
    own = study.root / "catalog.db"
    if study.database_url == f"sqlite:///{own}" and not own.exists() and not create:
        raise UserError(
            f"There is no study in {study.root}; begin one with `omnisrc crawl --classes NAME` or `omnisrc init`,"
            " or name it with --workspace."
        )
    if create:
        study.prepare()
    state = schema.check(study.database())
    if state == "empty" and create:
        schema.upgrade(study.database(), resources.migrations())
    elif state == "empty":
        raise UserError(f"The database of {study.root} is empty; make its tables with `omnisrc db upgrade`.")
    elif state == "older":
        raise UserError(f"The database of {study.root} is older than this program; run `omnisrc db upgrade`.")
