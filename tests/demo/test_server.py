from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import Request, urlopen

import pytest

from omnisrc.demo.catalogue import WebItem
from omnisrc.demo.server import serving
from omnisrc.demo.world import World
from omnisrc.media.image import image_size

ASK = {"action": "query", "format": "json", "formatversion": 2, "generator": "search", "gsrnamespace": 6}
WHOLE = {"prop": "imageinfo", "iiprop": "url|size|mime|extmetadata"}


@pytest.fixture
def site(web_folder: Path) -> Iterator[str]:
    with serving(web_folder) as served:
        yield served


def get(url: str) -> bytes:
    with urlopen(Request(url, headers={"User-Agent": "test (me@example.org)"}), timeout=10) as answer:
        return bytes(answer.read())


def search(site: str, text: str, **more: object) -> dict[str, Any]:
    return json.loads(get(f"http://{site}/w/api.php?{urlencode({**ASK, **WHOLE, 'gsrsearch': text, **more})}"))


def pages(site: str, text: str, **more: object) -> list[dict[str, Any]]:
    return search(site, text, **more)["query"]["pages"]


def named(world: World, behaviour: str, medium: str = "image") -> WebItem:
    found = (item for item in world.items() if item.behaviour == behaviour and item.medium == medium)
    return next(found)


def test_a_search_gives_the_finds_of_a_class_best_rank_first(site: str, world: World) -> None:
    found = pages(site, "filetype:bitmap hula hooping", gsrlimit=500)
    asked = [item for item in world.items() if item.medium == "image" and "hula hooping" in item.queries]
    ranked = sorted(asked, key=lambda item: item.queries["hula hooping"])
    assert [page["imageinfo"][0]["descriptionurl"].rpartition("/")[2] for page in found] == [i.id for i in ranked]
    assert pages(site, "filetype:video hula hooping", gsrlimit=500)[0]["imageinfo"][0]["mediatype"] == "VIDEO"
    assert "query" not in search(site, "filetype:bitmap beekeeping")


def test_paging_gives_every_find_once(site: str) -> None:
    whole = [page["pageid"] for page in pages(site, "filetype:bitmap rowing boat", gsrlimit=500)]
    parts: list[int] = []
    onward: dict[str, object] = {}
    while True:
        answer = search(site, "filetype:bitmap rowing boat", gsrlimit=3, **onward)
        parts += [page["pageid"] for page in answer["query"]["pages"]]
        onward = answer.get("continue", {})
        if not onward:
            break
    assert parts == whole and len(whole) == len(set(whole)) > 3


def test_the_api_wants_a_user_agent_and_a_search(site: str) -> None:
    with pytest.raises(HTTPError) as refused:
        urlopen(Request(f"http://{site}/w/api.php", headers={"User-Agent": ""}), timeout=10)
    assert refused.value.code == 403
    assert json.loads(get(f"http://{site}/w/api.php?action=query"))["error"]["code"] == "missingparam"


def test_thumbnails_come_at_the_standard_widths_alone(site: str, world: World) -> None:
    item = named(world, "ok")
    name = Path(item.file).name
    assert image_size(get(f"http://{site}/thumb/120/{item.id}/{name}"))[0] == 120
    with pytest.raises(HTTPError) as refused:
        get(f"http://{site}/thumb/133/{item.id}/{name}")
    assert refused.value.code == 429 and refused.value.headers["Retry-After"]


def test_robots_txt_closes_private_pictures_and_the_api(site: str, world: World) -> None:
    assert b"Disallow: /private/" in get(f"http://{site}/robots.txt")
    item = named(world, "robots")
    asked = next(iter(item.queries))
    urls = [page["imageinfo"][0]["url"] for page in pages(site, f"filetype:bitmap {asked}", gsrlimit=500)]
    assert [url for url in urls if f"/private/{item.id}/" in url]


def test_a_service_that_stumbles_once_answers_the_next_time(site: str, world: World) -> None:
    for item in world.items():
        if item.behaviour in ("500-once", "429-once"):
            url = f"http://{site}/media/{item.id}/x"
            with pytest.raises(HTTPError) as refused:
                get(url)
            assert refused.value.code == int(item.behaviour[:3])
            assert get(url) == (world.web / item.file).read_bytes()
