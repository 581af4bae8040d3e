"""From the catalogue to a manifest: what the study holds now, frozen for one run or one evaluation."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from itertools import chain, compress
from typing import Any

import pyarrow as pa
from sqlalchemy import Result, and_, case, func, select
from sqlalchemy.orm import Session

from db import models
from omnisrc.config import near
from omnisrc.data.catalogue import class_names, find_class_list, several_labels, target_state
from omnisrc.data.labels import MULTI_LABEL, RECOGNITION
from omnisrc.data.manifest import DEFAULTS, SCHEMA, Manifest, manifest_of
from omnisrc.errors import UserError
from omnisrc.licences import LicenceRules, permitted
from omnisrc.shards.store import name_of
from omnisrc.study import Study

KIND = {"web-image": "image", "web-clip": "clip"}
NO_DERIVATIVES = re.compile(r"(^|[^a-z])nd([^a-z]|$)|no.?deriv", re.IGNORECASE)

Columns = dict[str, Sequence[Any]]


def build_manifest(
    study: Study,
    sources: Sequence[str],
    selection: str | None = None,
    licences: Sequence[LicenceRules] = (),
    task: str = "auto",
) -> Manifest:
    """What a run on `sources` trains on and is validated on: train of each, val of the target; never test.

    Args:
        selection: its name; None: the newest.
        licences: web samples of which no asset has a licence that these rules permit are left out, and counted.
        task: recognition or multi-label; auto: as the target's clips have one class or several.

    Raises:
        UserError: the target or the selection is missing, not finished, or not checked against val and test; or their
            class lists differ. The sentence names the command that helps.
    """
    return study.database().read(lambda session: _build(session, sources, selection, licences, task))


def target_manifest(study: Study, split: str, class_list_sha256: str | None = None, task: str = "auto") -> Manifest:
    """One split of the target, labelled by the class list given (or the only one that the target has).

    Args:
        task: as `build_manifest` has it.

    Raises:
        UserError: there is no such split.
    """

    def read(session: Session) -> Manifest:
        named = find_class_list(session, class_list_sha256) if class_list_sha256 else None
        there = _target_list(session, named)
        rows = _target_rows(session, there.id, (split,))
        if not rows["sample"]:
            splits = _splits(session, there.id)
            raise UserError(
                f"The target has no {split} split (its splits: {', '.join(splits) or 'none'}); add one with"
                " `omnisrc target add`, or name another with --split."
            )
        return _manifest(session, [rows], there, _task(session, there, task))

    return study.database().read(read)


def where_they_lie(study: Study, manifest: Manifest) -> Manifest:
    """The same samples by the places that their shards have now; those that the catalogue does not know any more keep
    the old ones. The manifest's hash stays."""
    rows = study.database().read(lambda session: session.scalars(select(models.Shard.path)).all())
    now = {name_of(place): place for place in rows}
    at = manifest.table.schema.get_field_index("path")
    places = [now.get(name_of(place), place) for place in manifest.table["path"].to_pylist()]
    column = pa.array(places, type=SCHEMA.field("path").type)
    return replace(manifest, table=manifest.table.set_column(at, SCHEMA.field("path"), column))


def _task(session: Session, class_list: models.ClassList, asked: str) -> dict[str, Any]:
    """What the manifest says of its task: nothing of recognition.

    Raises:
        UserError: one class a clip is asked for, and the target has several.
    """
    several = session.scalar(
        select(models.Annotation.id)
        .join(models.TargetItem, models.TargetItem.id == models.Annotation.target_item_id)
        .where(models.Annotation.task == MULTI_LABEL, models.TargetItem.class_list_id == class_list.id)
        .limit(1)
    )
    if several is not None and asked == RECOGNITION:
        raise UserError(
            "The target's clips have several classes each, and train.task=recognition is for one; leave that out, or"
            " add the target with one class a clip to a --workspace of its own."
        )
    return {"task": MULTI_LABEL} if several is not None or asked == MULTI_LABEL else {}


def _build(
    session: Session, sources: Sequence[str], selection: str | None, licences: Sequence[LicenceRules], task: str
) -> Manifest:
    web = [source for source in sources if source in KIND]
    chosen = _selection(session, selection) if web else None
    named = session.get(models.ClassList, chosen.class_list_id) if chosen else None
    has_target = session.scalar(select(models.TargetItem.id).limit(1)) is not None
    parts: list[Columns] = []
    facts: dict[str, Any] = {}
    class_list = named
    if has_target or "target" in sources or class_list is None:
        class_list = _target_list(session, named)
        parts.append(_target_rows(session, class_list.id, ("val",)))
    if "target" in sources:
        parts.append(_target_rows(session, class_list.id, ("train",)))
        if not parts[-1]["sample"]:
            raise UserError("The target has no train split; add clips to train on with `omnisrc target add`.")
    if chosen is not None:
        facts = _facts(session, chosen, web)
        denied = _denied(session, chosen, licences) if licences else set()
        for source in web:
            rows = _web_rows(session, chosen, source)
            kept = [sample not in denied for sample in rows["sample"]]
            parts.append({name: list(compress(values, kept)) for name, values in rows.items()})
            if not all(kept):
                facts["warnings"].append(
                    f"{kept.count(False)} samples of {source} were left out: their licence is not permitted."
                )
    return _manifest(session, parts, class_list, {**facts, **_task(session, class_list, task)})


def _manifest(
    session: Session, parts: Sequence[Columns], class_list: models.ClassList, facts: dict[str, Any]
) -> Manifest:
    columns = {name: list(chain.from_iterable(part[name] for part in parts)) for name in SCHEMA.names}
    classes = tuple(class_names(session, class_list.id))
    return manifest_of(columns, classes, class_list.name, class_list.sha256, facts)


def _columns(result: Result[Any], **fixed: Any) -> Columns:
    """A query's rows as columns of the manifest; NULL and what the query does not name are the defaults."""
    names, lines = list(result.keys()), result.all()
    found: Columns = {name: [value] * len(lines) for name, value in {**DEFAULTS, **fixed}.items()}
    for at, name in enumerate(names):
        default = DEFAULTS.get(name)
        found[name] = [default if line[at] is None else line[at] for line in lines]
    return found


def _target_list(session: Session, wanted: models.ClassList | None) -> models.ClassList:
    """The class list of the target: `wanted`, which it must have, or the only one there is."""
    found = session.scalars(select(models.TargetItem.class_list_id).distinct()).all()
    lists = [row for row in (session.get(models.ClassList, key) for key in sorted(found)) if row is not None]
    if not lists:
        raise UserError("There is no target data set; add one with `omnisrc target add PATH --classes NAME`.")
    if wanted is None:
        if len(lists) > 1:
            names = ", ".join(row.name for row in lists)
            raise UserError(f"The target has several class lists ({names}); keep each in a --workspace of its own.")
        return lists[0]
    if all(row.id != wanted.id for row in lists):
        raise UserError(
            f"The class list {wanted.name} is not the target's ({', '.join(row.name for row in lists)}); use one class"
            " list for the target, the web data and the checkpoint."
        )
    return wanted


def _splits(session: Session, class_list_id: int) -> list[str]:
    item = models.TargetItem
    query = select(item.split).where(item.class_list_id == class_list_id, item.state == "stored").distinct()
    return sorted(session.scalars(query))


def _target_rows(session: Session, class_list_id: int, splits: Sequence[str]) -> Columns:
    item, shard = models.TargetItem, models.Shard
    in_place = item.shard_id.is_(None)  # what lies in a shard was cut out already
    query = (
        select(
            item.id.label("sample"), item.split, item.label.label("label"),
            func.coalesce(shard.path, item.path).label("path"), item.key, item.medium, item.frames, item.duration,
            case((in_place, 0), else_=item.offset).label("offset"),
            case((in_place, -1), else_=item.length).label("length"),
            case((in_place, item.start), else_=0.0).label("start"),
            case((in_place, item.end), else_=0.0).label("end"),
        )
        .outerjoin(shard, shard.id == item.shard_id)
        .where(item.class_list_id == class_list_id, item.state == "stored", item.split.in_(splits))
        .order_by(item.id)
    )  # fmt: skip
    columns = _columns(session.execute(query), source="target")
    several = several_labels(session, columns["sample"])
    return {**columns, "labels": [several.get(sample, ()) for sample in columns["sample"]]}


def _selection(session: Session, name: str | None) -> models.Selection:
    table = models.Selection
    query = select(table).order_by(table.id.desc())
    chosen = session.scalars(query.where(table.name == name) if name else query).first()
    if chosen is None:
        names = list(session.scalars(select(table.name).distinct()))
        if name and names:
            raise UserError(f"There is no selection {name!r}.{near(name, names)}")
        raise UserError(
            "There is no selection of web data to mix; make one with `omnisrc crawl --classes NAME` and then"
            " `omnisrc filter --teacher NAME` (or train on the target alone with --mix target)."
        )
    if not chosen.decontaminated:
        raise UserError(
            f"The selection {chosen.name} was not compared with the target's val and test, so its scores could not be"
            " trusted; run `omnisrc filter --redo select` with the target in place."
        )
    compared_with = (chosen.counts.get("target") or {}).get("state")
    if compared_with is not None and compared_with != target_state(session):
        raise UserError(
            f"The target's val or test changed after the selection {chosen.name} was compared with them; run"
            " `omnisrc filter --redo select`."
        )
    if not chosen.packed:
        raise UserError(f"The selection {chosen.name} is not packed; run the same `omnisrc filter` again to finish it.")
    return chosen


def _web_rows(session: Session, chosen: models.Selection, source: str) -> Columns:
    member, sample, shard = models.SelectionMember, models.Sample, models.Shard
    query = (
        select(
            member.sample_id.label("sample"), member.label.label("label"), shard.path, member.key, member.offset,
            member.length, member.frames, member.duration,
        )
        .join(sample, sample.id == member.sample_id)
        .join(shard, shard.id == member.shard_id)
        .where(member.selection_id == chosen.id, member.reason.is_(None), sample.kind == KIND[source])
        .order_by(member.sample_id)
    )  # fmt: skip
    medium = "image" if source == "web-image" else "video"
    return _columns(session.execute(query), source=source, split="train", medium=medium)


def _denied(session: Session, chosen: models.Selection, licences: Sequence[LicenceRules]) -> set[int]:
    """Kept samples of which no asset has a licence that the rules permit."""
    member, sample, asset = models.SelectionMember, models.Sample, models.Asset
    query = (
        select(member.sample_id, asset.license, asset.license_url)
        .join(sample, sample.id == member.sample_id)
        .outerjoin(asset, and_(asset.blob_id == sample.blob_id, asset.state.in_(("stored", "duplicate"))))
        .where(member.selection_id == chosen.id, member.reason.is_(None))
        .distinct()
    )
    rows = session.execute(query).all()
    known = {terms: permitted(licences, *terms) for terms in {(row[1], row[2]) for row in rows}}
    return {row[0] for row in rows} - {row[0] for row in rows if known[row[1], row[2]]}


def _facts(session: Session, chosen: models.Selection, web: Sequence[str]) -> dict[str, Any]:
    """Where the web samples came from: the selection, and what is to be said of their licences."""
    member, sample, asset = models.SelectionMember, models.Sample, models.Asset
    query = (
        select(asset.license, func.count(member.id.distinct()))
        .select_from(member)
        .join(sample, sample.id == member.sample_id)
        .join(asset, asset.blob_id == sample.blob_id)
        .where(
            member.selection_id == chosen.id, member.reason.is_(None), asset.state == "stored",
            sample.kind.in_([KIND[source] for source in web]),
        )
        .group_by(asset.license)
    )  # fmt: skip
    licences = {licence or "unknown": int(count) for licence, count in session.execute(query)}
    return {
        "selection": chosen.name,
        "selection_id": chosen.id,
        "licences": dict(sorted(licences.items())),
        "warnings": [*map(str, chosen.warnings or []), *licence_warnings(licences)],
    }


def licence_warnings(licences: dict[str, int]) -> list[str]:
    """A sentence for the samples without a known licence, and one for those that allow no derivatives."""
    unknown = sum(count for name, count in licences.items() if name.strip().lower() in ("", "unknown", "none"))
    closed = sum(count for name, count in licences.items() if NO_DERIVATIVES.search(name))
    warnings = []
    if unknown:
        warnings.append(f"{unknown} web samples have no known licence.")
    if closed:
        warnings.append(f"{closed} web samples have a licence that allows no derivatives.")
    return warnings
