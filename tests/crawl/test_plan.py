from __future__ import annotations

from dataclasses import dataclass

from omnisrc.crawl.plan import CALL_S, MEDIA_BYTES, plan, total_s
from omnisrc.crawl.queries import Scope
from omnisrc.crawl.settings import CrawlSettings


@dataclass
class Asked:
    page_size: int = 50
    kinds: tuple[str, ...] = ("image", "video")
    site: str | None = "search.example:443"


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


def test_calls_that_each_find_takes_count_too() -> None:
    asked = Asked(page_size=25)
    asked.calls_per_find = 1
    (line,) = plan(10, Scope(1, {"archive": ("video",)}, {"video": 60}), {"archive": asked}, CrawlSettings())
    assert line.calls == 10 * (3 + 60)


def test_a_host_without_pacing_is_bound_by_its_concurrency() -> None:
    scope = Scope(1, {"commons": ("image",)}, {"image": 100})
    (line,) = plan(10, scope, {"commons": Asked()}, CrawlSettings(host_rate=0.0, host_concurrency=10))
    assert line.fetch_s == 1000 * 0.25 / 10
