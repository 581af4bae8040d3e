"""Openverse and the Internet Archive as the small web of real media plays them: a server that we did not write."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from omnisrc.cli import main
from omnisrc.crawl.providers.archive import Archive
from omnisrc.crawl.providers.openverse import Openverse
from omnisrc.crawl.providers.provider import Candidate, MediaWish, Page, Provider, Question
from omnisrc.crawl.settings import ArchiveSettings, OpenverseSettings, ProviderSettings
from omnisrc.study import Study
from omnisrc.web.addresses import AllowedHosts
from omnisrc.web.client import Client
from omnisrc.web.hosts import HostGate, Pace
from tests.crawl import test_realweb as realweb
from tests.crawl.studies import assets
from tests.crawl.test_fetch import check_shards
from tests.crawl.test_realweb import EXPECTED, Served

pytestmark = [pytest.mark.realweb, pytest.mark.timeout(600)]
served = realweb.served


@pytest.fixture(autouse=True)
def _anonymous(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ID", "SECRET"):
        monkeypatch.delenv(f"OMNISRC_OPENVERSE_CLIENT_{name}", raising=False)


def items_of(served: Served) -> dict[str, dict[str, Any]]:
    return {item["id"]: item for item in map(json.loads, (served.root / "web/items.jsonl").read_text().splitlines())}


def find_all(served: Served, provider: type[Provider], question: Question, **archive: object) -> list[Page]:
    async def walk() -> list[Page]:
        async with Client("omnisrc/0 (test)", HostGate(Pace(1)), allow=AllowedHosts.parse(served.hosts)) as client:
            settings = ProviderSettings(
                openverse=OpenverseSettings(f"{served.api}/v1/"), archive=ArchiveSettings(served.api, **archive)
            )
            asked = provider(settings, MediaWish(), client)
            pages = [await asked.find(question, "", 10**6)]
            while pages[-1].next is not None:
                pages.append(await asked.find(question, pages[-1].next, 10**6))
            return pages

    return asyncio.run(walk())


def ids(found: list[Candidate]) -> list[str]:
    return [candidate.url.split("/")[4] for candidate in found]


def wanted(served: Served, text: str, kind: str) -> list[dict[str, Any]]:
    """What the web has for a query, best first."""
    having = [item for item in items_of(served).values() if text in item["queries"] and item["kind"] == kind]
    return sorted(having, key=lambda item: item["queries"][text])


def test_openverse_gives_every_image_of_a_search_in_its_order(served: Served) -> None:
    having = wanted(served, "jump", "image")
    pages = find_all(served, Openverse, Question("jump", "image"))
    found = [candidate for page in pages for candidate in page.candidates]
    assert ids(found) == [item["id"] for item in having] and len(found) > 200
    assert [page.calls for page in pages] == [1] * len(pages) and len(pages) == -(-len(having) // 20)
    for candidate, item in zip(found, having, strict=True):
        named = {"CC0": "CC0 1.0", "Public domain": "Public Domain Mark 1.0"}.get(item["license"], item["license"])
        assert (candidate.license, candidate.license_url or "") == (named, item["license_url"])
        assert (candidate.author, candidate.title) == (item["author"], item["title"])
        assert (candidate.width, candidate.height) == (item["width"], item["height"])
        assert candidate.page_url == f"{served.api}/page/{item['id']}"


@pytest.mark.parametrize(
    ("text", "kind", "licenses"), [("jump", "image", "open"), ("jump", "image", "any"), ("run", "video", "open")]
)
def test_the_archive_gives_every_item_of_a_search(served: Served, text: str, kind: str, licenses: str) -> None:
    having = [item for item in wanted(served, text, kind) if item["license_url"] or licenses == "any"]
    pages = find_all(served, Archive, Question(text, kind), licenses=licenses)
    found = [candidate for page in pages for candidate in page.candidates]
    assert ids(found) == [item["id"] for item in having] and len(found) >= 10
    assert all(len(page.candidates) <= 25 and page.calls <= 26 for page in pages)
    for candidate, item in zip(found, having, strict=True):
        assert candidate.license_url == (item["license_url"] or None) and candidate.kind == kind
        assert candidate.license in (item["license"], "CC0 1.0", None)
        assert (candidate.author, candidate.title) == (item["author"], item["title"])
        assert candidate.bytes or item["behaviour"] == "empty"


def test_what_nobody_has_is_an_empty_page(served: Served) -> None:
    for provider in (Openverse, Archive):
        assert find_all(served, provider, Question("quantum", "image")) == [Page([], None, 1)]


def test_both_are_crawled_from_the_command_line(served: Served, tmp_path: Path) -> None:
    classes = tmp_path / "classes.txt"
    classes.write_text("catch\ngolf\n")
    sets = [
        f"providers.openverse.endpoint={served.api}/v1/", f"providers.archive.endpoint={served.api}",
        f"crawl.allow_hosts={served.hosts}", "crawl.host_rate=0", "media.guard_processes=1", "crawl.image_deadline_s=5",
    ]  # fmt: skip
    arguments = ["crawl", "--workspace", str(tmp_path / "study"), "--classes", str(classes), "--per-class", "500"]
    before = len(served.log.read_text().splitlines()) if served.log.exists() else 0
    asked_for = ["--provider", "openverse,archive", *[part for text in sets for part in ("--set", text)]]
    assert main.run([*arguments, *asked_for]) == 0

    study, items = Study.open(tmp_path / "study"), items_of(served)
    outcome: Counter = Counter()
    ended: dict[str, set[str]] = {}
    stored_as: dict[str, list[str]] = {}
    for asset in assets(study):
        item = next(items[part] for part in asset["url"].split("/") if part in items)
        outcome[item["behaviour"], asset["state"], asset["error"]] += 1
        ended.setdefault(asset["provider"], set()).add(item["id"])
        if asset["sha256"]:
            stored_as.setdefault(asset["sha256"], []).append(asset["state"])
    classes_of = {name: [i for i in items.values() if name in i["queries"]] for name in ("catch", "golf")}
    there = [item for group in classes_of.values() for item in group]
    allowed = {
        behaviour: ends | {("duplicate", None)} if ("stored", None) in ends else ends
        for behaviour, ends in EXPECTED.items()
    }
    assert {key: count for key, count in outcome.items() if key[1:] not in allowed[key[0]]} == {}
    assert ended["openverse"] == {item["id"] for item in there if item["kind"] == "image"}
    assert ended["archive"] == {item["id"] for item in there if item["license_url"]}
    assert all(states.count("stored") == 1 for states in stored_as.values())
    assert check_shards(study) == len(stored_as) > 100
    licences = Counter(asset["license"] for asset in assets(study))
    named = Counter(item["license"] for item in there for _ in (range(2) if item["license_url"] else range(1)))
    videos = Counter(item["license"] for item in there if item["kind"] == "video")
    assert sum(videos.values()) == 18 and licences["CC BY 4.0"] == videos["CC BY 4.0"]
    assert licences["CC BY-NC 2.0"] == named["CC BY-NC 2.0"] > 0 and licences["CC0 1.0"] == named["CC0"] > 0
    lines = [json.loads(line) for line in served.log.read_text().splitlines()[before:]]
    assert not any((line["path"] or "").startswith("/private/") or line["host"] == "127.0.0.99" for line in lines)
    metadata = [line["path"] for line in lines if (line["path"] or "").startswith("/metadata/")]
    assert len(metadata) == len(set(metadata)), "no item is looked at twice"
