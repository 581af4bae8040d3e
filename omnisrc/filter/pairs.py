"""The pairs of a selection as a file: which web samples look like an item of val or test, and like each other."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session, aliased

from db.catalogue import blob_urls
from db.models import DuplicatePair, Rule, Sample, Selection, TargetItem
from omnisrc.study import Study


def write_pairs(study: Study, selection: Selection) -> Path:
    """Writes reports/copies-NAME.json, whole or not at all, and returns its path."""
    found = study.database().read(lambda session: _pairs(session, selection))
    path = study.reports / f"copies-{selection.name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    part.write_text(json.dumps(found, ensure_ascii=False, indent=1), encoding="utf-8")
    part.replace(path)
    return path


def _pairs(session: Session, selection: Selection) -> dict[str, Any]:
    other = aliased(Sample)
    rows = session.execute(
        select(DuplicatePair, Sample, other, TargetItem)
        .join(Sample, Sample.id == DuplicatePair.sample_id)
        .outerjoin(other, other.id == DuplicatePair.other_sample_id)
        .outerjoin(TargetItem, TargetItem.id == DuplicatePair.target_item_id)
        .where(DuplicatePair.selection_id == selection.id)
        .order_by(DuplicatePair.distance, DuplicatePair.id)
    ).all()
    blobs = {sample.blob_id for row in rows for sample in row[1:3] if sample is not None}
    urls = {blob: assets[0].url for blob, assets in _led_to(session, blobs).items() if assets}
    rule = session.get_one(Rule, selection.rule_id).params
    counted = selection.counts.get("target", {})
    thresholds = ("contamination_bits", "near_duplicate_bits", "clip_duplicate_bits", "clip_duplicate_share")
    return {
        "selection": selection.name,
        "id": selection.id,
        "compared_with_val_and_test": selection.decontaminated,
        "thresholds": {name: counted.get(name, rule[name]) for name in thresholds},
        "nearest": counted.get("nearest"),
        "planted_leaks": selection.counts.get("planted_leaks"),
        "embedding": selection.counts.get("embedding"),
        "contaminated": [
            {**_place(sample, urls), **_measured(pair), "item": item.path, "split": item.split}
            for pair, sample, _, item in rows
            if item is not None
        ],
        "near_duplicates": [
            {**_place(sample, urls), **_measured(pair), "kept": _place(twin, urls)}
            for pair, sample, twin, _ in rows
            if twin is not None
        ],
    }


def _led_to(session: Session, blobs: set[int]) -> dict[int, list[Any]]:
    found: dict[int, list[Any]] = {}
    ordered = sorted(blobs)
    for at in range(0, len(ordered), 500):
        found |= blob_urls(session, ordered[at : at + 500])
    return found


def _place(sample: Sample, urls: dict[int, str]) -> dict[str, Any]:
    window = [sample.start, sample.end] if sample.kind == "clip" else None
    return {"sample": sample.id, "kind": sample.kind, "url": urls.get(sample.blob_id), "window": window}


def _measured(pair: DuplicatePair) -> dict[str, Any]:
    return {"method": pair.method, "distance": pair.distance}
