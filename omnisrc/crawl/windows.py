"""Time windows of queries: only what was put up between two moments."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from omnisrc.errors import UserError


@dataclass(frozen=True)
class Window:
    """From `since` until `until`, in seconds since 1970; None: open. Its text is `2026-01-31T00:00:00Z/...`."""

    since: float | None = None
    until: float | None = None

    @classmethod
    def read(cls, text: str) -> Window:
        """What `str` of a window gave; the empty text is all time."""
        since, _, until = text.partition("/")
        return cls(_seconds(since), _seconds(until))

    def __str__(self) -> str:
        return f"{iso(self.since)}/{iso(self.until)}" if self else ""

    def __bool__(self) -> bool:
        return self.since is not None or self.until is not None

    def holds(self, moment: float | None) -> bool:
        """Whether a moment lies in the window; None, of which nobody knows when it was, lies in all time alone."""
        if moment is None:
            return not self
        return (self.since is None or moment >= self.since) and (self.until is None or moment < self.until)


ALL_TIME = Window()


def iso(moment: float | None) -> str:
    """`2026-01-31T12:00:00Z`; empty for None."""
    return "" if moment is None else datetime.fromtimestamp(int(moment), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def moment_of(told: object) -> float | None:
    """What a service tells as a moment in ISO 8601 (UTC where no zone is named), in seconds since 1970; None where it
    is none."""
    try:
        found = datetime.fromisoformat(str(told or ""))
    except ValueError:
        return None
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()


def _seconds(text: str) -> float | None:
    return datetime.fromisoformat(text).timestamp() if text else None


def asked_window(since: str | None, until: str | None) -> Window:
    """The window of `--since` and `--until`: dates, or moments in ISO 8601, UTC where no zone is named.

    Raises UserError.
    """
    window = Window(_moment("--since", since), _moment("--until", until))
    if window.since is not None and window.until is not None and window.since >= window.until:
        raise UserError(f"--since {since} is not before --until {until}; between them there is no time to ask for.")
    return window


def _moment(option: str, text: str | None) -> float | None:
    if text is None:
        return None
    moment = moment_of(text.strip())
    if moment is None:
        raise UserError(f"{option} {text!r} is no date; write it as 2026-01-31 or 2026-01-31T12:00.")
    return moment
