"""The Retry-After header, in seconds or as a date (RFC 9110, section 10.2.3)."""

from __future__ import annotations

import time
from datetime import UTC
from email.utils import parsedate_to_datetime

LONGEST_S = 86400.0


def parse_retry_after(value: str | None, *, server_date: str | None = None, now: float | None = None) -> float | None:
    """Seconds to wait, between 0 and a day, or None where the header is absent or cannot be read.

    A date is measured against the server's own Date header where it sent one: clocks differ.
    """
    if value is None:
        return None
    text = value.strip()
    if text.isascii() and text.replace(".", "", 1).isdigit():
        return min(float(text), LONGEST_S)
    until = _seconds(text)
    if until is None:
        return None
    reference = _seconds(server_date) if server_date else None
    if reference is None:
        reference = time.time() if now is None else now
    return min(max(until - reference, 0.0), LONGEST_S)


def _seconds(text: str) -> float | None:
    """An HTTP date as seconds since 1970."""
    try:
        date = parsedate_to_datetime(text)
        return (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp()
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
