"""Every web sample with what is known of it, as columns: what rules judge."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import and_, func, or_, select
from sqlalchemy.orm import Session

from db.models import ActionClass, Annotation, Asset, Find, Prediction, PredictionSet, Query, Sample
from omnisrc.data.near import Hashes, Rows, unpack
from omnisrc.licences import canonical

TASK = "recognition"
LIVE = ("stored", "duplicate")
"""States of assets whose bytes may be used; a sample without such an asset was taken down."""


@dataclass(frozen=True)
class Judgements:
    """What the teacher of each sample's medium said of it. All (N,); `there` is false where it said nothing."""

    there: NDArray[np.bool_]
    top: NDArray[np.int64]  # the best class
    probability: NDArray[np.float64]  # of the best class
    second: NDArray[np.float64]  # of the second best
    asked: NDArray[np.int64]  # the best of the classes that were asked for when it was judged; -1: none
    asked_probability: NDArray[np.float64]


@dataclass(frozen=True)
class Candidates:
    """N samples, ordered by id.

    `asked` holds (row * classes + label) of every class that a sample was found for, sorted; `licences` the licences
    of the assets that led to each sample (None: not known).
    """

    classes: int
    ids: Rows
    clips: NDArray[np.bool_]
    blobs: Rows
    aside: NDArray[np.bool_]
    packed_hashes: list[bytes | None]
    asked: Rows
    first_asked: NDArray[np.int64]  # the class found for at the best rank; -1: none
    licences: dict[int, set[str | None]]  # by blob
    judgements: Judgements
    hand: Mapping[int, int]  # sample -> label by hand; -1: none of the classes

    def __len__(self) -> int:
        return len(self.ids)

    def found_for(self, labels: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Whether each sample was found for the class that `labels` (N,) names."""
        return np.isin(np.arange(len(self)) * self.classes + labels, self.asked)

    @cached_property
    def hashes(self) -> tuple[Hashes, Rows]:
        """All hashes (H, 32), and the row of the sample that each belongs to (H,)."""
        return unpack(self.packed_hashes)


def load_candidates(
    session: Session, class_list_id: int, teachers: Mapping[str, int | None], labels_file: str = ""
) -> Candidates:
    """Reads all samples.

    Args:
        teachers: `image` and `clip` -> id of the teacher that judges them.
        labels_file: SHA-256 of the file whose labels by hand are read.
    """
    rows = session.execute(
        select(Sample.id, Sample.blob_id, Sample.kind, Sample.error, Sample.hashes).order_by(Sample.id)
    ).all()
    classes = session.scalar(select(func.count()).where(ActionClass.class_list_id == class_list_id)) or 0
    ids = np.array([row.id for row in rows], np.int64)
    blobs = np.array([row.blob_id for row in rows], np.int64)
    asked, first_asked = _asked(session, class_list_id, blobs, classes)
    return Candidates(
        classes=classes,
        ids=ids,
        clips=np.array([row.kind == "clip" for row in rows], bool),
        blobs=blobs,
        aside=np.array([row.error not in (None, "taken-down") for row in rows], bool),
        packed_hashes=[row.hashes for row in rows],
        asked=asked,
        first_asked=first_asked,
        licences=_licences(session),
        judgements=_judgements(session, ids, teachers),
        hand=_hand_labels(session, labels_file) if labels_file else {},
    )


def _asked(session: Session, class_list_id: int, blobs: Rows, classes: int) -> tuple[Rows, NDArray[np.int64]]:
    rows = session.execute(
        select(Asset.blob_id, ActionClass.position, func.min(Find.rank))
        .join(Find, Find.asset_id == Asset.id)
        .join(Query, Query.id == Find.query_id)
        .join(ActionClass, ActionClass.id == Query.class_id)
        .where(ActionClass.class_list_id == class_list_id, Asset.blob_id.is_not(None), Asset.state.in_(LIVE))
        .group_by(Asset.blob_id, ActionClass.position)
    ).all()
    first = np.full(len(blobs), -1, np.int64)
    if not rows:
        return np.zeros(0, np.int64), first
    found = np.array([tuple(row) for row in rows], np.int64)  # (F, 3): blob, label, rank
    found = found[np.lexsort((found[:, 1], found[:, 2], found[:, 0]))]
    starts = np.searchsorted(found[:, 0], blobs, side="left")
    counts = np.searchsorted(found[:, 0], blobs, side="right") - starts
    has = counts > 0
    first[has] = found[starts[has], 1]
    owners = np.repeat(np.arange(len(blobs)), counts)
    within = np.arange(len(owners)) - np.repeat(np.cumsum(counts) - counts, counts)
    labels = found[np.repeat(starts, counts) + within, 1]
    return np.sort(owners * classes + labels), first


def _licences(session: Session) -> dict[int, set[str | None]]:
    rows = session.execute(
        select(Asset.blob_id, Asset.license, Asset.license_url)
        .where(Asset.blob_id.is_not(None), Asset.state.in_(LIVE))
        .distinct()
    )
    found: dict[int, set[str | None]] = {}
    for blob, licence, url in rows:
        found.setdefault(blob or 0, set()).add(canonical(licence, url) or None)
    return found


def _silence(count: int) -> Judgements:
    return Judgements(
        np.zeros(count, bool), np.full(count, -1, np.int64), np.zeros(count), np.zeros(count),
        np.full(count, -1, np.int64), np.zeros(count),
    )  # fmt: skip


def _judgements(session: Session, ids: Rows, teachers: Mapping[str, int | None]) -> Judgements:
    judged = _silence(len(ids))
    who = [and_(Sample.kind == kind, PredictionSet.teacher_id == id) for kind, id in teachers.items() if id is not None]
    if not who or not len(ids):
        return judged
    rows = session.execute(
        select(Prediction.sample_id, Prediction.top, Prediction.logsumexp, Prediction.asked, Prediction.asked_logit)
        .join(PredictionSet, PredictionSet.id == Prediction.prediction_set_id)
        .join(Sample, Sample.id == Prediction.sample_id)
        .where(or_(*who))
    ).all()
    at = np.searchsorted(ids, np.array([row.sample_id for row in rows], np.int64))
    total = np.array([row.logsumexp for row in rows])
    judged.there[at] = True
    judged.top[at] = [row.top[0][0] for row in rows]
    judged.probability[at] = np.exp(_logits(row.top[0] for row in rows) - total)
    judged.second[at] = np.exp(_logits(row.top[1] if len(row.top) > 1 else (0, -np.inf) for row in rows) - total)
    judged.asked[at] = [row.asked for row in rows]
    judged.asked_probability[at] = np.exp(np.array([row.asked_logit for row in rows]) - total)
    return judged


def _logits(pairs: Iterable[Any]) -> NDArray[np.float64]:
    return np.array([pair[1] for pair in pairs], np.float64)


def _hand_labels(session: Session, labels_file: str) -> dict[int, int]:
    rows = session.execute(
        select(Annotation.sample_id, Annotation.payload).where(
            Annotation.task == TASK, Annotation.sample_id.is_not(None)
        )
    )
    return {sample: payload["label"] for sample, payload in rows if payload.get("file") == labels_file}
