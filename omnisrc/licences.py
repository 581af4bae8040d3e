"""Licences: their names in one spelling, from URLs, codes and the words of services; and the rules for them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Literal


@dataclass(frozen=True)
class LicenceRules:
    """Which licences may be used. `CC BY*` fits in any spelling; `*` fits anything. Those of a stage narrow those of
    the section `licences`."""

    allow: tuple[str, ...] = ()  # empty: all that are not denied
    deny: tuple[str, ...] = ()  # goes before allow
    unknown: Literal["keep", "drop"] = "keep"  # what has no licence


_URL = re.compile(
    r"(?:https?:)?//(?:www\.)?creativecommons\.org/"
    r"(?:(?P<kind>licenses|publicdomain)/(?P<code>[a-z+-]+)(?:/(?P<version>\d\.\d))?(?:/|$)|(?P<old>publicdomain)/?$)",
    re.IGNORECASE,
)
_CODES = {"by", "by-sa", "by-nc", "by-nd", "by-nc-sa", "by-nc-nd", "by-nd-nc", "sa", "nc", "nd", "nc-sa", "nd-nc"}
_MARKS = {"zero": "cc0", "mark": "pdm", "publicdomain": "pdm"}
_MARK_NAMES = {"cc0": "CC0", "pdm": "Public Domain Mark"}


def licence_name(code: str, version: str | None = None) -> str | None:
    """`by-sa`, `4.0` -> `CC BY-SA 4.0`; `cc0`, `1.0` -> `CC0 1.0`. None without a code; others as they are."""
    code = code.strip().lower()
    if not code:
        return None
    name = _MARK_NAMES.get(code) or (f"CC {code.upper()}" if code in _CODES else code)
    return f"{name} {version}" if version else name


def licence_of_url(url: str | None) -> str | None:
    """`https://creativecommons.org/licenses/by-sa/4.0/deed.de` -> `CC BY-SA 4.0`; None where the URL is no such."""
    found = _URL.match((url or "").strip())
    if found is None:
        return None
    if found["old"]:
        return "Public domain"
    code, version = found["code"].lower(), found["version"]
    if found["kind"].lower() == "publicdomain":
        return licence_name(_MARKS[code], version) if code in _MARKS else None
    if code in _MARKS:
        return "Public domain"
    return licence_name(code, version) if code in _CODES else None


def is_open(url: str | None) -> bool:
    """Whether a URL names a Creative Commons licence or the public domain."""
    return licence_of_url(url) is not None


_NONE = {"", "unknown", "none", "null", "n/a"}
_LICENCE = re.compile(r"\blicen[cs]e\b")
_WORDS = (
    (re.compile(r"creative commons"), "cc"),
    (re.compile(r"attribution"), "by"),
    (re.compile(r"share ?alike"), "sa"),
    (re.compile(r"non ?commercial"), "nc"),
    (re.compile(r"no ?deriv(ative)?s?( works)?"), "nd"),
    (re.compile(r"\b(international|unported|generic)\b"), ""),
)
_PARTS = ("by", "nc", "nd", "sa")
_CC = re.compile(
    r"(?:cc )?(?P<parts>(?:by|nc|nd|sa)(?: (?:by|nc|nd|sa))*)(?: (?P<version>\d\.\d))?(?P<rest> [a-z]{2,3})?"
)
_CC0 = re.compile(
    r"(?:cc )?(?:cc ?0|cc zero|zero)(?: (?P<version>\d\.\d))?(?: universal)?(?: public domain dedication)?"
)
_PDM = re.compile(r"(?:cc )?(?:pdm|public domain mark)(?: (?P<version>\d\.\d))?")


def canonical(licence: str | None, url: str | None = None) -> str:
    """One spelling of a licence: `cc-by-sa-4.0`, `Attribution-ShareAlike License`, the URL of a deed become
    `CC BY-SA 4.0` (as far as the version is told); other names keep their words; `` where nothing is known."""
    text = (licence or "").strip()
    if plain(text) in _NONE:
        return licence_of_url(url) or (url or "").strip()
    named = licence_of_url(text)
    if named is not None:
        return named
    words = " ".join(_LICENCE.sub(" ", plain(text)).split())
    for pattern, code in _WORDS:
        words = " ".join(pattern.sub(code, words).split())
    if found := _CC.fullmatch(words):
        parts = set(found["parts"].split())
        rest = found["rest"].upper() if found["rest"] else ""
        return "CC " + "-".join(part.upper() for part in _PARTS if part in parts) + _after(found["version"]) + rest
    if found := _CC0.fullmatch(words):
        return "CC0" + _after(found["version"])
    if found := _PDM.fullmatch(words):
        return "Public Domain Mark" + _after(found["version"])
    return " ".join(text.split())


def _after(version: str | None) -> str:
    return f" {version}" if version else ""


def plain(text: str) -> str:
    """As patterns are compared: case, dashes and underscores count for nothing."""
    return " ".join(text.casefold().replace("-", " ").replace("_", " ").split())


def permitted(rules: Iterable[LicenceRules], licence: str | None, url: str | None = None) -> bool:
    """Whether all the rules permit a licence, known by its name, its URL or both."""
    name = canonical(licence, url)
    return all(_permitted(each, name) for each in rules)


def _permitted(rules: LicenceRules, name: str) -> bool:
    if not name:
        return rules.unknown == "keep"
    return not _fits(name, rules.deny) and (not rules.allow or _fits(name, rules.allow))


def _fits(name: str, patterns: tuple[str, ...]) -> bool:
    """The word licence is left out, for `*NC*` is in it."""
    text = " ".join(_LICENCE.sub(" ", plain(name)).split())
    return any(fnmatchcase(text, plain(pattern if "*" in pattern else canonical(pattern))) for pattern in patterns)
