"""What a crawl will cost, before anything is asked: calls, requests, bytes, and the time that politeness takes."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from omnisrc.crawl.pace import Limits
from omnisrc.crawl.providers.provider import Provider
from omnisrc.crawl.queries import Scope
from omnisrc.crawl.settings import CrawlSettings

CALL_S = 0.5
"""A call of a search service, as a rule."""

REQUEST_S = {"image": 0.25, "video": 4.0}
MEDIA_BYTES = {"image": 90_000, "video": 6_000_000}
"""A rendition of short side 320 (JPEG) and one of 360 lines and a minute, by rule of thumb."""

KEPT_BYTES = {"image": 35_000, "video": 6_000_000}


@dataclass(frozen=True)
class PlanLine:
    """What is asked of one provider in one kind. `call_s` and `fetch_s` are seconds under its limits."""

    provider: str
    kind: str
    queries: int
    calls: int
    assets: int
    bytes: int
    kept_bytes: int
    call_s: float
    fetch_s: float

    @property
    def total_s(self) -> float:
        return max(self.call_s, self.fetch_s)


def plan(classes: int, scope: Scope, providers: Mapping[str, Provider], settings: CrawlSettings) -> list[PlanLine]:
    """The most that a crawl of `classes` classes can ask for, by provider and kind.

    Classes split what they lack over the providers of a kind. Media are taken to come from one host for each
    provider, which is the slowest case and, for Wikimedia Commons, the true one.
    """
    return [_line(classes, scope, provider, kind, providers[provider], settings) for provider, kind in scope.pairs]


def _line(classes: int, scope: Scope, name: str, kind: str, provider: Provider, settings: CrawlSettings) -> PlanLine:
    sharing = sum(1 for _, other in scope.pairs if other == kind)
    each = math.ceil(scope.per_class.get(kind, 0) / sharing)
    assets = classes * each
    pages = math.ceil(each / provider.page_size) if provider.site else 0
    calls = classes * (pages + each * getattr(provider, "calls_per_find", 0))
    host = Limits.of(settings, provider.site or "", None, None)
    return PlanLine(
        provider=name,
        kind=kind,
        queries=classes,
        calls=calls,
        assets=assets,
        bytes=assets * MEDIA_BYTES[kind],
        kept_bytes=assets * KEPT_BYTES[kind],
        call_s=_seconds(calls, CALL_S, host),
        fetch_s=_seconds(assets, REQUEST_S[kind], Limits.of(settings, "", None, None)),
    )


def _seconds(requests: int, each_s: float, limits: Limits) -> float:
    """Time for so many requests to one host, at its concurrency and pace."""
    return requests * max(each_s / limits.concurrency, limits.interval_s)


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
