"""Rules: which samples are kept, with which label. Plain arithmetic over columns; no teacher is needed again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from omnisrc.config import build, near
from omnisrc.errors import UserError
from omnisrc.filter.candidates import Candidates
from omnisrc.filter.settings import FilterSettings
from omnisrc.licences import LicenceRules, permitted


class Reason(StrEnum):
    """Why a sample is not kept; the first that applies, in this order."""

    ASIDE = "aside"  # it could not be decoded
    TAKEN_DOWN = "taken-down"
    UNCOMPARED = "uncompared"  # it has no hash to be compared with val and test by
    CONTAMINATED = "contaminated"  # it shows a frame of val or test
    LICENCE = "licence"
    UNASKED = "unasked"  # found for no class of this list
    UNJUDGED = "unjudged"  # the teacher has not seen it
    UNLABELLED = "unlabelled"  # not in the file of labels, or there as none of the classes
    DISAGREE = "disagree"  # the teacher's first class is none of those asked for
    PROBABILITY = "probability"
    MARGIN = "margin"
    NEAR_DUPLICATE = "near-duplicate"
    CAP = "cap"


@dataclass(frozen=True)
class RuleSpec:
    """One rule with all its parameters."""

    name: str = "agree"
    min_probability: float = 0.0
    min_margin: float = 0.0
    per_class_cap: int = 0
    licences: LicenceRules = field(default_factory=LicenceRules)
    near_duplicate_bits: int = 56
    clip_duplicate_bits: int = 31
    clip_duplicate_share: float = 0.5
    contamination_bits: int = 60
    study_licences: LicenceRules = field(default_factory=LicenceRules)  # those of the section `licences`
    labels_file: str = ""  # SHA-256 of the file of labels by hand

    @classmethod
    def of(
        cls, name: str, settings: FilterSettings, labels_file: str = "", licences: LicenceRules | None = None
    ) -> RuleSpec:
        """The rule `name` with what the settings say.

        Raises:
            UserError: there is no such rule.
        """
        if name not in RULES:
            raise UserError(f"There is no rule {name!r}.{near(name, list(RULES))}")
        return cls(
            name, settings.min_probability, settings.min_margin, settings.per_class_cap, settings.licences,
            settings.near_duplicate_bits, settings.clip_duplicate_bits, settings.clip_duplicate_share,
            settings.contamination_bits, licences or LicenceRules(), labels_file,
        )  # fmt: skip

    @classmethod
    def from_params(cls, params: dict[str, Any]) -> RuleSpec:
        """The rule that `params` wrote."""
        return build(cls, params, "rule")

    def params(self) -> dict[str, Any]:
        """As the rule table and a job hold it."""
        return asdict(self)


@dataclass
class Verdicts:
    """What becomes of N samples. `reasons` holds a Reason, or None where the sample is kept so far."""

    labels: NDArray[np.int64]
    scores: NDArray[np.float64]
    reasons: NDArray[np.object_]

    @property
    def kept(self) -> NDArray[np.bool_]:
        return np.array([reason is None for reason in self.reasons], bool)

    def drop(self, rows: NDArray[Any], reason: Reason) -> None:
        """Drops rows (a mask or numbers) that have no reason yet."""
        chosen = np.zeros(len(self.labels), bool)
        chosen[rows] = True
        self.reasons[chosen & self.kept] = reason


def agree(candidates: Candidates, rule: RuleSpec) -> Verdicts:
    """The teacher's first class is a class that was asked for: then it is the label (OmniSource's rule)."""
    judged = candidates.judgements
    agreed = judged.there & candidates.found_for(judged.top)
    asked = np.where(judged.there & (judged.asked >= 0), judged.asked, candidates.first_asked)
    asked_score = np.where(judged.there & (judged.asked >= 0), judged.asked_probability, 0.0)
    verdicts = Verdicts(
        np.where(agreed, judged.top, asked),
        np.where(agreed, judged.probability, asked_score),
        np.full(len(candidates), None, object),
    )
    verdicts.drop(candidates.first_asked < 0, Reason.UNASKED)
    verdicts.drop(~judged.there, Reason.UNJUDGED)
    verdicts.drop(~agreed, Reason.DISAGREE)
    verdicts.drop(judged.probability < rule.min_probability, Reason.PROBABILITY)
    verdicts.drop(judged.probability - judged.second < rule.min_margin, Reason.MARGIN)
    return verdicts


def keep_all(candidates: Candidates, rule: RuleSpec) -> Verdicts:
    """Every sample, with the class that it was found for at the best rank; no teacher is asked."""
    verdicts = Verdicts(candidates.first_asked.copy(), np.ones(len(candidates)), np.full(len(candidates), None, object))
    verdicts.drop(candidates.first_asked < 0, Reason.UNASKED)
    return verdicts


def by_hand(candidates: Candidates, rule: RuleSpec) -> Verdicts:
    """The samples that a file gives a label."""
    labels = np.array([candidates.hand.get(int(sample), -1) for sample in candidates.ids], np.int64)
    verdicts = Verdicts(labels, np.ones(len(candidates)), np.full(len(candidates), None, object))
    verdicts.drop(labels < 0, Reason.UNLABELLED)
    return verdicts


Judge = Callable[[Candidates, RuleSpec], Verdicts]

RULES: dict[str, Judge] = {"agree": agree, "all": keep_all, "labels": by_hand}

TEACHERLESS = ("all", "labels")
"""Rules that need no prediction."""


def judge(
    candidates: Candidates, rule: RuleSpec, contaminated: NDArray[np.bool_], uncompared: NDArray[np.bool_]
) -> Verdicts:
    """The rule's verdicts under what holds for every rule: set aside, taken down, contaminated, licence."""
    verdicts = RULES[rule.name](candidates, rule)
    later, verdicts.reasons = verdicts.reasons, np.full(len(candidates), None, object)
    verdicts.drop(candidates.aside, Reason.ASIDE)
    gone = [int(blob) not in candidates.licences for blob in candidates.blobs]
    verdicts.drop(np.array(gone, bool), Reason.TAKEN_DOWN)
    verdicts.drop(uncompared, Reason.UNCOMPARED)
    verdicts.drop(contaminated, Reason.CONTAMINATED)
    verdicts.drop(~allowed(candidates, rule), Reason.LICENCE)
    verdicts.reasons = np.where(verdicts.kept, later, verdicts.reasons)
    return verdicts


def allowed(candidates: Candidates, rule: RuleSpec) -> NDArray[np.bool_]:
    """Whether one of the assets that led to each sample has a licence that the rules allow: (N,)."""
    rules = (rule.study_licences, rule.licences)
    names = {licence for licences in candidates.licences.values() for licence in licences}
    known = {name: permitted(rules, name) for name in names}
    by_blob = {blob: any(known[name] for name in names) for blob, names in candidates.licences.items()}
    return np.array([by_blob.get(int(blob), False) for blob in candidates.blobs], bool)


def cap(verdicts: Verdicts, clips: NDArray[np.bool_], most: int) -> None:
    """Keeps the `most` best of each class and medium; of equal scores the older sample."""
    if not most:
        return
    kept = np.flatnonzero(verdicts.kept)
    groups = verdicts.labels[kept] * 2 + clips[kept]
    order = np.lexsort((kept, -verdicts.scores[kept], groups))
    starts = np.searchsorted(groups[order], groups[order], side="left")
    verdicts.drop(kept[order[np.arange(len(order)) - starts >= most]], Reason.CAP)
