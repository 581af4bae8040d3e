"""Which runs were trained on given samples, by their manifests; weights cannot forget."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from sqlalchemy import select
from sqlalchemy.orm import Session

from db.models import Run, SelectionMember
from omnisrc.data.manifest import read_manifest
from omnisrc.errors import UserError
from omnisrc.study import Study

WEB = ("web-image", "web-clip")


@dataclass(frozen=True)
class Trained:
    """A run with samples that go. `samples` 0: it began with the weights of such a run, or its manifest is gone."""

    name: str
    samples: int
    state: str = ""


def trained_on(study: Study, samples: Collection[int]) -> list[Trained]:
    """Runs whose manifest, or else whose selection, holds one of the samples, and those begun with their weights."""
    if not samples:
        return []
    rows = study.database().read(lambda session: list(session.scalars(select(Run).where(Run.kind == "train"))))
    found: dict[str, int] = {}
    for file in sorted(study.runs.glob("*/manifest.parquet")):
        if count := _held(file, samples):
            found[file.parent.name] = count
    selections = study.database().read(lambda session: _selections(session, samples))
    for row in rows:
        if row.selection_id in selections and not (study.runs / row.name / "manifest.parquet").exists():
            found.setdefault(row.name, 0)
    for row in sorted(rows, key=lambda row: row.started):
        begun = ((row.config or {}).get("init") or {}).get("path")
        if begun and Path(begun).parent.name in found:
            found.setdefault(row.name, 0)
    states = {row.name: row.state for row in rows}
    return [Trained(name, count, states.get(name, "")) for name, count in sorted(found.items())]


def _held(manifest: Path, samples: Collection[int]) -> int:
    try:
        table = read_manifest(manifest)
    except UserError:
        return 0
    return sum(
        int(np.isin(table.rows(source=source).column("sample"), np.array(sorted(samples))).sum()) for source in WEB
    )


def _selections(session: Session, samples: Collection[int]) -> set[int]:
    wanted, found = sorted(samples), set[int]()
    kept = select(SelectionMember.selection_id).where(SelectionMember.reason.is_(None)).distinct()
    for start in range(0, len(wanted), 500):
        found |= set(session.scalars(kept.where(SelectionMember.sample_id.in_(wanted[start : start + 500]))))
    return found
