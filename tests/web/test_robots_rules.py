from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omnisrc.web.robots_rules import parse_robots
from tests.web.test_path_patterns import slowly

US = ("omnisrc",)


def allowed(text: str, path: str, *agents: str) -> bool:
    return parse_robots(text).disallowing(path, agents or US) is None


SIMPLE = """
User-Agent: *
Disallow: *.gif$
Disallow: /example/
Allow: /publications/

User-Agent: foobot
Disallow:/
Allow:/example/page.html
Allow:/example/allowed.gif

User-Agent: barbot
User-Agent: bazbot
Disallow: /example/page.html

User-Agent: quxbot
"""


@pytest.mark.parametrize(
    ("agent", "path", "fine"),
    [  # RFC 9309, section 5.1
        ("foobot", "/example/page.html", True), ("foobot", "/example/allowed.gif", True), ("foobot", "/other", False),
        ("barbot", "/example/page.html", False), ("barbot", "/example/other", True), ("bazbot", "/a.gif", True),
        ("bazbot", "/example/page.html", False), ("quxbot", "/example/", True), ("quxbot", "/a.gif", True),
        ("omnisrc", "/example/", False), ("omnisrc", "/a.gif", False), ("omnisrc", "/publications/", True),
        ("omnisrc", "/publications/a.gif", True), ("omnisrc", "/other", True), ("omnisrc", "/a.gif?b", True),
    ],
)  # fmt: skip
def test_the_simple_example_of_the_rfc(agent: str, path: str, fine: bool) -> None:
    assert allowed(SIMPLE, path, agent) is fine


def test_the_longest_match_of_the_rfc() -> None:
    text = "User-Agent: foobot\nAllow: /example/page/\nDisallow: /example/page/disallowed.gif\n"
    assert not allowed(text, "/example/page/disallowed.gif", "foobot")
    assert allowed(text, "/example/page/allowed.gif", "foobot")


def test_groups_of_one_agent_are_merged_as_in_the_rfc() -> None:
    text = """
    user-agent: ExampleBot
    disallow: /foo
    disallow: /bar

    user-agent: OtherBot
    disallow: /x

    user-agent: ExampleBot
    disallow: /baz
    """
    assert [allowed(text, path, "examplebot") for path in ("/foo", "/bar", "/baz", "/x")] == [False] * 3 + [True]


def test_allow_wins_among_equals() -> None:
    for lines in ("Allow: /a\nDisallow: /a", "Disallow: /a\nAllow: /a"):
        assert allowed(f"User-agent: *\n{lines}", "/a")


def test_a_record_that_is_no_rule_ends_no_list_of_agents() -> None:
    for record in ("Sitemap: https://a/b", "Unknown: x", "Crawl-delay: 5", "# words", ""):
        text = f"User-agent: omnisrc\n{record}\nUser-agent: other\nDisallow: /a\n"
        assert not allowed(text, "/a") and not allowed(text, "/a", "other")


@pytest.mark.parametrize("named", ["omnisrc", "OmniSrc", "omnisrc/1.0", "omnisrc # us", "  omnisrc  "])
def test_our_token_is_found_in_any_case_and_with_a_version(named: str) -> None:
    assert not allowed(f"User-agent: {named}\nDisallow: /\n", "/a")


@pytest.mark.parametrize("named", ["omnisrc2", "omni", "omnisrc-images", "notomnisrc", ""])
def test_other_tokens_are_not_ours(named: str) -> None:
    assert allowed(f"User-agent: {named}\nDisallow: /\n", "/a")


def test_a_group_for_us_replaces_that_for_everybody_even_when_it_is_empty() -> None:
    assert allowed("User-agent: *\nDisallow: /\n\nUser-agent: omnisrc\nDisallow:\n", "/a")


def test_a_group_for_an_ai_crawler_binds_us_only_where_it_is_named_to_us() -> None:
    text = "User-agent: GPTBot\nUser-agent: CCBot\nDisallow: /\n\nUser-agent: *\nDisallow: /x\n"
    assert allowed(text, "/a") and not allowed(text, "/x")
    assert not allowed(text, "/a", "omnisrc", "gptbot") and not allowed(text, "/x", "omnisrc", "gptbot")
    assert allowed(text, "/a", "omnisrc", "ClaudeBot")


def test_rules_before_any_agent_and_lines_that_are_none_do_not_count() -> None:
    assert allowed("Disallow: /\nUser-agent: *\nnonsense\nDisallow\n: /\n", "/a")


def test_the_file_itself_is_always_allowed() -> None:
    assert allowed("User-agent: *\nDisallow: /\n", "/robots.txt")


def test_every_end_of_line_counts_and_no_other_character() -> None:
    assert not allowed("User-agent: *\rDisallow: /a\r\nDisallow: /b\n", "/b")
    assert not allowed("\ufeffUser-agent: *\nDisallow: /a\x0b\u2028b\n", "/a%0B%E2%80%A8b")
    assert allowed("User-agent: *\nDisallow: /a\u2028Disallow: /b\n", "/b")


@pytest.mark.parametrize(
    ("text", "delay"), [("5", 5.0), ("0.5", 0.5), ("nan", None), ("-1", None), ("1e9", None), ("", None), ("0", None)]
)
def test_a_crawl_delay_is_a_number_of_seconds(text: str, delay: float | None) -> None:
    assert parse_robots(f"User-agent: *\nCrawl-delay: {text}\n").delay_s(US) == delay


def test_what_says_no_is_told_with_its_line() -> None:
    found = parse_robots("User-agent: *\n\nDisallow: /a  # no\n").disallowing("/a/b", US)
    assert found is not None and found[0].agent == "*" and found[1].said == "line 3: Disallow: /a"


USAGE = """User-agent: *
Allow: /
Content-Usage: train-ai=n
Content-Usage: /open/ train-ai=y
Content-Usage: /open/not/ search=y, train-ai=n
"""


@pytest.mark.parametrize(("path", "kept"), [("/a", True), ("/open/a", False), ("/open/not/a", True)])
def test_a_usage_preference_holds_for_the_longest_path(path: str, kept: bool) -> None:
    found = parse_robots(USAGE).opting_out(path, US)
    assert (found is not None) is kept


def test_of_equally_long_preferences_the_most_restrictive_wins() -> None:
    for lines in ("Content-Usage: train-ai=y\nContent-Usage: train-ai=n", "Content-Usage: bots=n\nContent-Usage: ai=y"):
        assert parse_robots(f"User-agent: *\n{lines}").opting_out("/a", US) is not None


def test_preferences_belong_to_their_group_and_forbid_no_access() -> None:
    text = "User-agent: other\nContent-Usage: train-ai=n\n\nUser-agent: *\nContent-Signal: search=yes,ai-train=no\n"
    rules = parse_robots(text)
    assert rules.opting_out("/", US) is not None and rules.disallowing("/", US) is None
    assert parse_robots("User-agent: other\nContent-Usage: train-ai=n").opting_out("/", US) is None
    assert parse_robots("User-agent: *\nContent-Usage: search=n").opting_out("/", US) is None


def slow_verdict(lines: list[str], path: str) -> bool:
    """May `omnisrc` fetch: groups, merging and precedence, read as plainly as can be."""
    groups: list[tuple[list[str], list[tuple[str, str]]]] = []
    for line in lines:
        key, _, value = line.partition(": ")
        if key == "User-agent":
            if not groups or groups[-1][1]:
                groups.append(([], []))
            groups[-1][0].append(value)
        elif key in ("Allow", "Disallow") and groups:
            groups[-1][1].append((key, value))
    ours = [rules for names, rules in groups if "omnisrc" in names]
    every = [rules for names, rules in groups if "*" in names]
    best = (-1, True)
    for rules in ours or every:
        for key, value in rules:
            if value and slowly(value, path):
                best = max(best, (len(value), key == "Allow"))
    return best[1]


LINES = st.one_of(
    st.sampled_from(["User-agent: omnisrc", "User-agent: *", "User-agent: other", "Sitemap: x"]),
    st.builds(
        "{}: {}".format,
        st.sampled_from(["Allow", "Disallow"]),
        st.from_regex(re.compile(r"(/[ab*/]{0,5}\$?)?"), fullmatch=True).filter(lambda text: text.isascii()),
    ),
)


@given(st.lists(LINES, max_size=12), st.text("ab/", max_size=6))
def test_verdicts_are_those_of_a_slow_reading(lines: list[str], path: str) -> None:
    assert allowed("\n".join(lines), f"/{path}") == slow_verdict(lines, f"/{path}")


@given(st.text())
def test_no_text_breaks_the_reader(text: str) -> None:
    rules = parse_robots("User-agent: *\nDisallow: " + text + "\nContent-Usage: " + text)
    rules.disallowing("/a", US)
    rules.opting_out("/a", US)
    parse_robots(text)
