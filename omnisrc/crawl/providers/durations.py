"""Durations of ISO 8601 (section 4.4.3.2, without years and months), as YouTube writes them."""

from __future__ import annotations

import re

_NUMBER = r"\d+(?:[.,]\d+)?"
_DURATION = re.compile(
    rf"P(?!$)(?:({_NUMBER})W)?(?:({_NUMBER})D)?(?:T(?=\d)(?:({_NUMBER})H)?(?:({_NUMBER})M)?(?:({_NUMBER})S)?)?"
)
_SECONDS = (604800, 86400, 3600, 60, 1)


def iso_seconds(text: str) -> float | None:
    """`PT1H2M3S` -> 3723.0; None where the text is no duration."""
    match = _DURATION.fullmatch(text)
    if match is None:
        return None
    parts = [float((part or "0").replace(",", ".")) for part in match.groups()]
    return sum(part * unit for part, unit in zip(parts, _SECONDS, strict=True))
