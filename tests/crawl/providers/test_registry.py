from __future__ import annotations

import pytest

from omnisrc.crawl.providers.provider import MediaWish
from omnisrc.crawl.providers.registry import PROVIDERS, open_provider, provider_names
from omnisrc.crawl.settings import FolderSettings, ProviderSettings, TableSettings
from omnisrc.errors import UserError
from omnisrc.web.client import Client
from omnisrc.web.hosts import HostGate, Pace


def test_every_provider_of_the_table_opens_and_says_what_it_gives(tmp_path) -> None:
    table = tmp_path / "t.csv"
    table.write_text("url,class\n")
    settings = ProviderSettings(table=TableSettings(str(table)), folder=FolderSettings(str(tmp_path)))
    for name in PROVIDERS:
        provider = open_provider(name, settings, MediaWish(), Client("x", HostGate(Pace(1))))
        assert provider.page_size > 0 and set(provider.kinds) <= {"image", "video"}


def test_commons_asks_wikimedia_unless_told_otherwise() -> None:
    provider = open_provider("commons", ProviderSettings(), MediaWish(), Client("x", HostGate(Pace(1))))
    assert provider.site == "commons.wikimedia.org:443"


def test_names_are_read_once_each() -> None:
    assert provider_names("commons, table,commons") == ["commons", "table"]


@pytest.mark.parametrize(
    ("text", "words"), [("comons", "Did you mean commons"), ("", "no provider"), ("flickr", "flickr")]
)
def test_an_unknown_provider_is_refused_with_near_names(text: str, words: str) -> None:
    with pytest.raises(UserError, match=words):
        provider_names(text)
