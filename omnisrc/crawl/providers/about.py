"""What a provider's class says of its service before it is opened: its limits, its key, its terms."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

WINDOWS = (("a minute", 60.0), ("an hour", 3600.0), ("a day", 86400.0))


@dataclass(frozen=True)
class CallLimits:
    """What a service lets one user ask; None where it names no number.

    `results` is the most that one query gives, however many pages are asked for. `calls_per_find` are the further
    calls that each find of a kind costs.
    """

    per_minute: int | None = None
    per_hour: int | None = None
    per_day: int | None = None
    results: int | None = None
    calls_per_find: Mapping[str, int] = field(default_factory=dict)

    @property
    def windows(self) -> list[tuple[int, str, float]]:
        """(calls, the window in words, its seconds) for each number that is given."""
        given = (self.per_minute, self.per_hour, self.per_day)
        return [(calls, name, span) for calls, (name, span) in zip(given, WINDOWS, strict=True) if calls]

    @property
    def interval_s(self) -> float:
        """Seconds from one call to the next that keep the limits of a minute and an hour. A day's may go at once."""
        return max((span / calls for calls, _, span in self.windows if span < 86400), default=0.0)

    def tightest(self, calls: int, among: int = 0) -> tuple[float, str]:
        """The seconds that so many calls take under these limits, and the limit that says so (`100 a day`).

        They may be `among` more calls of the same user; a window that all of them fit into takes no time.
        """
        every = max(calls, among)
        times = [(calls / most * span, f"{most:,} {name}") for most, name, span in self.windows if every > most]
        return max(times, default=(0.0, ""))

    def __str__(self) -> str:
        words = [f"{calls:,} calls {name}" for calls, name, _ in self.windows]
        if self.results:
            words.append(f"{self.results:,} results a query")
        return ", ".join(words)


@dataclass(frozen=True)
class About:
    """One line on the terms, and what stands between a user and the service.

    `gate` is the setting that must name a permission. A provider that `finds_only` has no downloader here. One with
    `windows` can be asked for what was put up within a time window; one that is `dated` tells when, so that what lies
    outside is dropped here, after a call was spent on it.
    """

    terms: str = ""
    needs_key: bool = False
    gate: str = ""
    finds_only: bool = False
    windows: bool = False
    dated: bool = False


NO_LIMITS, NOTHING = CallLimits(), About()


def limits_of(provider: object) -> CallLimits:
    """The `limits` of a provider or of its class; none where it has no such attribute."""
    found = getattr(provider, "limits", NO_LIMITS)
    return found if isinstance(found, CallLimits) else NO_LIMITS


def about_of(provider: object) -> About:
    """The `about` of a provider or of its class; empty where it has no such attribute."""
    found = getattr(provider, "about", NOTHING)
    return found if isinstance(found, About) else NOTHING
