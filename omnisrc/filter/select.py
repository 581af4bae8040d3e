"""The stage `select`: from predictions to a selection, by arithmetic alone. It takes seconds and needs no teacher."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import insert, select
from sqlalchemy.orm import Session

from db.insert import insert_missing
from db.ledger import now, params_digest
from db.models import DuplicatePair, Rule, Selection, SelectionMember
from omnisrc.data.catalogue import class_names, target_state
from omnisrc.data.near import Rows
from omnisrc.engine.stage import Job
from omnisrc.filter.candidates import Candidates, load_candidates
from omnisrc.filter.contamination import (
    Contamination,
    ScoredItems,
    compare,
    load_nearest,
    load_scored_items,
    safe_bits,
    save_nearest,
)
from omnisrc.filter.duplicates import Copy, drop_copies
from omnisrc.filter.leaks import LeakCheck, check_leaks
from omnisrc.filter.likeness import Likeness, load_alike
from omnisrc.filter.parts import enqueue_packing
from omnisrc.filter.rules import RuleSpec, Verdicts, cap, judge
from omnisrc.filter.settings import FilterSettings
from omnisrc.shards.store import store_of


@dataclass(frozen=True)
class Judged:
    """Everything that one selection is made of. `rule` has the distances that were used (see `safe_bits`)."""

    rule: RuleSpec
    candidates: Candidates
    scored: ScoredItems
    contamination: Contamination
    verdicts: Verdicts
    copies: list[Copy]
    leaks: LeakCheck | None
    likeness: Likeness | None
    alike: tuple[NDArray[np.bool_], Rows, NDArray[np.float64]] | None  # of likeness: found, item, similarity
    target: str  # the state of the target that was compared with


def run(job: Job) -> None:
    """Makes the selection that the job's parameters describe: name, rule, class list, teachers.

    With `pack`, the jobs that pack what it keeps are added in the same transaction.
    """
    judged = judge_all(job)
    job.commit(lambda session: _write(session, job, judged))


def judge_all(job: Job) -> Judged:
    """Reads the predictions and judges every sample; writes nothing."""
    params, rule = job.params, RuleSpec.from_params(job.params["rule"])

    def read(session: Session) -> tuple[Candidates, ScoredItems, str]:
        found = load_candidates(session, params["class_list"], params["teachers"], rule.labels_file)
        return found, load_scored_items(session), target_state(session)

    candidates, scored, target = job.database.read(read)
    kept_in = job.study.root / "cache" / f"nearest-{target[:16]}.npz"
    known = load_nearest(kept_in)
    contamination = compare(candidates, scored, known)
    if known is None or len(known.samples) < len(candidates):
        save_nearest(kept_in, contamination.nearest)
    rule = within_safe_bits(rule, scored)
    shown = (contamination.items >= 0) & (contamination.bits <= rule.contamination_bits)
    files = params.get("embeddings")
    likeness = load_alike(store_of(job.study), files["target"], files["web"]) if files else None
    alike = likeness.contaminated(candidates.ids) if likeness else None
    if alike is not None:
        shown = shown | alike[0]
    verdicts = judge(candidates, rule, shown, ~contamination.compared & (len(scored) > 0))
    copies = drop_copies(candidates, verdicts, rule)
    cap(verdicts, candidates.clips, rule.per_class_cap)
    leaks = check_leaks(job, scored, rule.contamination_bits, params.get("leak_checks", 0))
    return Judged(rule, candidates, scored, contamination, verdicts, copies, leaks, likeness, alike, target)


def within_safe_bits(rule: RuleSpec, scored: ScoredItems) -> RuleSpec:
    """The rule with distances that are safe among pictures such as the target's, where there is a target to tell."""
    if not len(scored):
        return rule
    most = safe_bits(scored)
    return replace(
        rule,
        contamination_bits=min(rule.contamination_bits, most),
        near_duplicate_bits=min(rule.near_duplicate_bits, most),
        clip_duplicate_bits=min(rule.clip_duplicate_bits, most),
    )


def _write(session: Session, job: Job, judged: Judged) -> None:
    params = job.params
    digest = params_digest(params["rule"])
    insert_missing(session, Rule, [{"sha256": digest, "params": params["rule"]}])
    rule_id = session.scalars(select(Rule.id).where(Rule.sha256 == digest)).one()
    unchecked = why_unchecked(judged)
    selection = Selection(
        name=params["name"], rule_id=rule_id, class_list_id=params["class_list"], teachers=dict(params["teachers"]),
        decontaminated=unchecked is None, packed=False, created=now(session),
        counts={**_counts(judged), "inputs": params.get("inputs", "")},
        warnings=[*params.get("warnings", []), *filter(None, [unchecked, _empty_classes(session, params, judged)])],
    )  # fmt: skip
    session.add(selection)
    session.flush()
    _write_members(session, selection.id, judged)
    _write_pairs(session, selection.id, judged)
    if params.get("pack", True):
        enqueue_packing(session, selection, job.study.section(FilterSettings), job.lease.overrides)
    job.result = {"selection": selection.id}


def _write_members(session: Session, selection_id: int, judged: Judged) -> None:
    verdicts = judged.verdicts
    ids, labels, scores = judged.candidates.ids.tolist(), verdicts.labels.tolist(), verdicts.scores.tolist()
    rows = [
        {"selection_id": selection_id, "sample_id": sample, "label": label, "score": score,
         "reason": None if reason is None else str(reason)}
        for sample, label, score, reason in zip(ids, labels, scores, verdicts.reasons, strict=True)
    ]  # fmt: skip
    if rows:
        session.connection().execute(SelectionMember.metadata.tables[SelectionMember.__tablename__].insert(), rows)


def _write_pairs(session: Session, selection_id: int, judged: Judged) -> None:
    ids, rule, found = judged.candidates.ids, judged.rule, judged.contamination
    rows: list[dict[str, Any]] = [
        {"selection_id": selection_id, "sample_id": int(ids[copy.dropped]), "other_sample_id": int(ids[copy.kept]),
         "target_item_id": None, "method": "hash", "distance": float(copy.bits)}
        for copy in judged.copies
    ]  # fmt: skip
    for row in np.flatnonzero((found.items >= 0) & (found.bits <= rule.contamination_bits)):
        rows.append(
            {"selection_id": selection_id, "sample_id": int(ids[row]), "other_sample_id": None,
             "target_item_id": int(judged.scored.ids[found.items[row]]), "method": found.methods[row],
             "distance": float(found.bits[row])}
        )  # fmt: skip
    if judged.alike is not None:
        found_alike, items, similarity = judged.alike
        rows += [
            {"selection_id": selection_id, "sample_id": int(ids[row]), "other_sample_id": None,
             "target_item_id": int(items[row]), "method": "embedding", "distance": 1.0 - float(similarity[row])}
            for row in np.flatnonzero(found_alike)
        ]  # fmt: skip
    if rows:
        session.execute(insert(DuplicatePair), rows)


def why_unchecked(judged: Judged) -> str | None:
    """Why the selection cannot count as compared with val and test; None if it can."""
    if not len(judged.scored):
        return "The target has no val or test to compare with; add it with `omnisrc target add`."
    if judged.scored.unhashed:
        return f"{judged.scored.unhashed} items of val and test have no hashes; run `omnisrc target add` again."
    return None


def _counts(judged: Judged) -> dict[str, Any]:
    counts: dict[str, Any] = {}
    for medium, chosen in (("image", ~judged.candidates.clips), ("clip", judged.candidates.clips)):
        counts[medium] = count_reasons(judged.verdicts.reasons[chosen])
    counts["target"] = {
        "state": judged.target,
        "items": len(judged.scored),
        "hashes": len(judged.scored.hashes),
        "nearest": judged.contamination.histogram,
        "contamination_bits": judged.rule.contamination_bits,
        "near_duplicate_bits": judged.rule.near_duplicate_bits,
    }
    if judged.leaks is not None:
        counts["planted_leaks"] = judged.leaks.as_counts()
    if judged.likeness is not None:
        counts["embedding"] = {"threshold": round(judged.likeness.threshold, 4), "recall": judged.likeness.recall}
    return counts


def count_reasons(reasons: NDArray[np.object_]) -> dict[str, int]:
    """`found`, `kept`, then each reason with its number."""
    counted = Counter("kept" if reason is None else str(reason) for reason in reasons)
    kept = counted.pop("kept", 0)
    return {"found": len(reasons), "kept": kept, **dict(counted.most_common())}


def _empty_classes(session: Session, params: Mapping[str, Any], judged: Judged) -> str | None:
    names = class_names(session, params["class_list"])
    kept = np.bincount(judged.verdicts.labels[judged.verdicts.kept], minlength=len(names))
    without = [name for name, count in zip(names, kept, strict=True) if count == 0]
    if not without:
        return None
    named = ", ".join(without[:10]) + (f" and {len(without) - 10} more" if len(without) > 10 else "")
    return f"{len(without)} of {len(names)} classes have no kept sample: {named}."
