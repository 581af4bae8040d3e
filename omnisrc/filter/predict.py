"""The stage `predict`: what a teacher says of every sample of one landing shard.

All logits and the embedding go to a file beside the shard; SQL keeps the five best classes, the asked one and the
log-sum-exp, so that any rule can be applied later without the teacher.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import insert, select, update
from sqlalchemy.orm import Session

from db.ledger import now
from db.models import ActionClass, Asset, Blob, Find, Prediction, PredictionSet, Query, Sample, Shard, Teacher
from omnisrc.engine.stage import Job
from omnisrc.errors import ErrorClass, ItemError
from omnisrc.filter import embed
from omnisrc.filter.arrays import read_arrays, write_arrays
from omnisrc.filter.feed import Shown, open_feed, placed
from omnisrc.filter.forward import Judge, Said
from omnisrc.filter.settings import FilterSettings
from omnisrc.filter.teachers import TeacherInput, load_planned
from omnisrc.media.source import MediaRef
from omnisrc.shards.store import published, store_of

BEST = 5


@dataclass(frozen=True)
class Work:
    """One landing shard: the samples that the teacher has not judged, and the classes that each was found for."""

    shard: str  # its place
    shard_id: int
    samples: list[Shown]
    asked: dict[int, list[int]]  # by sample
    earlier: PredictionSet | None  # what it said of other samples of the shard
    prompts: Mapping[str, Any] | None = None  # the sentences of a teacher that reads some


@dataclass(frozen=True)
class Judged:
    """What was said, and what became of the samples that could not be shown."""

    said: Said
    failed: dict[int, ItemError]


def run(job: Job) -> None:
    """Judges the shard of the parameters with the teacher of the parameters, as far as it has not done so.

    A sample that cannot be decoded is set aside. One whose bytes cannot be read (a damaged shard) stays unjudged, so
    that it can be had again once the shard is whole; the job's result counts both.

    Raises:
        UserError: the teacher's file is not the one that the job was made for.
    """
    if job.params.get("embed"):
        embed.run(job)
        return
    work, store = job.database.read(lambda session: _work(session, job)), store_of(job.study)
    judged = judge_shard(job, work)
    said = judged.said
    if work.earlier is not None:
        with store.holding(work.earlier.path) as earlier:
            said = join(read_predictions(earlier), said)
    path = job.study.landing / embed.prediction_name(job, work.shard)
    sha256 = write_predictions(path, said)
    with published(job.study, [path]):
        job.commit(lambda session: _record(session, job, work, judged, (path, sha256)), _result(work, judged))
    if work.earlier is not None:
        store.delete([work.earlier.path])


def judge_shard(job: Job, work: Work) -> Judged:
    """Decodes ahead in threads while the teacher is at work."""
    settings = job.study.section(FilterSettings)
    shown_as = TeacherInput(**job.params["input"])
    judge = Judge(load_planned(job.params, work.prompts), shown_as, settings, job.params["precision"])
    with store_of(job.study).holding(work.shard) as path:
        samples = [placed(sample, path) for sample in work.samples]
        with open_feed(job, samples, shown_as, settings, judge.batch_size(samples)) as feed:
            said = judge(feed)
            return Judged(said, feed.failed)


def _work(session: Session, job: Job) -> Work:
    params = job.params
    shard = session.get_one(Shard, params["shard"])
    earlier = session.scalar(
        select(PredictionSet).where(PredictionSet.shard_id == shard.id, PredictionSet.teacher_id == params["teacher"])
    )
    query = select(Sample, Blob).join(Blob, Blob.id == Sample.blob_id).where(Blob.shard_id == shard.id)
    if earlier is not None:
        judged = select(Prediction.sample_id).where(Prediction.prediction_set_id == earlier.id)
        query = query.where(Sample.id.not_in(judged))
    rows = session.execute(query.where(Sample.error.is_(None)).order_by(Sample.id)).all()
    samples = [Shown(s.id, s.kind == "clip", MediaRef(shard.path, b.offset, b.length), s.start, s.end) for s, b in rows]
    labels = _asked(session, shard.id, params["class_list"])
    asked = {sample.id: sorted(labels[blob.id]) for sample, blob in rows}
    prompts = session.get_one(Teacher, params["teacher"]).meta.get("prompts")
    return Work(shard.path, shard.id, samples, asked, earlier, prompts)


def _asked(session: Session, shard: int, class_list: int) -> dict[int, set[int]]:
    """The classes that each blob of a shard was found for."""
    found = session.execute(
        select(Asset.blob_id, ActionClass.position)
        .join(Find, Find.asset_id == Asset.id)
        .join(Query, Query.id == Find.query_id)
        .join(ActionClass, ActionClass.id == Query.class_id)
        .join(Blob, Blob.id == Asset.blob_id)
        .where(Blob.shard_id == shard, ActionClass.class_list_id == class_list)
    )
    labels: dict[int, set[int]] = defaultdict(set)
    for blob, label in found:
        labels[blob or 0].add(label)
    return labels


def join(first: Said, then: Said) -> Said:
    """Both, one after the other."""
    if not len(then.samples):
        return first
    if not len(first.samples):
        return then
    return Said(
        np.concatenate([first.samples, then.samples]),
        np.concatenate([first.logits, then.logits]),
        np.concatenate([first.embedding, then.embedding]),
        then.exclusive,
    )


def write_predictions(path: Path, said: Said) -> str:
    """Writes the file of one prediction set and returns its SHA-256: samples (N,) int64; logits (N, classes) and
    embedding (N, D) as float16. A failing disk is `ItemError(STORAGE)`."""
    return write_arrays(path, samples=said.samples, logits=_half(said.logits), embedding=_half(said.embedding))


def _half(values: NDArray[np.float32]) -> NDArray[np.float16]:
    limit = float(np.finfo(np.float16).max)
    return values.clip(-limit, limit).astype(np.float16)


def read_predictions(path: Path) -> Said:
    """The file of one prediction set."""
    samples, logits, embedding = read_arrays(path, "samples", "logits", "embedding")
    return Said(samples, logits.astype(np.float32), embedding.astype(np.float32))


def _record(session: Session, job: Job, work: Work, judged: Judged, file: tuple[Path, str]) -> None:
    for sample, error in judged.failed.items():
        if error.error is not ErrorClass.STORAGE:
            session.execute(update(Sample).where(Sample.id == sample).values(error=error.error.value))
    path, sha256 = file
    before = 0 if work.earlier is None else work.earlier.count
    facts = {"path": store_of(job.study).place_of(path), "count": before + len(judged.said.samples), "sha256": sha256}
    if work.earlier is not None:
        session.execute(update(PredictionSet).where(PredictionSet.id == work.earlier.id).values(**facts))
        set_id = work.earlier.id
    else:
        made = PredictionSet(teacher_id=job.params["teacher"], shard_id=work.shard_id, created=now(session), **facts)
        session.add(made)
        session.flush()
        set_id = made.id
    rows = prediction_rows(judged.said, work.asked, before)
    if rows:
        session.execute(insert(Prediction), [{"prediction_set_id": set_id, **row} for row in rows])


def prediction_rows(said: Said, asked: Mapping[int, Sequence[int]], before: int = 0) -> list[dict[str, Any]]:
    """What SQL keeps of each sample: the best classes, the best of the asked ones, the log-sum-exp.

    Where each logit is a sigmoid's, "none of them" is one more case, of logit 0: exp(logit - logsumexp) is then the
    probability of a class given that at most one is true, each being true with odds exp(logit).

    Args:
        before: rows of the file that come before these samples'.
    """
    logits = said.logits.astype(np.float64)
    best = np.argsort(-logits, axis=1, kind="stable")[:, :BEST]
    cases = logits if said.exclusive else np.pad(logits, ((0, 0), (0, 1)))
    peak = cases.max(axis=1, keepdims=True) if cases.size else np.zeros((len(cases), 1))
    total = peak[:, 0] + np.log(np.exp(cases - peak).sum(axis=1))
    rows = []
    for row, sample in enumerate(said.samples.tolist()):
        wanted = asked.get(sample) or []
        first = max(wanted, key=lambda label: logits[row, label]) if wanted else -1
        rows.append(
            {
                "sample_id": sample,
                "row": before + row,
                "top": [[int(label), float(logits[row, label])] for label in best[row]],
                "asked": int(first),
                "asked_logit": float(logits[row, first]) if wanted else 0.0,
                "logsumexp": float(total[row]),
            }
        )
    return rows


def _result(work: Work, judged: Judged) -> dict[str, Any]:
    unread = sum(1 for error in judged.failed.values() if error.error is ErrorClass.STORAGE)
    return {
        "judged": len(judged.said.samples),
        "aside": len(judged.failed) - unread,
        "unreadable": {work.shard: unread} if unread else {},
    }
