"""A takedown: the new files are written, one transaction switches all rows to them, then the old files go.

Killed before the transaction, it leaves the old state and some new files that no row names; killed after it, the new
state and old files, which the next takedown (or `omnisrc doctor`) removes.

The rows of what was taken down stay as husks without content, so that ids in manifests of runs mean what they meant,
and tombstones keep the URL and equal bytes from coming back. The perceptual hash goes: the same picture in another
encoding is not recognised.
"""

from __future__ import annotations

import fcntl
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from markupsafe import escape
from sqlalchemy import delete, insert, or_, select, text, update
from sqlalchemy.orm import Session

from db import ledger
from db.ledger import now
from db.models import (
    Annotation,
    Asset,
    Blob,
    Decision,
    DuplicatePair,
    Job,
    Prediction,
    PredictionSet,
    Sample,
    Selection,
    SelectionMember,
    Shard,
    Tombstone,
)
from omnisrc.data.flow_cache import remove_flow, unclaimed
from omnisrc.engine.owner import is_dead
from omnisrc.errors import ItemError, UserError, WorldError
from omnisrc.rights.concerned import LONGEST, TAKEN_DOWN, Concerned, Wish, read_concerned, spelling
from omnisrc.rights.rewrite import NewSet, NewShard, rewrite_predictions, rewrite_shard
from omnisrc.rights.runs import Trained, trained_on
from omnisrc.shards.attribution import attribution_paths
from omnisrc.shards.places import open_storage
from omnisrc.shards.store import ShardStore, drop_unrecorded, is_remote, sidecars, store_of
from omnisrc.shards.turns import changing_shards
from omnisrc.shards.write import index_path
from omnisrc.study import Study
from omnisrc.train.run_folder import RunFolder

CHUNK = 500
TRIES = 5


class _Changed(Exception):
    """The catalogue is not what the new files were made from any more."""


@dataclass(frozen=True)
class Plan:
    """What one takedown would do. `leftovers`: places of files of an earlier one that was killed."""

    wish: Wish
    concerned: Concerned
    runs: list[Trained]
    pages: list[Path]
    leftovers: list[str]

    @property
    def empty(self) -> bool:
        return not self.concerned.assets and not self.concerned.blobs and not self.leftovers


@dataclass
class _Made:
    shards: list[NewShard] = field(default_factory=list)
    sets: list[NewSet] = field(default_factory=list)


def plan_takedown(study: Study, wish: Wish) -> Plan:
    """What the wish concerns; changes nothing.

    Raises:
        UserError: the study has never heard of it.
    """
    concerned = study.database().read(lambda session: read_concerned(session, wish))
    return Plan(
        wish,
        concerned,
        trained_on(study, concerned.samples),
        _pages(study, concerned.assets),
        study.database().read(lambda session: _leftovers(session, store_of(study))),
    )


def take_down(study: Study, wish: Wish, report: Callable[[str], None] = lambda line: None) -> Plan:
    """Takes down what the wish concerns; gives what that was.

    Raises:
        UserError: the study has never heard of it; jobs or a training are at work on it; another takedown is.
        ItemError: STORAGE, for a damaged shard or a full disk; nothing was changed then.
    """
    ledger.reap(study.database(), is_dead)
    open_storage(study)
    with _alone(study):
        for _ in range(TRIES):
            plan = plan_takedown(study, wish)
            if plan.concerned.assets or plan.concerned.blobs:
                _refuse_trainings(study, plan.runs)
                try:
                    _replace(study, plan, report)
                except _Changed:
                    continue
            _sweep(study)
            return plan
    raise WorldError("The study changes while it is read; stop what works on it and run the same command again.")


@contextmanager
def _alone(study: Study) -> Iterator[None]:
    """One takedown at a time; the lock ends with the process, however it ends."""
    with open(study.root / "takedown.lock", "a") as file, changing_shards(study):
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise UserError("Another takedown is at work on this study; wait for it.") from error
        yield


def _refuse_trainings(study: Study, runs: Sequence[Trained]) -> None:
    for run in runs:
        if run.state == "running" and (study.runs / run.name).is_dir():
            try:
                with RunFolder.of(study.runs, run.name).locked():
                    pass
            except UserError as error:
                raise UserError(f"The run {run.name} is being trained on it; stop it first.") from error


def _replace(study: Study, plan: Plan, report: Callable[[str], None]) -> None:
    made, store = _Made(), store_of(study)
    try:
        _write_files(study, plan.concerned, made, report)
        store.put(_new_files(made))
        study.database().write(lambda session: _switch(session, study, plan, made))
    except BaseException:
        _forget(study, made)
        raise
    store.settle(_new_files(made))
    _delete(store, [*_old_files(made), *map(study.relative, plan.pages)])


def _delete(store: ShardStore, places: Sequence[str]) -> None:
    store.delete(places)


def _write_files(study: Study, concerned: Concerned, made: _Made, report: Callable[[str], None]) -> None:
    keys: dict[int, set[str]] = {}
    for blob in concerned.blobs:
        keys.setdefault(blob.shard_id, set()).add(blob.key)
    for member in concerned.members:
        if member.shard_id is not None and member.key is not None:
            keys.setdefault(member.shard_id, set()).add(member.key)
    store = store_of(study)
    for shard in concerned.shards:
        report(f"writing {shard.path} without it")
        new = rewrite_shard(store, shard, keys.get(shard.id, set()))
        if new is not None:
            made.shards.append(new)
    for prediction_set in concerned.sets:
        trimmed = rewrite_predictions(store, prediction_set, concerned.samples)
        if trimmed is not None:
            made.sets.append(trimmed)


def _switch(session: Session, study: Study, plan: Plan, made: _Made) -> None:
    """All rows at once. A wish that the study grew into meanwhile is read anew."""
    _refuse_jobs(session)
    concerned = read_concerned(session, plan.wish)
    if concerned.state() != plan.concerned.state():
        raise _Changed
    if not all(file.exists() for file in _new_files(made)):  # `doctor` took them for litter
        raise _Changed
    moment = now(session)
    for shard in made.shards:
        _switch_shard(session, study, shard)
    for prediction_set in made.sets:
        _switch_set(session, study, prediction_set)
    _count_out(session, concerned)
    _empty_rows(session, concerned)
    _bury(session, plan.wish, concerned, moment)
    old = [*_old_files(made), *map(study.relative, plan.pages)]
    _decide(session, plan.wish, concerned, moment, {"files": old, "runs": [run.name for run in plan.runs]})


def _refuse_jobs(session: Session) -> None:
    """No job may hold what it read before: it would write it again."""
    if session.get_bind().dialect.name == "postgresql":
        session.execute(text("LOCK TABLE job IN EXCLUSIVE MODE"))
    leased = session.scalars(select(Job.stage).where(Job.state == "leased").distinct().order_by(Job.stage)).all()
    if leased:
        raise UserError(
            f"Jobs are at work on the study ({', '.join(leased)}); stop them with Ctrl-C, or wait, and run the same"
            " command again."
        )


def _switch_shard(session: Session, study: Study, new: NewShard) -> None:
    row = session.get_one(Shard, new.shard_id)
    if new.file is None:
        row.freed, row.count, row.bytes = True, 0, 0
        return
    row.path, row.sha256 = store_of(study).place_of(new.file.path), new.file.sha256
    row.count, row.bytes = new.file.count, new.file.bytes
    for table in (Blob, SelectionMember):
        places = session.execute(select(table.id, table.key).where(table.shard_id == row.id)).all()
        moved = [{"id": number, "offset": new.offsets[key]} for number, key in places if key in new.offsets]
        if moved:
            session.execute(update(table), moved)


def _switch_set(session: Session, study: Study, new: NewSet) -> None:
    facts = {"path": store_of(study).place_of(new.path), "count": int(new.kept.sum()), "sha256": new.sha256}
    session.execute(update(PredictionSet).where(PredictionSet.id == new.set_id).values(**facts))
    places = np.cumsum(new.kept) - 1
    rows = session.execute(select(Prediction.id, Prediction.row).where(Prediction.prediction_set_id == new.set_id))
    moved = [{"id": number, "row": int(places[row])} for number, row in rows if new.kept[row]]
    if moved:
        session.execute(update(Prediction), moved)


def _empty_rows(session: Session, concerned: Concerned) -> None:
    """Rows become husks, and what was said of the samples goes."""
    gone = {"state": "refused", "error": TAKEN_DOWN, "blob_id": None, "title": None, "lease_token": None}
    for part in _chunks([asset.id for asset in concerned.assets]):
        session.execute(update(Asset).where(Asset.id.in_(part)).values(**gone))
    bare = {"offset": 0, "length": 0, "stored_sha256": "", "phash": None, "phash_quality": None}
    for part in _chunks([blob.id for blob in concerned.blobs]):
        session.execute(update(Blob).where(Blob.id.in_(part)).values(**bare))
    known = set(_sample_blobs(session, concerned.samples))
    unseen = [blob for blob in concerned.blobs if blob.id not in known]  # a husk keeps `segment` away
    husks = [{"blob_id": b.id, "kind": "image" if b.medium == "image" else "clip", "start": 0.0, "end": 0.0,
              "error": TAKEN_DOWN, "hashes": None} for b in unseen]  # fmt: skip
    if husks:
        session.execute(insert(Sample), husks)
    nowhere = {"reason": TAKEN_DOWN, "score": 0.0, "shard_id": None, "key": None, "offset": None, "length": None}
    for part in _chunks(concerned.samples):
        session.execute(update(Sample).where(Sample.id.in_(part)).values(error=TAKEN_DOWN, hashes=None))
        session.execute(delete(Prediction).where(Prediction.sample_id.in_(part)))
        session.execute(delete(Annotation).where(Annotation.sample_id.in_(part)))
        pairs = or_(DuplicatePair.sample_id.in_(part), DuplicatePair.other_sample_id.in_(part))
        session.execute(delete(DuplicatePair).where(pairs))
        session.execute(update(SelectionMember).where(SelectionMember.sample_id.in_(part)).values(**nowhere))


def _sample_blobs(session: Session, samples: Sequence[int]) -> Iterator[int]:
    for part in _chunks(samples):
        yield from session.scalars(select(Sample.blob_id).where(Sample.id.in_(part)))


def _count_out(session: Session, concerned: Concerned) -> None:
    """A selection says how many of its samples were taken down since it was made."""
    for chosen in concerned.selections:
        members = [member for member in concerned.members if member.selection_id == chosen.id]
        lost = sum(1 for member in members if member.reason is None)
        counts = {**chosen.counts, TAKEN_DOWN: chosen.counts.get(TAKEN_DOWN, 0) + lost}
        session.execute(update(Selection).where(Selection.id == chosen.id).values(counts=counts))


def _bury(session: Session, wish: Wish, concerned: Concerned, moment: float) -> None:
    """Tombstones: of the URLs, of the sums of the bytes, and of the author where one was named."""
    named = {("author", wish.author)} if wish.author is not None else set()
    for asset in concerned.assets:
        urls = [asset.url, asset.final_url]
        named |= {("url", spelled) for url in urls if url and len(spelled := _spelled(url)) <= LONGEST}
        named |= {("sha1", asset.found_sha1)} if asset.found_sha1 else set()
    for blob in concerned.blobs:
        named |= {("sha256", blob.sha256)} | ({("sha1", blob.sha1)} if blob.sha1 else set())
    rows = [
        {"kind": kind, "value": value, "error": TAKEN_DOWN, "reason": wish.reason, "evidence": {"asked": str(wish)},
         "created": moment}
        for kind, value in sorted(named, key=str)
    ]  # fmt: skip
    for part in _chunks([value for _, value in named]):
        old = Tombstone.value.in_(part) & (Tombstone.error == TAKEN_DOWN)
        there = {(tomb.kind, tomb.value) for tomb in session.scalars(select(Tombstone).where(old))}
        rows = [row for row in rows if (row["kind"], row["value"]) not in there]
    if rows:
        session.execute(insert(Tombstone), rows)


def _spelled(url: str) -> str:
    try:
        return spelling(url)
    except ItemError:
        return url


def _decide(session: Session, wish: Wish, concerned: Concerned, moment: float, done: dict[str, Any]) -> None:
    """The evidence of each asset; that of the first names what was done."""
    asked = {"asked": str(wish), "reason": wish.reason}
    rows = [
        {"asset_id": asset.id, "kind": TAKEN_DOWN, "allowed": False, "decided": moment,
         "evidence": {**asked, **(done if asset is concerned.assets[0] else {})}}
        for asset in concerned.assets
    ]  # fmt: skip
    if rows:
        session.execute(insert(Decision), rows)


def _leftovers(session: Session, store: ShardStore) -> list[str]:
    """Old files of takedowns that are there still."""
    told = session.scalars(select(Decision.evidence).where(Decision.kind == TAKEN_DOWN))
    files = {name for evidence in told for name in evidence.get("files", [])}
    if not files:
        return []
    named = {*session.scalars(select(Shard.path)), *session.scalars(select(PredictionSet.path))}
    freed = set(session.scalars(select(Shard.path).where(Shard.freed.is_(True))))
    return sorted(_there(store, files - (named - freed)))


def _sweep(study: Study) -> None:
    store = store_of(study)
    _delete(store, study.database().read(lambda session: _leftovers(session, store)))
    shards = select(Shard.path).where(Shard.freed.is_(False))
    remove_flow(store, unclaimed(store, study.database().read(lambda session: session.scalars(shards).all())))


def _there(store: ShardStore, places: set[str]) -> set[str]:
    """Those of the places that have a file; each folder of an object store is listed once."""
    folders = {place.rpartition("/")[0] for place in places if is_remote(place)}
    listed = {url for folder in folders for url in store.objects.list(folder)}
    return {place for place in places if (place in listed if is_remote(place) else (store.root / place).exists())}


def _forget(study: Study, made: _Made) -> None:
    """Deletes the new files, unless a commit recorded them whose answer was lost on the way."""

    drop_unrecorded(study, _new_files(made))


def _new_files(made: _Made) -> list[Path]:
    tars = [new.file.path for new in made.shards if new.file is not None]
    beside = [path for tar in tars for path in attribution_paths(tar) if path.exists()]
    return [*tars, *map(index_path, tars), *beside, *(new.path for new in made.sets)]


def _old_files(made: _Made) -> list[str]:
    shards = [place for new in made.shards for place in sidecars(new.old, "curated")]
    return [*shards, *(new.old for new in made.sets)]


def _pages(study: Study, assets: Sequence[Asset]) -> list[Path]:
    """Report pages in the workspace that name one of the assets: they may show its picture."""
    words = {word for asset in assets for word in (asset.url, asset.page_url, asset.title) if word}
    words |= {str(escape(word)) for word in words}
    found = []
    for page in sorted(study.reports.glob("*.html")) if words else []:
        shown = page.read_text("utf-8", errors="replace")
        if any(word in shown for word in words):
            found.append(page)
    return found


def _chunks(items: Sequence[Any]) -> Iterator[Sequence[Any]]:
    return (items[start : start + CHUNK] for start in range(0, len(items), CHUNK))
