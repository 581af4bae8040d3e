from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omnisrc.web.tdmrep import parse_tdmrep, reserving

POLICY = "https://example.com/policies/policy.json"
FILE = json.dumps(
    [
        {"location": "/images/*", "tdm-reservation": 1, "tdm-policy": POLICY},
        {"location": "/images/open/", "tdm-reservation": 0},
        {"location": "/*.mp4$", "tdm-reservation": "1"},
        {"location": "/both", "tdm-reservation": 0},
        {"location": "/both", "tdm-reservation": 1},
    ]
)


@pytest.mark.parametrize(
    ("path", "reserved"),
    [
        ("/images/a.jpg", True), ("/images/open/a.jpg", False), ("/a", False), ("/v/a.mp4", True),
        ("/v/a.mp4?b", False), ("/both", True), ("/images", False),
    ],
)  # fmt: skip
def test_the_longest_location_decides(path: str, reserved: bool) -> None:
    assert (reserving(parse_tdmrep(FILE), path) is not None) is reserved


def test_a_reservation_is_told_with_its_policy() -> None:
    found = reserving(parse_tdmrep(FILE), "/images/a.jpg")
    assert found is not None and POLICY in found.written


@pytest.mark.parametrize(
    "text",
    ["", "<html>", "[]", "{}", "null", "[1, null, [], {}]", '[{"location": 5, "tdm-reservation": 1}]', "[" * 10**5],
)
def test_a_file_that_says_nothing_reserves_nothing(text: str) -> None:
    assert reserving(parse_tdmrep(text), "/a") is None


def test_one_object_without_a_list_counts() -> None:
    assert reserving(parse_tdmrep('{"location": "/", "tdm-reservation": 1}'), "/a") is not None


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text() | st.integers(),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["location", "tdm-reservation", "x"]), inner),
    max_leaves=8,
)


@given(JSON, st.text())
def test_no_json_breaks_the_reader(data: object, path: str) -> None:
    reserving(parse_tdmrep(json.dumps(data)), f"/{path}")
