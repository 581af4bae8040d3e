from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omnisrc.crawl.providers.numbers import seconds, whole


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("75.25", 75.25), ("1:15.25", 75.25), ("0:01:15", 75.0), ("1:02:03", 3723.0), (" 12 ", 12.0), (12, 12.0),
        (0.5, 0.5), ("0", None), ("00:00", None), (0, None), (-1, None), ("-1", None), ("", None), (None, None),
        ("1:2:3:4", None), ("a minute", None), ("1h", None), ("nan", None), ("inf", None), (math.nan, None),
        (math.inf, None), (True, None), ("١٢", None), ([], None), ("1:", None), (":30", None),
    ],
)  # fmt: skip
def test_a_length_is_seconds_however_it_is_written(value: object, expected: float | None) -> None:
    assert seconds(value) == expected


@given(st.integers(0, 99), st.integers(0, 59), st.integers(1, 59))
def test_a_clock_and_its_seconds_agree(hours: int, minutes: int, left: int) -> None:
    total = 3600 * hours + 60 * minutes + left
    assert seconds(f"{hours}:{minutes:02}:{left:02}") == seconds(str(total)) == seconds(total) == total
    assert seconds(f"{60 * hours + minutes}:{left:02}") == total


@given(st.text() | st.floats() | st.integers() | st.none() | st.booleans() | st.lists(st.text()))
def test_whatever_comes_is_a_number_over_0_or_nothing(value: object) -> None:
    length, number = seconds(value), whole(value)
    assert length is None or (isinstance(length, float) and 0 < length < math.inf)
    assert number is None or (type(number) is int and number > 0)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("640", 640), (640, 640), (640.0, 640), (" 7 ", 7), ("0", None), (0, None), (-3, None), ("-3", None),
        ("640.5", None), (1.5, None), (True, None), (None, None), ("", None), ("9" * 30, None), ("²", None),
        ("١٢", None),
    ],
)  # fmt: skip
def test_a_size_is_a_whole_number_over_0(value: object, expected: int | None) -> None:
    assert whole(value) == expected
