from __future__ import annotations

from email.utils import formatdate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omnisrc.web.retry_after import LONGEST_S, parse_retry_after

NOW = 1_790_000_000.0


@pytest.mark.parametrize(
    ("value", "seconds"), [("0", 0.0), ("120", 120.0), (" 7 ", 7.0), ("1.5", 1.5), ("999999999999", LONGEST_S)]
)
def test_seconds(value: str, seconds: float) -> None:
    assert parse_retry_after(value, now=NOW) == seconds


@pytest.mark.parametrize("form", [lambda t: formatdate(t, usegmt=True), lambda t: formatdate(t)])
def test_a_date_is_the_time_until_then(form) -> None:
    assert parse_retry_after(form(NOW + 90), now=NOW) == 90.0
    assert parse_retry_after(form(NOW - 90), now=NOW) == 0.0


def test_a_date_is_measured_by_the_servers_clock() -> None:
    server = NOW - 3600
    value = formatdate(server + 30, usegmt=True)
    assert parse_retry_after(value, server_date=formatdate(server, usegmt=True), now=NOW) == 30.0


def test_the_two_old_date_forms_are_read() -> None:
    assert parse_retry_after("Sunday, 06-Nov-94 08:49:37 GMT", now=784111777.0 - 5) == 5.0
    assert parse_retry_after("Sun Nov  6 08:49:37 1994", now=784111777.0 - 5) == 5.0


@pytest.mark.parametrize("value", [None, "", "soon", "-5", "1e3", "Wed, 99 Foo 2020", "٣"])
def test_what_cannot_be_read_is_none(value: str | None) -> None:
    assert parse_retry_after(value, now=NOW) is None


@given(st.text(max_size=40))
def test_no_text_raises_and_every_answer_is_within_a_day(value: str) -> None:
    seconds = parse_retry_after(value, now=NOW)
    assert seconds is None or 0.0 <= seconds <= LONGEST_S
