from __future__ import annotations

import time
from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omnisrc.web.path_patterns import canonical_path, canonical_pattern, matches


def hits(pattern: str, path: str) -> bool:
    return matches(canonical_pattern(pattern), canonical_path(path))


def slowly(pattern: str, path: str) -> bool:
    """Section 2.2.3 of RFC 9309, word by word: try every length for every `*`."""

    @cache
    def rest(at: int, here: int) -> bool:
        if at == len(pattern):
            return True
        if pattern[at] == "$" and at == len(pattern) - 1:
            return here == len(path)
        if pattern[at] == "*":
            return any(rest(at + 1, there) for there in range(here, len(path) + 1))
        return here < len(path) and path[here] == pattern[at] and rest(at + 1, here + 1)

    return rest(0, 0)


@given(st.text("ab/*$", max_size=9), st.text("ab/", max_size=12))
def test_matching_is_what_a_slow_reading_of_the_rfc_gives(pattern: str, path: str) -> None:
    rule = canonical_pattern(pattern)
    assert matches(rule, f"/{path}") == slowly(rule.replace("%24", "§"), f"/{path}")


@pytest.mark.parametrize(
    ("pattern", "path"),
    [  # RFC 9309, section 2.2.2: the path of a rule, and what it is compared with
        ("/foo/bar?baz=quz", "/foo/bar?baz=quz"),
        ("/foo/bar?baz=https://foo.bar", "/foo/bar?baz=https%3A%2F%2Ffoo.bar"),
        ("/foo/bar/ツ", "/foo/bar/%E3%83%84"),
        ("/foo/bar/%E3%83%84", "/foo/bar/%E3%83%84"),
        ("/foo/bar/%62%61%7A", "/foo/bar/baz"),
        ("/foo/bar/%e3%83%84", "/foo/bar/%E3%83%84"),
        # section 2.2.3: special characters that are meant as they are
        ("/path/file-with-a-%2A.html", "/path/file-with-a-*.html"),
        ("/path/foo-%24", "/path/foo-$"),
        # and its examples of those that are not
        ("/allow/this/$", "/allow/this/"),
        ("/this/*/exactly", "/this/way/exactly"),
    ],
)
def test_goldens_of_the_rfc_match(pattern: str, path: str) -> None:
    assert hits(pattern, path)


@pytest.mark.parametrize(
    ("pattern", "path"),
    [
        ("/path/file-with-a-%2A.html", "/path/file-with-a-b.html"),
        ("/path/foo-%24", "/path/foo-"),
        ("/allow/this/$", "/allow/this/too"),
        ("/Case", "/case"),
        ("/a$b", "/a"),
        ("/*.gif$", "/a.gif?b"),
        ("/a%3Fb", "/a?b"),
        ("/fish*h$", "/fish"),  # a star does not give back what stood before it
        ("/a*b*b$", "/ab"),
    ],
)
def test_and_others_do_not(pattern: str, path: str) -> None:
    assert not hits(pattern, path)


def test_a_rule_cannot_be_walked_around_by_quoting() -> None:
    for path in ("/private/a", "/%70rivate/a", "/private%2Fa", "/private%2fa"):
        assert hits("/private/", path)


@pytest.mark.parametrize(
    ("pattern", "path", "matched"),
    [  # Google's table of paths, which RFC 9309 came from
        ("/fish*", "/fish.html", True), ("/fish*", "/Fish.asp", False), ("/fish/", "/fish", False),
        ("/*.php", "/folder/filename.php?parameters", True), ("/*.php", "/windows.PHP", False),
        ("/*.php$", "/filename.php?parameters", False), ("/*.php$", "/folder/any.php.file.php", True),
        ("/fish*.php", "/fishheads/catfish.php?parameters", True), ("/*", "/", True), ("*", "/x", True),
    ],
)  # fmt: skip
def test_examples_of_googles_page(pattern: str, path: str, matched: bool) -> None:
    assert hits(pattern, path) is matched


@given(st.text(), st.text())
def test_no_text_breaks_it_and_a_plain_path_matches_itself(pattern: str, path: str) -> None:
    hits(pattern, path)
    assert hits("/" + path.replace("*", "%2A").replace("$", "%24"), "/" + path)


def test_stars_by_the_hundred_take_no_time() -> None:
    began = time.process_time()
    assert not hits("/" + "a*" * 500 + "b$", "/" + "a" * 4000)
    assert not hits("/" + "*a" * 500 + "b", "/" + "a" * 4000)
    assert time.process_time() - began < 5.0
