"""Which jobs the filter needs: what is not segmented, not judged, not selected yet."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, and_, exists, func, select
from sqlalchemy.orm import Session

from db import ledger
from db.ledger import params_digest
from db.models import Asset, Blob, Find, Job, Prediction, PredictionSet, Sample, Selection, Shard, Teacher
from omnisrc.data.catalogue import target_state
from omnisrc.filter.candidates import LIVE
from omnisrc.filter.rules import RuleSpec
from omnisrc.shards.store import name_of

MEDIA = {"image": "image", "clip": "video"}
"""Kind of a sample -> medium of the shards that hold it."""

Teachers = Mapping[str, int | None]  # kind of sample -> id of the teacher that judges it


@dataclass(frozen=True)
class Choice:
    """One selection that is wanted."""

    name: str
    rule: RuleSpec
    class_list: int
    teachers: Teachers
    leak_checks: int = 0
    pack: bool = True
    trunk: int | None = None  # teacher row of the network whose embeddings are compared with val's and test's


def enqueue_segments(session: Session, overrides: Sequence[str] = ()) -> int:
    """Adds a job for every landing shard with a blob that has no sample; how many are open."""
    unseen = exists().where(Blob.shard_id == Shard.id, ~exists().where(Sample.blob_id == Blob.id))
    shards = session.scalars(_landing().where(unseen)).all()
    for shard in shards:
        subject = f"shard {shard.id}"
        params = {"shard": shard.id, "round": _rounds(session, "segment", subject)}
        ledger.enqueue(session, "segment", subject, params, overrides=overrides)
    return len(shards)


def enqueue_predictions(session: Session, class_list: int, teachers: Teachers, overrides: Sequence[str] = ()) -> int:
    """Adds a job for every landing shard with a sample that its teacher has not judged; how many are open."""
    jobs = 0
    for kind, teacher_id in teachers.items():
        teacher = session.get(Teacher, teacher_id) if teacher_id is not None else None
        if teacher is None:
            continue
        judged = (
            exists()
            .where(Prediction.sample_id == Sample.id)
            .where(PredictionSet.id == Prediction.prediction_set_id, PredictionSet.teacher_id == teacher.id)
        )
        open_sample = exists().where(
            Blob.shard_id == Shard.id, Sample.blob_id == Blob.id, Sample.error.is_(None), ~judged
        )
        for shard in session.scalars(_landing().where(Shard.medium == MEDIA[kind], open_sample)).all():
            subject = f"shard {shard.id} teacher {teacher.id}"
            params = {
                "shard": shard.id, "teacher": teacher.id, "fingerprint": teacher.fingerprint,
                "path": teacher.meta["path"], "weights_sha256": teacher.meta["weights_sha256"],
                "input": teacher.meta["input"], "precision": teacher.meta["precision"], "class_list": class_list,
                "round": _rounds(session, "predict", subject),
            }  # fmt: skip
            ledger.enqueue(session, "predict", subject, params, overrides=overrides)
            jobs += 1
    return jobs


def enqueue_embeddings(session: Session, trunk_id: int, overrides: Sequence[str] = ()) -> int:
    """Adds jobs that embed the frames of val and test and of every landing shard, as far as that was not done."""
    trunk = session.get_one(Teacher, trunk_id)
    known = {
        "teacher": trunk.id, "fingerprint": trunk.fingerprint, "path": trunk.meta["path"],
        "weights_sha256": trunk.meta["weights_sha256"], "input": trunk.meta["input"],
        "precision": trunk.meta["precision"],
    }  # fmt: skip
    params = {**known, "embed": "target", "target": target_state(session)}
    jobs = [ledger.enqueue(session, "predict", _target_subject(trunk.id), params, overrides=overrides)]
    done = exists().where(PredictionSet.shard_id == Shard.id, PredictionSet.teacher_id == trunk.id)
    for shard in session.scalars(_landing().where(~done)).all():
        params = {**known, "embed": "shard", "shard": shard.id}
        subject = f"shard {shard.id} trunk {trunk.id}"
        jobs.append(ledger.enqueue(session, "predict", subject, params, overrides=overrides))
    return len(jobs) - jobs.count(None)


def _target_subject(trunk_id: int) -> str:
    return f"target trunk {trunk_id}"


def embedding_files(session: Session, trunk_id: int) -> dict[str, Any]:
    """The files of embeddings that a selection compares: {"target": path, "web": [paths]}; empty: not made yet."""
    state = target_state(session)
    jobs = session.scalars(
        select(Job).where(Job.stage == "predict", Job.subject == _target_subject(trunk_id), Job.state == "done")
    )
    made = [job.result["path"] for job in jobs if job.params["target"] == state]
    sets = session.scalars(
        select(PredictionSet.path).where(PredictionSet.teacher_id == trunk_id).order_by(PredictionSet.id)
    )
    return {"target": made[-1], "web": list(sets)} if made else {}


def enqueue_selection(session: Session, choice: Choice, overrides: Sequence[str] = ()) -> bool:
    """Adds the job that makes a selection, unless the newest of its name was made the same way from the same data."""
    params: dict[str, Any] = {
        "name": choice.name, "rule": choice.rule.params(), "class_list": choice.class_list,
        "teachers": dict(choice.teachers), "warnings": teacher_warnings(session, choice.teachers),
        "leak_checks": choice.leak_checks, "pack": choice.pack,
    }  # fmt: skip
    if choice.trunk is not None:
        params["embeddings"] = embedding_files(session, choice.trunk)
    made_from = {**params, "embeddings": _names(params.get("embeddings", {}))}  # the same wherever they lie
    params["inputs"] = params_digest({**made_from, "data": _data_state(session, choice.teachers)})
    newest = session.scalar(
        select(Selection).where(Selection.name == choice.name).order_by(Selection.id.desc()).limit(1)
    )
    if newest is not None and newest.counts.get("inputs") == params["inputs"]:
        return False
    params["after"] = newest.id if newest is not None else 0
    ledger.enqueue(session, "select", f"selection {choice.name}", params, overrides=overrides)
    return True


def _names(files: Mapping[str, Any]) -> list[str]:
    return [name_of(place) for place in (files["target"], *files["web"])] if files else []


def teacher_warnings(session: Session, teachers: Teachers) -> list[str]:
    """What is to be said of the teachers of a selection."""
    found = {kind: session.get(Teacher, key) for kind, key in teachers.items() if key is not None}
    warnings = [teacher.meta["warning"] for teacher in found.values() if teacher and teacher.meta.get("warning")]
    judge = found.get("image")
    if judge is not None and judge.meta["input"]["dims"] == "3d":
        warnings.append(
            f"Still images were judged by the 3-D teacher {judge.name}, each repeated over time; a 2-D one judges them"
            " better (--image-teacher)."
        )
    return list(dict.fromkeys(warnings))


def _landing() -> Any:
    return select(Shard).where(Shard.kind == "landing", Shard.freed.is_(False)).order_by(Shard.id)


def _rounds(session: Session, stage: str, subject: str) -> int:
    """How often the stage was done for the subject. What is left over after that (a damaged shard) is a new job."""
    done: ColumnElement[bool] = and_(Job.stage == stage, Job.subject == subject, Job.state == "done")
    return session.scalar(select(func.count()).select_from(Job).where(done)) or 0


def _data_state(session: Session, teachers: Teachers) -> str:
    """What a selection depends on, as a digest: samples, predictions, finds, assets, val and test."""
    samples = session.execute(select(func.count(Sample.id), func.max(Sample.id), func.count(Sample.error))).one()
    sets = session.execute(
        select(PredictionSet.id, PredictionSet.sha256)
        .where(PredictionSet.teacher_id.in_([key for key in teachers.values() if key is not None]))
        .order_by(PredictionSet.id)
    )
    finds = session.scalar(select(func.count(Find.id)))
    live = session.scalar(select(func.count(Asset.id)).where(Asset.state.in_(LIVE)))
    state = [list(samples), [list(row) for row in sets], finds, live, target_state(session)]
    return hashlib.sha256(json.dumps(state).encode()).hexdigest()
