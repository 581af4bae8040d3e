"""What the page shows: aggregates by SQL, and rows up to the limits."""

from __future__ import annotations

from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from itertools import chain
from typing import Any

from markupsafe import Markup
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from db import catalogue, ledger
from db.models import ActionClass, ClassList, Selection, SelectionMember, Shard
from omnisrc.report import display, svg
from omnisrc.report.accuracy import Table, accuracy_tables
from omnisrc.report.confusion import Confusion, read_confusion
from omnisrc.report.curves import RunCurves, read_curves
from omnisrc.report.examples import Gallery, Place, read_examples
from omnisrc.report.failures import Failure, OtherFailure, read_failures, read_other_failures
from omnisrc.report.funnel import Funnel, read_funnel
from omnisrc.report.gaps import Gap, find_gaps
from omnisrc.report.licences import Licences, read_licences
from omnisrc.report.limits import Limits
from omnisrc.report.pairs import Pairs, read_pairs
from omnisrc.report.runs import Trained, read_scores, read_trained
from omnisrc.report.selection import Facts, Other, find_selection, read_all_selections, read_selection
from omnisrc.study import Study

LOG = "log.jsonl"


@dataclass(frozen=True)
class About:
    """The study that the page is about, and its class list."""

    name: str
    root: str
    version: str
    now: float
    class_list: str = ""
    class_list_sha256: str = ""
    classes: int = 0


@dataclass(frozen=True)
class Tile:
    """One figure at the top of the page."""

    name: str
    value: str
    more: str = ""


@dataclass
class Content:
    """All of the page; what a half-done study lacks is empty."""

    study: About
    limits: Limits
    funnel: Funnel
    failures: list[Failure]
    other_failures: list[OtherFailure]
    other_counts: dict[str, int]
    licences: Licences
    targets: dict[str, dict[str, int]]
    trained: list[Trained]
    accuracy: list[Table]
    confusion: Confusion | None
    packed_bytes: int = 0
    selections: list[Other] = field(default_factory=list)
    selection: Facts | None = None
    galleries: list[Gallery] = field(default_factory=list)
    pairs: Pairs = field(default_factory=Pairs)
    curves: list[RunCurves] = field(default_factory=list)

    @property
    def missing(self) -> list[Gap]:
        return find_gaps(self.funnel.total, self.targets, self.selection, self.trained, self.accuracy)

    @property
    def score_chart(self) -> Markup:
        if self.selection is None:
            return Markup("")
        groups = [("kept", self.selection.kept, "kept"), ("dropped", self.selection.dropped, "dropped")]
        return svg.histogram("samples by score", groups)

    @property
    def tiles(self) -> list[Tile]:
        """The study in figures."""
        total, target = self.funnel.total, sum(sum(states.values()) for states in self.targets.values())
        stored, judged = total.states["stored"], total.kept + total.dropped
        tiles = [
            Tile("target items", display.number(target)),
            Tile("assets found", display.number(total.found)),
            Tile("stored", display.number(stored), display.share(stored, total.found) if total.found else ""),
            Tile("samples", display.number(total.samples)),
            Tile("kept", display.number(total.kept), display.share(total.kept, judged) if judged else ""),
            Tile("packed", display.number(total.packed), display.size(self.packed_bytes) if total.packed else ""),
        ]
        for table in self.accuracy[:1]:
            best = max(table.lines, key=lambda line: line.group.rank).group
            mix = " + ".join(best.run.mix) if best.run else best.first.name
            figure = display.percent(best.mean(table.measure))
            tiles.append(Tile(f"best {table.unit} on {table.split}", figure, display.plain(mix, 60)))
        return tiles

    def places(self) -> list[list[Place]]:
        """Where the bytes of everything lie that is shown as a picture."""
        shown = chain.from_iterable((*gallery.kept, *gallery.dropped) for gallery in self.galleries)
        pairs = [*self.pairs.contaminated, *self.pairs.duplicates]
        sides = [side for pair in pairs for side in (pair.sample, pair.other, pair.item) if side is not None]
        return [one.places for one in (*shown, *sides)]


def gather(study: Study, selection: str | None, limits: Limits) -> Content:
    """Reads the study; `selection` names the one that is shown, None: the newest.

    Raises:
        UserError: there is no such selection.
    """
    return study.database().read(lambda session: _gather(session, study, selection, limits))


def _gather(session: Session, study: Study, name: str | None, limits: Limits) -> Content:
    chosen = find_selection(session, name)
    class_list = _class_list(session, chosen)
    trained = read_trained(session)
    tables = accuracy_tables(read_scores(session, trained, limits.evaluations))
    others, other_counts = read_other_failures(session)
    content = Content(
        study=_about(session, study, class_list),
        limits=limits,
        funnel=read_funnel(session, class_list.id if class_list else None, chosen.id if chosen else None),
        failures=read_failures(session, limits.urls),
        other_failures=others,
        other_counts=other_counts,
        licences=read_licences(session, chosen.id if chosen else None),
        targets=_targets(session),
        trained=trained,
        accuracy=tables,
        confusion=read_confusion(tables, limits),
        curves=_curves(study, trained, limits.runs),
    )
    if chosen is not None:
        content.selection = read_selection(session, chosen)
        content.packed_bytes = _packed_bytes(session, chosen)
        content.selections = read_all_selections(session)
        content.galleries = read_examples(session, chosen, limits)
        content.pairs = read_pairs(session, chosen, limits.pairs)
    return content


def _class_list(session: Session, selection: Selection | None) -> ClassList | None:
    """The selection's, or the newest."""
    if selection is not None:
        return session.get(ClassList, selection.class_list_id)
    return session.scalar(select(ClassList).order_by(ClassList.id.desc()).limit(1))


def _about(session: Session, study: Study, class_list: ClassList | None) -> About:
    about: dict[str, Any] = {}
    if class_list is not None:
        query = select(func.count()).where(ActionClass.class_list_id == class_list.id)
        about = {
            "class_list": class_list.name,
            "class_list_sha256": class_list.sha256,
            "classes": session.scalar(query) or 0,
        }
    return About(study.root.name, str(study.root), _version(), ledger.now(session), **about)


def _version() -> str:
    try:
        return version("omnisrc")
    except PackageNotFoundError:  # run from a checkout that was not installed
        return ""


def _targets(session: Session) -> dict[str, dict[str, int]]:
    """Split -> state -> items."""
    found: dict[str, dict[str, int]] = {}
    for (split, state), count in sorted(catalogue.target_counts(session).items()):
        found.setdefault(split, {})[state] = count
    return found


def _packed_bytes(session: Session, selection: Selection) -> int:
    """Of the curated shards that hold what a selection keeps."""
    member = SelectionMember
    shards = select(member.shard_id).where(member.selection_id == selection.id, member.shard_id.is_not(None))
    return int(session.scalar(select(func.sum(Shard.bytes)).where(Shard.id.in_(shards.distinct()))) or 0)


def _curves(study: Study, trained: list[Trained], limit: int) -> list[RunCurves]:
    """Of the newest runs that have a log."""
    found: list[RunCurves] = []
    for run in trained:
        curves = read_curves(run.name, study.runs / run.name / LOG)
        if curves is not None:
            found.append(curves)
        if len(found) == limit:
            break
    return found
