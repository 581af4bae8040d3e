from __future__ import annotations

from omnisrc.crawl.providers.sizes import Version, near_version, objects, text_of, whole

LADDER = [Version("s", 240, 180), Version("m", 400, 300), Version("l", 800, 600), Version("o", 4000, 3000)]


def test_the_smallest_version_that_is_near_is_taken_else_the_largest() -> None:
    chosen = {side: near_version(LADDER, side) for side in (100, 320, 360, 9000)}
    assert {side: one.url for side, one in chosen.items() if one} == {100: "s", 320: "m", 360: "l", 9000: "o"}


def test_versions_without_a_url_are_none_and_those_without_a_size_the_last_resort() -> None:
    assert near_version([Version("", 400, 300)], 320) is None and near_version([], 320) is None
    assert near_version([Version("unknown"), Version("s", 240, 180)], 320) == Version("s", 240, 180)
    assert near_version([Version("unknown")], 320) == Version("unknown")


def test_of_two_of_one_size_the_lighter_is_taken() -> None:
    assert near_version([Version("a", 400, 300, 9), Version("b", 400, 300, 5)], 320) == Version("b", 400, 300, 5)


def test_odd_values_are_no_values() -> None:
    assert [whole(value) for value in ("480", 480, None, "x", -3, [], float("inf"), 10**30)] == [480, 480] + [0] * 6
    assert [text_of(value) for value in (" a ", "", None, 5, {"_content": "a"})] == ["a", None, None, None, None]
    assert objects([{"a": 1}, 3, None]) == [{"a": 1}] and objects({"a": 1}) == objects(None) == []
