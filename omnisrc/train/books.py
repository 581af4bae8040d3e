"""What the catalogue keeps of a run. The trainer itself never reads it."""

from __future__ import annotations

import math
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from db import models
from db.ledger import now
from db.session import Database
from omnisrc.data.catalogue import find_class_list
from omnisrc.data.manifest import Manifest
from omnisrc.train.run_folder import Recipe
from omnisrc.train.trainer import Outcome


def book_start(database: Database, name: str, recipe: Recipe, manifest: Manifest) -> int:
    """The row of the run, made or found, as running; gives its id."""

    def write(session: Session) -> int:
        class_list = find_class_list(session, manifest.class_list_sha256)
        row = session.scalar(select(models.Run).where(models.Run.kind == "train", models.Run.name == name))
        if row is None:
            row = models.Run(kind="train", name=name, state="running", config={}, metrics={}, started=now(session))
            session.add(row)
        row.class_list_id = class_list.id if class_list else None
        row.selection_id = manifest.facts.get("selection_id")
        row.manifest_sha256 = recipe.manifest_sha256
        row.config = recipe.as_dict()
        row.state, row.finished = "running", None
        session.flush()
        return row.id

    return database.write(write)


def book_end(database: Database, run_id: int, state: str, figures: dict[str, Any]) -> None:
    """How the run ended: done, stopped or failed."""

    def write(session: Session) -> None:
        row = session.get_one(models.Run, run_id)
        row.state, row.finished = state, now(session)
        row.metrics = figures or row.metrics

    database.write(write)


def figures_of(outcome: Outcome) -> dict[str, Any]:
    """steps, seconds, skips, the best on val and the last on val."""
    standing = outcome.standing
    best = (
        {"best_step": standing.best_step, f"best_{outcome.figure}": standing.best_score}
        if standing.best_step >= 0
        else {}
    )
    val = {key: value for key, value in outcome.val.items() if math.isfinite(value)}
    return {
        "steps": standing.step, "seconds": round(standing.seconds, 1), "skips": standing.skips, **best, "val": val,
    }  # fmt: skip
