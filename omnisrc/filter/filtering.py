"""The verb `filter` from one end to the other: segment, predict, select, pack."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from db.ledger import now
from db.models import Job, Prediction, PredictionSet, Sample, Selection, SelectionMember, Shard, Teacher
from omnisrc.classes import ClassList, available
from omnisrc.data.catalogue import recorded_class_list, study_class_list
from omnisrc.engine.run import RunSummary, run_stages
from omnisrc.errors import UserError, WorldError
from omnisrc.filter.labels import HandLabels, read_labels, record_labels
from omnisrc.filter.pairs import write_pairs
from omnisrc.filter.planning import (
    MEDIA,
    Choice,
    Teachers,
    enqueue_embeddings,
    enqueue_predictions,
    enqueue_segments,
    enqueue_selection,
)
from omnisrc.filter.rules import TEACHERLESS, RuleSpec
from omnisrc.filter.settings import FilterSettings
from omnisrc.filter.teachers import TeacherFile, as_before, check_classes, open_teacher, record_teacher
from omnisrc.licences import LicenceRules
from omnisrc.shards.places import open_storage
from omnisrc.shards.turns import using_shards
from omnisrc.study import Study

DEFAULT_NAME = "web"
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")

Watch = Callable[[str], AbstractContextManager[Callable[[], None]]]
"""Stage -> a context that gives the function to call now and then while the stage runs."""


@dataclass(frozen=True)
class Wish:
    """What `omnisrc filter` was asked for. `redo`: the stage to begin with; what comes before it is left as it is."""

    teacher: str | None = None
    image_teacher: str | None = None
    name: str = DEFAULT_NAME
    rule: str = ""  # empty: labels where there is a file of labels, else agree
    labels: Path | None = None
    redo: str | None = None
    pack: bool = True


@dataclass
class Outcome:
    """What came of it. `lost`: landing shard -> samples whose bytes could not be read in this run."""

    selection: Selection
    members: dict[str, dict[str, int]] = field(default_factory=dict)  # kind -> found, kept, each reason
    shards: int = 0
    lost: dict[str, int] = field(default_factory=dict)
    made: bool = True  # false: the selection was there already
    pairs: Path | None = None  # the file of what looks alike
    teachers: dict[str, dict[str, str]] = field(default_factory=dict)  # kind -> name, licence, precision


@contextmanager
def unwatched(stage: str) -> Iterator[Callable[[], None]]:
    yield lambda: None


def run_filter(study: Study, wish: Wish, engine: str = "local", watch: Watch = unwatched) -> Outcome:
    """Segments and judges what is new, makes the selection and packs it.

    Raises:
        UserError: there is nothing to filter, no such teacher or rule, or a teacher of other classes.
        WorldError: a stage could not be done.
        Interrupted: stopped; running it again goes on.
    """
    with using_shards(study):
        return _filter(study, wish, engine, watch)


def _filter(study: Study, wish: Wish, engine: str, watch: Watch) -> Outcome:
    database = study.database()
    if wish.redo not in (None, "select"):
        raise UserError(f"--redo {wish.redo} is not possible; write --redo select (the other stages do what is new).")
    if not NAME.fullmatch(wish.name):
        raise UserError(f"{wish.name!r} cannot name a selection; use letters, digits and . _ - (at most 100).")
    list_id, class_list = database.read(lambda session: _something(session, study))
    open_storage(study)
    name = wish.rule or ("labels" if wish.labels else "agree")
    labels = _labels(wish, name, class_list)
    settings = study.section(FilterSettings)
    rule = RuleSpec.of(name, settings, labels.sha256 if labels else "", study.section(LicenceRules))
    teachers = _teachers(study, wish, name, class_list)
    began = database.read(now)
    if wish.redo is None:
        database.write(lambda session: enqueue_segments(session, study.overrides))
        _run(study, ["segment"], engine, watch)
        if any(teacher is not None for teacher in teachers.values()):
            database.write(lambda session: enqueue_predictions(session, list_id, teachers, study.overrides))
            _run(study, ["predict"], engine, watch)
    trunk = _trunk(study, wish, settings, engine, watch)
    if labels is not None:
        spoken = database.write(lambda session: record_labels(session, labels, class_list))
        if not spoken:
            raise UserError(f"The file of labels {wish.labels} names no URL that was fetched; check its column url.")
    choice = Choice(wish.name, rule, list_id, teachers, settings.leak_checks, wish.pack, trunk)
    made = database.write(lambda session: enqueue_selection(session, choice, study.overrides))
    _run(study, ["select", "pack"], engine, watch)
    outcome = database.read(lambda session: _outcome(session, wish.name, began, made))
    outcome.pairs = write_pairs(study, outcome.selection)
    return outcome


def _something(session: Session, study: Study) -> tuple[int, ClassList]:
    row = study_class_list(session)
    landed = session.scalar(select(Shard.id).where(Shard.kind == "landing").limit(1))
    if landed is None or row is None:
        named = " --classes NAME" if row is None else f" --classes {row.name}" if row.name in available() else ""
        raise UserError(
            f"There is nothing to filter in {study.root}, because nothing was fetched yet;"
            f" run `omnisrc crawl{named}` first."
        )
    return row.id, recorded_class_list(session, row)


def _labels(wish: Wish, rule: str, class_list: ClassList) -> HandLabels | None:
    if (rule == "labels") != (wish.labels is not None):
        raise UserError("--rule labels needs the file of labels (--labels FILE), and no other rule takes one.")
    return read_labels(wish.labels, class_list) if wish.labels is not None else None


def _teachers(study: Study, wish: Wish, rule: str, class_list: ClassList) -> Teachers:
    """Ids of the teachers of images and clips."""
    if wish.teacher is None and wish.image_teacher is None:
        if rule in TEACHERLESS:
            return dict.fromkeys(MEDIA)
        if wish.redo == "select":
            return study.database().read(lambda session: _earlier_teachers(session, wish.name))
        raise UserError(
            f"The rule {rule} needs a teacher; name a run, a weights file or a released network with --teacher"
            " (`omnisrc train --mix target` trains one), or take --rule all."
        )
    ids: dict[str, int] = {}
    for given in dict.fromkeys(filter(None, (wish.teacher, wish.image_teacher))):
        teacher = open_teacher(study, given, study.section(FilterSettings), class_list)
        ids[given] = _recorded(study, teacher, check_classes(teacher, class_list))
    clips, images = wish.teacher or wish.image_teacher, wish.image_teacher or wish.teacher
    return {"image": ids[images or ""], "clip": ids[clips or ""]}


def _recorded(study: Study, teacher: TeacherFile, warning: str | None = None) -> int:
    def record(session: Session) -> int:
        known = as_before(session, teacher) if study.section(FilterSettings).amp == "auto" else teacher
        return record_teacher(session, known, warning)

    return study.database().write(record)


def _trunk(study: Study, wish: Wish, settings: FilterSettings, engine: str, watch: Watch) -> int | None:
    """The row of the network of `filter.trunk`, after it has embedded what it had not seen; None where none is set."""
    if not settings.trunk:
        return None
    trunk = open_teacher(study, settings.trunk, settings)
    if trunk.input.dims != "2d":
        raise UserError(f"The trunk {trunk.name} is 3-D, but frames are compared one by one; name a 2-D one.")
    database = study.database()
    row = _recorded(study, replace(trunk, purpose="embed"))
    if wish.redo is None:
        database.write(lambda session: enqueue_embeddings(session, row, study.overrides))
        _run(study, ["predict"], engine, watch)
    return row


def _earlier_teachers(session: Session, name: str) -> Teachers:
    """Those of the newest selection of the name (or of any) that had some, else those that judged last."""
    selections = session.scalars(select(Selection).order_by((Selection.name == name).desc(), Selection.id.desc()))
    for selection in selections:
        if any(teacher is not None for teacher in selection.teachers.values()):
            return {kind: selection.teachers.get(kind) for kind in MEDIA}
    found: dict[str, int | None] = {
        kind: session.scalar(
            select(Teacher.id)
            .join(PredictionSet, PredictionSet.teacher_id == Teacher.id)
            .join(Shard, Shard.id == PredictionSet.shard_id)
            .join(Prediction, Prediction.prediction_set_id == PredictionSet.id)  # a trunk has sets without predictions
            .where(Shard.medium == medium)
            .order_by(PredictionSet.id.desc())
            .limit(1)
        )
        for kind, medium in MEDIA.items()
    }
    if not any(found.values()):
        raise UserError("No teacher has judged anything yet; run `omnisrc filter --teacher NAME` first.")
    return found


def _run(study: Study, stages: list[str], engine: str, watch: Watch) -> None:
    with watch(stages[0]) as show:
        summary = run_stages(study, stages, engine=engine, show=show)
    _check(summary)


def _check(summary: RunSummary) -> None:
    if not summary.failed:
        return
    first = summary.failed[0]
    if first.error == "user":
        raise UserError(first.detail)
    more = f" and {len(summary.failed) - 1} more jobs" if len(summary.failed) > 1 else ""
    raise WorldError(
        f"{first.stage} {first.subject}{more} failed ({first.error}: {first.detail}); mend that and run the same"
        " command again."
    )


def _outcome(session: Session, name: str, began: float, made: bool) -> Outcome:
    selection = session.scalars(select(Selection).where(Selection.name == name).order_by(Selection.id.desc())).first()
    if selection is None:
        raise WorldError(f"The selection {name} was not made; see the files in logs/.")
    outcome = Outcome(selection, made=made, teachers=_named_teachers(session, selection.teachers))
    rows = session.execute(
        select(Sample.kind, SelectionMember.reason, func.count())
        .join(Sample, Sample.id == SelectionMember.sample_id)
        .where(SelectionMember.selection_id == selection.id)
        .group_by(Sample.kind, SelectionMember.reason)
        .order_by(func.count().desc())
    )
    for kind, reason, count in rows:
        counts = outcome.members.setdefault(kind, {"found": 0, "kept": 0})
        counts["found"] += count
        counts[reason or "kept"] = count
    outcome.shards = (
        session.scalar(
            select(func.count(SelectionMember.shard_id.distinct())).where(SelectionMember.selection_id == selection.id)
        )
        or 0
    )
    outcome.lost = _lost(session, began)
    return outcome


def _named_teachers(session: Session, ids: Teachers) -> dict[str, dict[str, str]]:
    rows = {kind: session.get(Teacher, key) for kind, key in ids.items() if key is not None}
    return {
        kind: {
            "name": row.name,
            "licence": str(row.meta.get("licence") or "not stated"),
            "precision": str(row.meta.get("precision") or "precision not stated"),
        }
        for kind, row in rows.items()
        if row is not None
    }


def _lost(session: Session, began: float) -> dict[str, int]:
    """Landing shards with members that could not be read since `began`, and how many."""
    lost: dict[str, int] = {}
    jobs = session.scalars(select(Job).where(Job.finished >= began, Job.stage.in_(("segment", "predict", "pack"))))
    for job in jobs:
        for shard, count in job.result.get("unreadable", {}).items():
            lost[shard] = max(lost.get(shard, 0), int(count))
    return lost
