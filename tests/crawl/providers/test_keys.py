from __future__ import annotations

import copy
import logging
import pickle
import traceback
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from yarl import URL

from omnisrc.crawl.providers.keyed_call import Heard, ask
from omnisrc.crawl.providers.keys import Secret, need_key, read_key
from omnisrc.crawl.settings import FlickrSettings, ProviderSettings
from omnisrc.errors import ItemError, UserError
from omnisrc.web.addresses import AllowedHosts
from omnisrc.web.client import Client
from omnisrc.web.hosts import HostGate, Pace
from tests.crawl.fake_commons import status
from tests.crawl.fake_flickr import FakeFlickr
from tests.crawl.providers.asking import IMAGES, with_provider
from tests.local_web import LocalWeb

KEY = "k3y/with+odd=letters&more"


def test_a_secret_shows_itself_nowhere() -> None:
    secret = Secret(KEY, "OMNISRC_X_KEY")
    shown = [repr(secret), str(secret), f"{secret}", f"{[secret]}", "%s" % secret, "{!r:>40}".format(secret)]  # noqa: UP031, UP032
    assert not any(KEY in text for text in shown) and secret.reveal() == KEY
    assert not hasattr(secret, "__dict__")
    for leave in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError, match="not pickled"):
            leave(secret)


@given(st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=8), st.text(max_size=30))
def test_no_spelling_of_a_key_in_a_url_survives_the_scrubbing(key: str, around: str) -> None:
    url = str(URL("https://a.example/x").update_query({"q": "dog", "api_key": key}))
    scrubbed = Secret(key, "").scrub(f"{around} GET {url} {key}")
    assert key not in scrubbed and str(URL.build(query={"k": key}).raw_query_string)[2:] not in scrubbed


def test_a_key_comes_from_its_file_before_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMNISRC_FLICKR_KEY", raising=False)
    assert read_key("flickr", "") is None
    monkeypatch.setenv("OMNISRC_FLICKR_KEY", " from-the-environment\n")
    file = tmp_path / "key"
    file.write_text("\ufefffrom-the-file\n")
    assert need_key("flickr", "").reveal() == "from-the-environment"
    assert need_key("flickr", str(file)).reveal() == "from-the-file"


@pytest.mark.parametrize("text", ["two words and more", "short", "käse-und-brot", "line\nbreak-in-it"])
def test_what_is_no_key_is_refused_without_being_quoted(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMNISRC_FLICKR_KEY", text)
    with pytest.raises(UserError, match="OMNISRC_FLICKR_KEY") as caught:
        need_key("flickr", "")
    assert text not in str(caught.value)


def test_a_key_in_place_of_its_file_is_not_quoted(tmp_path: Path) -> None:
    for name in (KEY, str(tmp_path)):
        with pytest.raises(UserError, match=r"providers\.flickr\.key_file") as caught:
            need_key("flickr", name)
        assert name not in "".join(traceback.format_exception(caught.value))


def call(web: LocalWeb, path: str = "/api", **given: Any) -> Heard:
    import asyncio

    async def main() -> Heard:
        async with Client("x", HostGate(Pace(1)), allow=AllowedHosts.parse([web.site])) as client:
            return await ask(client, web.url + path, {"q": "dog"}, Secret(KEY, ""), **given)

    return asyncio.run(main())


def spellings() -> list[str]:
    return [KEY, URL.build(query={"k": KEY}).raw_query_string[2:]]


def test_errors_of_a_call_do_not_hold_the_key(web: LocalWeb) -> None:
    async def broken(request: Any) -> Any:
        request.transport.write(b"HTTP/1.1 200 OK\r\nBad header line\r\n\r\n")
        request.transport.close()

    web.routes["/broken"] = broken
    web.redirect("/loop", f"/loop?q=dog&key={spellings()[1]}")
    web.redirect("/away", f"http://[bad/{spellings()[1]}")
    for path in ("/loop", "/away", "/broken"):
        with pytest.raises(ItemError) as caught:
            call(web, path, in_query="key")
        told = [str(caught.value), caught.value.detail, *traceback.format_exception(caught.value)]
        assert not any(spelling in text for text in told for spelling in spellings()), (path, told)
        assert caught.value.__context__ is None, "a logger that shows all contexts shows no key either"


def test_an_answer_that_repeats_the_key_comes_without_it(web: LocalWeb) -> None:
    web.add("/api", f'{{"key": "{KEY}"}}'.encode(), headers={"X-Seen": KEY})
    web.add("/no", KEY.encode(), status=403)
    good, bad = call(web, in_header="X-Key"), call(web, "/no", in_header="X-Key")
    assert good.json() == {"key": "***"} and good.headers["x-seen"] == "***" and bad.text == "***"
    assert web.headers[0]["X-Key"] == KEY


def test_a_long_error_page_is_cut(web: LocalWeb) -> None:
    web.add("/no", b"x" * 10**6, status=500)
    heard = call(web, "/no", in_header="X-Key")
    assert heard.status == 500 and 0 < len(heard.text) < 10**6


def test_logs_of_a_search_do_not_hold_the_key(
    web: LocalWeb, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("OMNISRC_FLICKR_KEY", KEY)
    flickr = FakeFlickr(web)
    flickr.moods = [status(500, KEY)] * 2
    caplog.set_level(logging.DEBUG)
    settings = ProviderSettings(flickr=FlickrSettings(flickr.endpoint))
    with pytest.raises(ItemError) as caught:
        with_provider("flickr", settings, [web.site], lambda provider: provider.find(IMAGES, "", 5))
    logging.getLogger("x").error("failed", exc_info=caught.value)
    assert flickr.calls and flickr.calls[0]["api_key"] == KEY
    ours = [record for record in caplog.records if record.name != "aiohttp.access"]
    assert not any(spelling in logging.Formatter().format(record) for record in ours for spelling in spellings())
