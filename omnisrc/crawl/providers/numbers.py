"""Numbers as search services give them: as numbers, as text, as nonsense, or not at all."""

from __future__ import annotations

import re

_WHOLE = re.compile(r"\d{1,15}")
_CLOCK = re.compile(r"(?:(\d{1,6}):)?(?:(\d{1,6}):)?(\d{1,9}(?:\.\d*)?)")


def whole(value: object) -> int | None:
    """A whole number over 0, from a number or its digits; None for everything else."""
    if isinstance(value, str) and _WHOLE.fullmatch(value.strip()) and value.isascii():
        value = int(value)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 < value < 10**15 else None


def seconds(value: object) -> float | None:
    """A duration over 0 from `75.2`, `1:15.2` or `0:01:15`; None for everything else."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value) if 0 < value < 10**9 else None
    if not isinstance(value, str) or not value.isascii():
        return None
    found = _CLOCK.fullmatch(value.strip())
    if found is None:
        return None
    parts = [float(part) for part in found.groups() if part is not None]
    total = sum(part * 60.0**place for place, part in enumerate(reversed(parts)))
    return total or None
