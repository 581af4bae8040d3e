from dataclasses import replace

import numpy as np
import pytest

from omnisrc.errors import UserError
from omnisrc.filter.candidates import Candidates, Judgements
from omnisrc.filter.rules import Reason, RuleSpec, cap, judge
from omnisrc.filter.settings import FilterSettings
from omnisrc.licences import LicenceRules, permitted


def candidates(top, probability, asked, *, second=None, clips=None, **changes) -> Candidates:
    """Samples 1..N of three classes; `top` the teacher's first class (-1: not judged), `asked` sets of labels."""
    count = len(top)
    top = np.array(top)
    first = np.array([min(labels, default=-1) for labels in asked])
    made = Candidates(
        classes=3,
        ids=np.arange(1, count + 1),
        clips=np.array(clips or [False] * count),
        blobs=np.arange(101, 101 + count),
        aside=np.zeros(count, bool),
        packed_hashes=[None] * count,
        asked=np.array(sorted(row * 3 + label for row, labels in enumerate(asked) for label in labels), np.int64),
        first_asked=first,
        licences={101 + n: {"CC BY 4.0"} for n in range(count)},
        judgements=Judgements(
            top >= 0, top, np.array(probability), np.array(second or [0.0] * count), first, np.full(count, 0.125)
        ),
        hand={},
    )
    return replace(made, **changes)


def reasons(found: Candidates, rule: RuleSpec, contaminated=None) -> list:
    return list(judged(found, rule, contaminated).reasons)


def judged(found: Candidates, rule: RuleSpec, contaminated=None):
    none = np.zeros(len(found), bool)
    return judge(found, rule, none if contaminated is None else np.array(contaminated), none)


def test_agree_keeps_what_the_teacher_puts_first_among_the_asked_classes() -> None:
    found = candidates([0, 1, 2, -1, 0], [0.9, 0.9, 0.5, 0.0, 0.9], [{0}, {0}, {0, 2}, {1}, set()])
    verdicts = judged(found, RuleSpec())
    assert list(verdicts.reasons) == [None, Reason.DISAGREE, None, Reason.UNJUDGED, Reason.UNASKED]
    assert verdicts.labels.tolist() == [0, 0, 2, 1, -1]
    assert verdicts.scores[:3].tolist() == [0.9, 0.125, 0.5]


def test_probability_and_margin_have_their_own_reasons() -> None:
    found = candidates([0, 0, 0], [0.3, 0.6, 0.6], [{0}] * 3, second=[0.1, 0.35, 0.1])
    rule = RuleSpec(min_probability=0.5, min_margin=0.3)
    assert reasons(found, rule) == [Reason.PROBABILITY, Reason.MARGIN, None]


def test_what_holds_for_every_rule_goes_before_the_rule() -> None:
    found = candidates(
        [0] * 5, [0.9] * 5, [{1}] * 5,
        aside=np.array([True, False, False, False, False]),
        licences={101: {"CC0"}, 103: {"CC0"}, 104: {"CC BY-ND 2.0"}, 105: {"CC0"}},
    )  # fmt: skip
    rule = RuleSpec(licences=LicenceRules(deny=("*ND*",)))
    expected = [Reason.ASIDE, Reason.TAKEN_DOWN, Reason.CONTAMINATED, Reason.LICENCE, Reason.DISAGREE]
    assert reasons(found, rule, [False, False, True, False, False]) == expected


@pytest.mark.parametrize(
    ("licence", "rules", "expected"),
    [
        ("CC BY-SA 4.0", LicenceRules(), True),
        ("CC BY-SA 4.0", LicenceRules(allow=("cc-by*",)), True),
        ("cc_by_nc_2.0", LicenceRules(allow=("CC BY*",), deny=("*NC*",)), False),
        ("Public domain", LicenceRules(allow=("CC*",)), False),
    ],
)
def test_licence_patterns_fit_whatever_the_spelling(licence: str, rules: LicenceRules, expected: bool) -> None:
    assert permitted([rules], licence) is expected


def test_a_sample_is_allowed_if_one_of_its_assets_is() -> None:
    found = candidates([0, 0, 0], [0.9] * 3, [{0}] * 3, licences={101: {None, "CC0"}, 102: {None}, 103: {"ARR"}})
    rule = RuleSpec(licences=LicenceRules(allow=("CC0",), unknown="drop"))
    assert reasons(found, rule) == [None, Reason.LICENCE, Reason.LICENCE]
    rule = RuleSpec(licences=LicenceRules(allow=("CC0",), unknown="keep"))
    assert reasons(found, rule) == [None, None, Reason.LICENCE]


def test_all_takes_the_class_of_the_best_rank_and_needs_no_teacher() -> None:
    found = candidates([-1, -1], [0.0, 0.0], [{1, 2}, set()], first_asked=np.array([2, -1]))
    verdicts = judged(found, RuleSpec("all"))
    assert verdicts.labels.tolist() == [2, -1] and list(verdicts.reasons) == [None, Reason.UNASKED]


def test_labels_by_hand_decide_alone() -> None:
    found = candidates([0, 0, 0], [0.9] * 3, [{0}] * 3, hand={1: 2, 2: -1})
    verdicts = judged(found, RuleSpec("labels"))
    assert verdicts.labels.tolist() == [2, -1, -1]
    assert list(verdicts.reasons) == [None, Reason.UNLABELLED, Reason.UNLABELLED]


def test_the_cap_keeps_the_best_of_each_class_and_medium() -> None:
    found = candidates(
        [0, 0, 0, 0, 1], [0.5, 0.9, 0.9, 0.1, 0.2], [{0}] * 4 + [{1}], clips=[False, False, False, True, False]
    )
    verdicts = judged(found, RuleSpec())
    cap(verdicts, found.clips, 2)
    assert list(verdicts.reasons) == [Reason.CAP, None, None, None, None]
    cap(verdicts, found.clips, 1)
    assert list(verdicts.reasons) == [Reason.CAP, None, Reason.CAP, None, None]


def test_a_rule_survives_the_job_that_carries_it() -> None:
    settings = FilterSettings(min_margin=0.25, licences=LicenceRules(allow=("CC0", "CC BY*"), unknown="drop"))
    rule = RuleSpec.of("agree", settings)
    assert RuleSpec.from_params(rule.params()) == rule


def test_an_unknown_rule_is_a_sentence_with_near_matches() -> None:
    with pytest.raises(UserError, match="agree"):
        RuleSpec.of("agrees", FilterSettings())
