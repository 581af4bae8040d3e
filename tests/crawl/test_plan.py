from __future__ import annotations

from dataclasses import dataclass, field, replace

import pytest

from omnisrc.crawl.pace import call_interval_s
from omnisrc.crawl.plan import CALL_S, MEDIA_BYTES, plan, refuse_impossible, total_s
from omnisrc.crawl.providers.about import CallLimits
from omnisrc.crawl.queries import Scope
from omnisrc.crawl.settings import CrawlSettings, HostSettings
from omnisrc.errors import UserError


@dataclass
class Asked:
    page_size: int = 50
    kinds: tuple[str, ...] = ("image", "video")
    site: str | None = "search.example:443"
    limits: CallLimits = field(default_factory=CallLimits)


def test_calls_requests_bytes_and_time_follow_from_the_settings() -> None:
    scope = Scope(1, {"commons": ("image", "video")}, {"image": 120, "video": 20})
    images, videos = plan(400, scope, {"commons": Asked()}, CrawlSettings(host_rate=4.0, host_concurrency=2))
    assert (images.calls, images.assets, images.bytes) == (400 * 3, 48_000, 48_000 * MEDIA_BYTES["image"])
    assert images.fetch_s == 48_000 / 4.0
    assert images.call_s == 1200 * max(CALL_S / 2, 1 / 4.0)
    assert (videos.calls, videos.assets) == (400, 8_000)
    assert total_s([images, videos]) == images.total_s + videos.total_s


def test_providers_of_a_kind_share_what_is_wanted() -> None:
    scope = Scope(1, {"commons": ("image",), "table": ("image", "video")}, {"image": 100, "video": 10})
    lines = plan(10, scope, {"commons": Asked(), "table": Asked(site=None)}, CrawlSettings())
    assert [(line.provider, line.kind, line.assets, line.calls) for line in lines] == [
        ("commons", "image", 500, 10), ("table", "image", 500, 0), ("table", "video", 100, 0),
    ]  # fmt: skip


def test_a_host_without_pacing_is_bound_by_its_concurrency() -> None:
    scope = Scope(1, {"commons": ("image",)}, {"image": 100})
    (line,) = plan(10, scope, {"commons": Asked()}, CrawlSettings(host_rate=0.0, host_concurrency=10))
    assert line.fetch_s == 1000 * 0.25 / 10


def test_calls_take_as_long_as_the_services_own_limit_makes_them() -> None:
    scope = Scope(1, {"tube": ("video",)}, {"video": 50})
    (line,) = plan(400, scope, {"tube": Asked(limits=CallLimits(per_day=100))}, CrawlSettings())
    assert (line.calls, line.call_s, line.limit) == (400, 4 * 86400, "100 a day")
    (few,) = plan(100, scope, {"tube": Asked(limits=CallLimits(per_day=100))}, CrawlSettings())
    assert few.call_s == 100 / 4.0 and few.limit == "", "what fits into one day is as fast as our pace"


def test_kinds_share_the_limits_of_their_service() -> None:
    scope = Scope(1, {"a": ("image", "video")}, {"image": 50, "video": 50})
    lines = plan(60, scope, {"a": Asked(limits=CallLimits(per_day=100))}, CrawlSettings())
    assert sum(line.call_s for line in lines) == pytest.approx(1.2 * 86400)


def test_finds_that_cost_a_call_each_are_counted() -> None:
    scope = Scope(1, {"a": ("image", "video")}, {"image": 50, "video": 20})
    limits = CallLimits(per_hour=3600, calls_per_find={"video": 1})
    images, videos = plan(10, scope, {"a": Asked(limits=limits)}, CrawlSettings())
    assert (images.calls, videos.calls) == (10, 10 * 21)


def test_the_pace_of_an_hours_limit_is_kept_unless_the_host_has_a_rate_of_its_own() -> None:
    provider = Asked(limits=CallLimits(per_minute=100, per_hour=200))
    assert call_interval_s(CrawlSettings(), "search.example:443", provider) == 18.0
    assert call_interval_s(CrawlSettings(), "search.example:443", Asked()) == 0.25
    named = CrawlSettings(hosts={"search.example": HostSettings(rate=2.0)})
    assert call_interval_s(named, "search.example:443", provider) == 0.5
    slower = Asked(limits=CallLimits(per_minute=6000))
    assert call_interval_s(CrawlSettings(), "search.example:443", slower) == 0.25


def test_what_one_provider_cannot_give_is_asked_of_the_others() -> None:
    scope = Scope(1, {"few": ("image",), "many": ("image",)}, {"image": 1000})
    providers = {"few": Asked(limits=CallLimits(results=100)), "many": Asked()}
    lines = plan(1, scope, providers, CrawlSettings())
    assert {line.provider: line.assets for line in lines} == {"few": 100, "many": 900}
    refuse_impossible(scope, providers, CrawlSettings(), lines)


def test_more_than_a_query_can_give_is_refused_with_the_arithmetic() -> None:
    scope = Scope(1, {"a": ("image",), "b": ("image",)}, {"image": 4501})
    providers = {"a": Asked(limits=CallLimits(results=4000)), "b": Asked(limits=CallLimits(results=500))}
    with pytest.raises(UserError, match=r"4,501 images.*4,000 \(a\) \+ 500 \(b\)"):
        refuse_impossible(scope, providers, CrawlSettings(), plan(1, scope, providers, CrawlSettings()))
    enough = replace(scope, per_class={"image": 4500})
    refuse_impossible(enough, providers, CrawlSettings(), plan(1, enough, providers, CrawlSettings()))


def test_a_plan_that_takes_too_many_days_is_refused_with_the_arithmetic() -> None:
    scope = Scope(1, {"tube": ("video",)}, {"video": 50})
    providers = {"tube": Asked(limits=CallLimits(per_day=100))}
    for days, refused in ((0.0, False), (3.9, True), (4.1, False)):
        settings = CrawlSettings(max_days=days)
        lines = plan(400, scope, providers, settings)
        if refused:
            with pytest.raises(UserError, match=r"4\.0 days.*max_days = 3\.9.*400 calls at 100 a day"):
                refuse_impossible(scope, providers, settings, lines)
        else:
            refuse_impossible(scope, providers, settings, lines)
