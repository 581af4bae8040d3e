"""Names of Creative Commons licences and public-domain marks, from their URLs or codes."""

from __future__ import annotations

import re

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
