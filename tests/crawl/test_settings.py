from __future__ import annotations

import pytest

from omnisrc.crawl.settings import CrawlSettings, HostSettings, ProviderSettings
from omnisrc.errors import UserError
from omnisrc.study import Study


def test_the_defaults_are_polite() -> None:
    settings = CrawlSettings()
    assert settings.host("upload.wikimedia.org:443") == HostSettings(4.0, 2)
    assert settings.min_side == 128 and settings.allow_hosts == ()


def test_one_hosts_settings_go_before_those_of_all() -> None:
    own = {"box": HostSettings(rate=1.0), "box:81": HostSettings(concurrency=9), "127.0.0.1": HostSettings(rate=7.0)}
    settings = CrawlSettings(hosts=own)
    assert settings.host("box:80") == HostSettings(1.0, 2)
    assert settings.host("box:81") == HostSettings(4.0, 9)
    assert settings.host("127.0.0.1:5") == HostSettings(7.0, 2)


def test_the_name_of_any_host_sets_what_its_domain_may_be_asked() -> None:
    assert CrawlSettings(hosts={"img1.a.example:80": HostSettings(1.0, 9)}).host("a.example") == HostSettings(1.0, 9)
    two = {
        "img1.a.example": HostSettings(rate=0.0),
        "img2.a.example": HostSettings(3.0, 5),
        "b.example": HostSettings(9),
    }
    assert CrawlSettings(hosts=two).host("a.example") == HostSettings(3.0, 5), "the most careful"
    assert CrawlSettings(hosts={**two, "a.example": HostSettings(6.0)}).host("a.example") == HostSettings(6.0, 2)
    assert CrawlSettings().host("youtube.com").rate == 0.1
    with pytest.raises(ValueError, match="neither a name nor an address"):
        CrawlSettings(hosts={"1.2.3.4.5": HostSettings(rate=1.0)})


def test_they_are_read_from_the_command_line(study: Study) -> None:
    own = Study.open(
        study.root,
        (
            "crawl.allow_hosts=['127.0.0.1:80']", 'crawl.hosts."a.example".rate=0.5', "crawl.contact=me@example.org",
            "providers.table.columns.url=address", "providers.commons.endpoint=http://127.0.0.1/w/api.php",
        ),
    )  # fmt: skip
    settings, providers = own.section(CrawlSettings), own.section(ProviderSettings)
    assert settings.allow_hosts == ("127.0.0.1:80",) and settings.host("a.example:80").rate == 0.5
    assert providers.table.columns == {"url": "address"} and providers.commons.endpoint.startswith("http://127.0.0.1")


@pytest.mark.parametrize(
    "text",
    [
        "crawl.host_concurrency=0",
        "crawl.host_rate=-1",
        "crawl.max_days=-1",
        "crawl.hosts.a=5",
        "crawl.hosts.a.rate=-1",
        "crawl.hosts.a.concurrency=0",
        "crawl.idle_s=0",
        "crawl.drain_s=-3",
        "crawl.shard_bytes=0",
        "crawl.drains=-1",
        "crawl.max_image_bytes=0",
        "crawl.min_sid=3",
        "providers.flickr.key=1",
    ],
)
def test_what_does_not_fit_is_refused(study: Study, text: str) -> None:
    with pytest.raises(UserError):
        own = Study.open(study.root, (text,))
        own.section(CrawlSettings)


def test_an_agent_that_is_no_product_token_is_refused() -> None:
    assert CrawlSettings(optout_agents=("GPTBot", "anthropic-ai")).optout_agents == ("GPTBot", "anthropic-ai")
    for agent in ("*", "GPT Bot", "", "GPTBot/1.0"):
        with pytest.raises(ValueError, match="optout_agents"):
            CrawlSettings(optout_agents=(agent,))
