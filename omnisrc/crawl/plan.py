"""What a crawl will cost, before anything is asked: calls, requests, bytes, and the time that politeness takes."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from omnisrc.crawl.pace import Limits, call_interval_s
from omnisrc.crawl.providers.about import limits_of
from omnisrc.crawl.providers.provider import Provider
from omnisrc.crawl.queries import Scope
from omnisrc.crawl.settings import CrawlSettings
from omnisrc.errors import UserError

CALL_S = 0.5
"""A call of a search service, as a rule."""

REQUEST_S = {"image": 0.25, "video": 4.0}
MEDIA_BYTES = {"image": 90_000, "video": 6_000_000}
"""A rendition of short side 320 (JPEG) and one of 360 lines and a minute, by rule of thumb."""

KEPT_BYTES = {"image": 35_000, "video": 6_000_000}


@dataclass(frozen=True)
class PlanLine:
    """What is asked of one provider in one kind. `call_s` and `fetch_s` are seconds under its limits; `limit` names
    the limit of the service that makes the calls as long as they are (`100 a day`), empty where our pace does."""

    provider: str
    kind: str
    queries: int
    calls: int
    assets: int
    bytes: int
    kept_bytes: int
    call_s: float
    fetch_s: float
    limit: str = ""

    @property
    def total_s(self) -> float:
        return max(self.call_s, self.fetch_s)


def plan(classes: int, scope: Scope, providers: Mapping[str, Provider], settings: CrawlSettings) -> list[PlanLine]:
    """The most that a crawl of `classes` classes can ask for, by provider and kind.

    Classes split what they lack over the providers of a kind. Media are taken to come from one host for each
    provider, which is the slowest case and, for Wikimedia Commons, the true one.
    """
    shares = {kind: _shares(scope, kind, providers) for kind in scope.per_class}
    pairs = [(name, kind) for name, kind in scope.pairs if kind in shares]
    calls = {(name, kind): _calls(classes, shares[kind][name], kind, providers[name]) for name, kind in pairs}
    every = {name: sum(count for (other, _), count in calls.items() if other == name) for name, _ in pairs}
    return [
        _line(classes, shares[kind][name], name, kind, providers[name], settings, calls[name, kind], every[name])
        for name, kind in pairs
    ]


def _shares(scope: Scope, kind: str, providers: Mapping[str, Provider]) -> dict[str, int]:
    """What each provider is asked for in one class: evenly, and from no one more than a query of it can give."""
    names = sorted((name for name, other in scope.pairs if other == kind), key=lambda name: _most(providers[name]))
    left, shares = scope.per_class[kind], {}
    for at, name in enumerate(names):
        shares[name] = int(min(math.ceil(left / (len(names) - at)), _most(providers[name])))
        left -= shares[name]
    return shares


def _most(provider: Provider) -> float:
    return limits_of(provider).results or math.inf


def _calls(classes: int, each: int, kind: str, provider: Provider) -> int:
    """Pages of answers, and what each find costs beside them."""
    if not provider.site:
        return 0
    return classes * (math.ceil(each / provider.page_size) + each * limits_of(provider).calls_per_find.get(kind, 0))


def _line(
    classes: int,
    each: int,
    name: str,
    kind: str,
    provider: Provider,
    settings: CrawlSettings,
    calls: int,
    every_call: int,
) -> PlanLine:
    """One line; `every_call` are the provider's calls for all kinds, which share its limits."""
    assets = classes * each
    host = Limits.of(settings, provider.site or "")
    paced_s = calls * max(CALL_S / host.concurrency, call_interval_s(settings, provider.site or "", provider))
    limited_s, limit = limits_of(provider).tightest(calls, every_call)
    return PlanLine(
        provider=name,
        kind=kind,
        queries=classes,
        calls=calls,
        assets=assets,
        bytes=assets * MEDIA_BYTES[kind],
        kept_bytes=assets * KEPT_BYTES[kind],
        call_s=max(paced_s, limited_s),
        fetch_s=_seconds(assets, REQUEST_S[kind], Limits.of(settings, "")),
        limit=limit if limited_s >= paced_s else "",
    )


def _seconds(requests: int, each_s: float, limits: Limits) -> float:
    """Time for so many requests to one host, at its concurrency and pace."""
    return requests * max(each_s / limits.concurrency, limits.interval_s)


def refuse_impossible(
    scope: Scope, providers: Mapping[str, Provider], settings: CrawlSettings, lines: list[PlanLine]
) -> None:
    """Raises UserError, with the arithmetic, where the providers cannot give what is wanted, or not in `max_days`."""
    for kind, wanted in scope.per_class.items():
        names = [name for name, other in scope.pairs if other == kind]
        most = sum(_most(providers[name]) for name in names)
        if names and wanted > most:
            gives = " + ".join(f"{_most(providers[name]):,.0f} ({name})" for name in names)
            raise UserError(
                f"{wanted:,} {kind}s of each class are wanted, but a query gives at most {gives}; ask for fewer with "
                "--per-class, or more providers with --provider."
            )
    days = total_s(lines) / 86400
    if settings.max_days and days > settings.max_days:
        slowest = max(lines, key=lambda line: line.total_s)
        limit = f" at {slowest.limit}" if slowest.limit and slowest.call_s >= slowest.fetch_s else ""
        raise UserError(
            f"The plan takes {days:,.1f} days, more than crawl.max_days = {settings.max_days:g}: {slowest.provider} is "
            f"asked {slowest.calls:,} calls{limit} and gives {slowest.assets:,} {slowest.kind}s; ask for fewer with "
            "--per-class, of fewer classes, or raise crawl.max_days."
        )


def as_json(lines: list[PlanLine]) -> dict[str, Any]:
    """The plan with its sums: kinds and providers are asked side by side, but one host's requests add up."""
    return {
        "lines": [{**asdict(line), "total_s": round(line.total_s, 1)} for line in lines],
        "calls": sum(line.calls for line in lines),
        "assets": sum(line.assets for line in lines),
        "bytes": sum(line.bytes for line in lines),
        "kept_bytes": sum(line.kept_bytes for line in lines),
        "seconds": round(total_s(lines), 1),
    }


def total_s(lines: list[PlanLine]) -> float:
    """The longest of the providers' times."""
    providers = {line.provider for line in lines}
    return max((sum(line.total_s for line in lines if line.provider == name) for name in providers), default=0.0)
