from __future__ import annotations

import json
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from omnisrc.crawl.queries import OpenQuery, Scope, shares
from omnisrc.crawl.windows import Window


def query(number: int, class_id: int = 1, kind: str = "image", finds: int = 0) -> OpenQuery:
    return OpenQuery(number, class_id, f"p{number}", kind, 0, finds)


def asked(queries: list[OpenQuery], have: dict, per_class: dict, busy: dict | None = None) -> dict[int, int]:
    return {query.id: more for query, more in shares(queries, have, per_class, busy or {})}


def test_a_scope_can_be_written_down() -> None:
    scope = Scope(
        3,
        {"flickr": ("image", "video"), "table": ("image",)},
        {"image": 5},
        frozenset({"flickr"}),
        Window(1e9, 2e9),
        True,
    )
    assert Scope.read(3, json.loads(json.dumps(scope.as_plain()))) == scope


def test_what_a_class_lacks_is_split_evenly_over_its_providers() -> None:
    assert asked([query(1), query(2), query(3)], {}, {"image": 100}) == {1: 34, 2: 34, 3: 34}


def test_what_is_in_hand_counts() -> None:
    assert asked([query(1), query(2)], {(1, "image"): 90}, {"image": 100}) == {1: 5, 2: 5}


def test_a_class_that_has_enough_asks_no_more() -> None:
    queries = [query(1), query(2, class_id=2), query(3, kind="video")]
    assert asked(queries, {(1, "image"): 100, (2, "image"): 130}, {"image": 100, "video": 7}) == {3: 7}


def test_a_small_gap_goes_to_those_that_gave_the_least() -> None:
    queries = [query(1, finds=50), query(2, finds=10), query(3, finds=30)]
    assert asked(queries, {(1, "image"): 98}, {"image": 100}) == {2: 1, 3: 1}


def test_what_is_expected_of_an_answer_under_way_is_asked_of_nobody_else() -> None:
    queries = [query(1), query(2), query(3), query(4, class_id=2)]
    assert asked(queries, {}, {"image": 10}, {2: 10}) == {4: 10}
    assert asked(queries, {}, {"image": 10}, {2: 4}) == {1: 3, 3: 3, 4: 10}
    assert asked(queries, {(1, "image"): 6}, {"image": 10}, {2: 4}) == {4: 10}


def test_a_provider_that_is_held_up_starves_nobody() -> None:
    assert asked([query(1), query(2)], {}, {"image": 10}, {2: 0}) == {1: 10}


def test_a_provider_has_one_share_however_many_windows_it_has_and_its_newest_comes_first() -> None:
    old, new = query(1), replace(query(2), provider="p1", window="2026-01-01T00:00:00Z/")
    other = query(3)
    assert asked([old, new, other], {}, {"image": 10}) == {2: 5, 3: 5}
    assert asked([old, new, other], {}, {"image": 10}, {1: 5}) == {3: 5}, "it is being asked"
    assert asked([old, other], {}, {"image": 10}) == {1: 5, 3: 5}, "when the new is exhausted, the old goes on"
    assert asked([other], {}, {"image": 10}) == {3: 10}, "an exhausted provider's share goes to the others"


@given(st.lists(st.integers(0, 200), min_size=1, max_size=5), st.integers(0, 300), st.integers(1, 300))
def test_the_gap_is_filled_and_overshot_by_less_than_one_for_each_provider(
    finds: list[int], have: int, want: int
) -> None:
    queries = [query(at, finds=count) for at, count in enumerate(finds)]
    total = sum(asked(queries, {(1, "image"): have}, {"image": want}).values())
    lacking = max(0, want - have)
    assert lacking <= total < lacking + len(queries)
