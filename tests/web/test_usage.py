from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omnisrc.web.usage import CATEGORIES, preferences, refused_category


@pytest.mark.parametrize(
    "text",
    [
        "train-ai=n", "search=y, train-ai=n", "TRAIN-AI = N", "all=n", "bots=n", "tdm=n", "ai=n", "train-ai=n;p=1",
        "train-ai=y, all=n", 'exceptions="a, b;c", train-ai=n', "train-ai=?0", 'train-ai="n"', "ai-train=no",
        'search=y;why="a, train-ai=y", train-ai=n', "search=yes,ai-train=no", ",,train-ai=n",
    ],
)  # fmt: skip
def test_a_refusal_is_heard(text: str) -> None:
    assert refused_category(text) is not None


@pytest.mark.parametrize(
    "text",
    [
        "", "train-ai=y", "train-ai", "search=n", "train-genai=n", "train-ai=nn", "no", 'search="train-ai=n"',
        'search=y;why="a, train-ai=n"', "search=y;train-ai=n", "xtrain-ai=n", "=n", 'x="open, train-ai=n',
    ],
)  # fmt: skip
def test_what_refuses_something_else_or_nothing_is_none(text: str) -> None:
    assert refused_category(text) is None


def test_pairs_are_read_without_their_parameters() -> None:
    assert preferences('a=1;x="y, z", b="c d" , c') == [("a", "1"), ("b", "c d"), ("c", "")]


@given(st.text())
def test_no_text_breaks_the_reader(text: str) -> None:
    refused_category(text)


@given(st.sampled_from(sorted(CATEGORIES)), st.lists(st.from_regex(r"[a-z]{1,5}=[yn0-9]", fullmatch=True), max_size=4))
def test_a_refusal_is_heard_wherever_it_stands(category: str, others: list[str]) -> None:
    for place in range(len(others) + 1):
        assert refused_category(", ".join([*others[:place], f"{category}=n", *others[place:]])) is not None
