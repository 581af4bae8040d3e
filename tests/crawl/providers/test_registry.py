from __future__ import annotations

import pytest

from omnisrc.crawl.providers.about import about_of
from omnisrc.crawl.providers.provider import MediaWish
from omnisrc.crawl.providers.registry import PROVIDERS, open_provider, provider_class, provider_names
from omnisrc.crawl.settings import (
    FolderSettings,
    PexelsSettings,
    PixabaySettings,
    ProviderSettings,
    TableSettings,
    YtdlpSettings,
)
from omnisrc.errors import UserError
from omnisrc.web.client import Client
from omnisrc.web.hosts import HostGate, Pace


def test_every_provider_of_the_table_opens_and_says_what_it_gives(tmp_path, monkeypatch) -> None:
    for name in ("FLICKR", "YOUTUBE", "PEXELS", "PIXABAY"):
        monkeypatch.setenv(f"OMNISRC_{name}_KEY", "a-key-of-nobody")
    table = tmp_path / "t.csv"
    table.write_text("url,class\n")
    settings = ProviderSettings(
        table=TableSettings(str(table)),
        folder=FolderSettings(str(tmp_path)),
        pexels=PexelsSettings(permission="letter of 2026-03-04"),
        pixabay=PixabaySettings(permission="letter of 2026-03-04"),
        ytdlp=YtdlpSettings(accept_terms=True),
    )
    for name in PROVIDERS:
        provider = open_provider(name, settings, MediaWish(), Client("x", HostGate(Pace(1))))
        assert provider.page_size > 0 and set(provider.kinds) <= {"image", "video"}
        assert about_of(provider_class(name)).terms, "each says what its terms are"


def test_commons_asks_wikimedia_unless_told_otherwise() -> None:
    provider = open_provider("commons", ProviderSettings(), MediaWish(), Client("x", HostGate(Pace(1))))
    assert provider.site == "wikimedia.org"


def test_names_are_read_once_each() -> None:
    assert provider_names("commons, table,commons") == ["commons", "table"]


@pytest.mark.parametrize(
    ("text", "words"), [("comons", "Did you mean commons"), ("", "no provider"), ("bing", "There are")]
)
def test_an_unknown_provider_is_refused_with_near_names(text: str, words: str) -> None:
    with pytest.raises(UserError, match=words):
        provider_names(text)
