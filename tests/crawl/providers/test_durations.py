from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omnisrc.crawl.providers.durations import iso_seconds

PART = st.one_of(st.none(), st.integers(0, 10**6))


@given(PART, PART, PART, PART)
def test_a_duration_is_read_back(days: int | None, hours: int | None, minutes: int | None, seconds: int | None) -> None:
    date = f"{days}D" if days is not None else ""
    time = "".join(f"{n}{unit}" for n, unit in ((hours, "H"), (minutes, "M"), (seconds, "S")) if n is not None)
    text = "P" + date + (f"T{time}" if time else "")
    wanted = (days or 0) * 86400 + (hours or 0) * 3600 + (minutes or 0) * 60 + (seconds or 0)
    assert iso_seconds(text) == (wanted if date or time else None)


@pytest.mark.parametrize(
    ("text", "seconds"), [("PT1H2M3S", 3723), ("PT15M51S", 951), ("P1DT1S", 86401), ("P2W", 1209600), ("PT1.5S", 1.5)]
)
def test_known_durations(text: str, seconds: float) -> None:
    assert iso_seconds(text) == seconds


@given(st.text())
def test_other_texts_are_none_or_a_number(text: str) -> None:
    found = iso_seconds(text)
    assert found is None or found >= 0


@pytest.mark.parametrize("text", ["", "P", "PT", "P1DT", "1H", "PT1H2", "PT1S1M", "P1Y", "pt1s", "PT-1S", "PT1S "])
def test_what_is_no_duration_is_none(text: str) -> None:
    assert iso_seconds(text) is None
