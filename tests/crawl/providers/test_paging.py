from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from omnisrc.crawl.providers.paging import Place


def walk(results: list[int], limits: list[int], *, total: bool = True, thin: int = 0) -> tuple[list[int], int]:
    """All that comes of a service with these results, and the number of calls."""
    cursor, found, calls = "", [], 0
    while True:
        limit = limits[min(calls, len(limits) - 1)]
        place = Place.read(cursor, limit, 3, 20)
        start = (place.page - 1) * place.per_page
        page = results[start : start + place.per_page][: place.per_page - thin]
        taken, after = place.take(page, limit, len(results) if total else None)
        assert len(taken) <= limit
        found, calls = found + taken, calls + 1
        if after is None:
            return found, calls
        assert after != cursor
        cursor = after


@given(st.integers(0, 90), st.lists(st.integers(1, 40), min_size=1, max_size=5), st.booleans())
def test_every_result_comes_once_and_in_order(number: int, limits: list[int], total: bool) -> None:
    found, _ = walk(list(range(number)), limits, total=total)
    assert found == list(range(number))


@given(st.integers(1, 90), st.integers(1, 40))
def test_pages_that_come_short_lose_nothing_that_was_there(number: int, limit: int) -> None:
    per_page = max(3, min(limit, 20))
    found, _ = walk(list(range(number)), [limit], thin=1)
    assert found == [n for n in range(number) if n % per_page < per_page - 1]


def test_a_whole_page_costs_one_call() -> None:
    assert walk(list(range(60)), [20])[1] == 3
