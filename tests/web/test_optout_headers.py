from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict

from omnisrc.web.optout_headers import header_opt_out, robots_tag_directives

US = ("omnisrc",)


def headers(*values: str, name: str = "x-robots-tag") -> CIMultiDict[str]:
    return CIMultiDict([(name, value) for value in values])


@pytest.mark.parametrize(
    "values",
    [
        ["noai"], ["NoAI, NoImageAI"], ["noimageai"], ["noindex"], ["none"], ["noml"], ["nofollow, noindex"],
        ["omnisrc: noai"], ["OmniSrc: nofollow, noai"], ["*: noai"], ["nosnippet", "noai"],
        ["otherbot: noindex, omnisrc: noai"], ["omnisrc/1.0: noai"],
        ["unavailable_after: 25 Jun 2030, 15:00:00 PST, noai"], ["max-snippet:-1, max-image-preview:large, noai"],
        ["omnisrc: unavailable_after: 25 Jun 2030 15:00:00 PST, noai"], ["otherbot: noindex", "omnisrc: noai"],
        ["unavailable_after: 25 Jun 2030 15:00:00 PST, noai"],
        ["max-image-preview: large, noimageindex"],
    ],
)  # fmt: skip
def test_a_refusal_that_addresses_us_is_heard(values: list[str]) -> None:
    found = header_opt_out(headers(*values), US)
    assert found is not None and found.signal == "x-robots-tag"
    assert found.said in values


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
    assert header_opt_out(headers(*values), US) is None


def test_a_scope_holds_to_the_end_of_its_header_value_and_no_further() -> None:
    found = robots_tag_directives(["otherbot: noindex, nofollow", "noarchive"], US)
    assert [directive for directive, _ in found] == ["noarchive"]


@given(
    st.sampled_from(["noai", "noimageai", "noml", "none"]), st.lists(st.sampled_from(["all", "nofollow", "noarchive"]))
)
def test_a_refusal_is_heard_wherever_it_stands(directive: str, others: list[str]) -> None:
    for place in range(len(others) + 1):
        value = ", ".join([*others[:place], directive.upper(), *others[place:]])
        assert header_opt_out(headers(value), US) is not None


def test_further_agents_are_addressed_by_their_names() -> None:
    assert header_opt_out(headers("GPTBot: noai"), US) is None
    found = header_opt_out(headers("GPTBot: noai"), ("omnisrc", "gptbot"))
    assert found is not None and (found.directive, found.said) == ("noai", "GPTBot: noai")


@pytest.mark.parametrize("value", ["1", " 1 "])
def test_a_tdm_reservation_is_heard_with_its_policy(value: str) -> None:
    given = CIMultiDict([("TDM-Reservation", value), ("tdm-policy", "https://example.com/policy.json")])
    found = header_opt_out(given, US)
    assert found is not None and found.signal == "tdm-reservation"
    assert found.said == "1; tdm-policy: https://example.com/policy.json"


def test_no_reservation_is_none_and_a_policy_alone_reserves_nothing() -> None:
    assert header_opt_out(headers("0", name="tdm-reservation"), US) is None
    assert header_opt_out(headers("https://example.com/p", name="tdm-policy"), US) is None


@pytest.mark.parametrize("name", ["Content-Usage", "Content-Signal"])
def test_a_usage_preference_is_heard(name: str) -> None:
    found = header_opt_out(headers("search=y", "train-ai=n", name=name), US)
    assert found is not None and (found.signal, found.directive) == (name.lower(), "train-ai=n")
    assert header_opt_out(headers("search=n, train-ai=y", name=name), US) is None


@given(
    st.sampled_from(["x-robots-tag", "tdm-reservation", "tdm-policy", "content-usage", "content-signal"]),
    st.lists(st.text(st.characters(codec="latin-1", exclude_characters="\r\n")), max_size=4),
)
def test_no_header_of_any_name_breaks_a_reader(name: str, values: list[str]) -> None:
    found = header_opt_out(headers(*values, name=name), US)
    assert found is None or (found.signal in name and len(found.said) <= 500)
