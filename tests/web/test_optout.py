from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict

from omnisrc.web.optout import opt_out, robots_tag_directives


def headers(*values: str) -> CIMultiDict[str]:
    return CIMultiDict([("x-robots-tag", value) for value in values])


@pytest.mark.parametrize(
    "values",
    [
        ["noai"], ["NoAI, NoImageAI"], ["noimageai"], ["noindex"], ["none"], ["noml"], ["nofollow, noindex"],
        ["omnisrc: noai"], ["OmniSrc: nofollow, noai"], ["*: noai"], ["nosnippet", "noai"],
        ["otherbot: noindex, omnisrc: noai"], ["unavailable_after: 25 Jun 2030 15:00:00 PST, noai"],
        ["max-image-preview: large, noimageindex"],
    ],
)  # fmt: skip
def test_a_refusal_that_addresses_us_is_heard(values: list[str]) -> None:
    found = opt_out(headers(*values), "omnisrc")
    assert found is not None and found.signal == "x-robots-tag"
    assert found.evidence in values


@pytest.mark.parametrize(
    "values",
    [
        [], ["all"], ["nofollow"], ["nosnippet, noarchive"], ["otherbot: noai"], ["otherbot: noindex, noai"],
        ["max-snippet: 20"], ["unavailable_after: Wednesday, 25-Jun-2030 15:00:00 PST"], ["noaiplease"],
        ["omnisrc2: noai"],
        ["omnisrc: all, otherbot: none"],
    ],
)  # fmt: skip
def test_other_directives_and_other_agents_are_no_refusal(values: list[str]) -> None:
    assert opt_out(headers(*values), "omnisrc") is None


def test_a_scope_holds_to_the_end_of_its_header_value_and_no_further() -> None:
    found = robots_tag_directives(["otherbot: noindex, nofollow", "noarchive"], "omnisrc")
    assert [directive for directive, _ in found] == ["noarchive"]


@given(st.lists(st.text(st.characters(codec="latin-1", exclude_characters="\r\n")), max_size=4))
def test_no_header_breaks_the_reader(values: list[str]) -> None:
    found = opt_out(headers(*values), "omnisrc")
    assert found is None or found.directive in found.evidence.lower() or len(found.evidence) == 500


@given(
    st.sampled_from(["noai", "noimageai", "noml", "none"]), st.lists(st.sampled_from(["all", "nofollow", "noarchive"]))
)
def test_a_refusal_is_heard_wherever_it_stands(directive: str, others: list[str]) -> None:
    for place in range(len(others) + 1):
        value = ", ".join([*others[:place], directive.upper(), *others[place:]])
        assert opt_out(headers(value), "omnisrc") is not None
