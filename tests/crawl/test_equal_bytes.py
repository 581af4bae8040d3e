"""An opt-out covers equal bytes elsewhere, and every refusal is told with its evidence."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete, select, update

from db.models import Asset, Job, Query, QueryPage, SiteFile, Tombstone
from omnisrc.cli import main
from omnisrc.study import Study
from omnisrc.web.optout import ROBOTS
from omnisrc.web.tdmrep import PATH as TDMREP
from tests.crawl.fake_commons import FakeCommons, File
from tests.crawl.studies import assets, crawl, crawl_study, plan_crawl, work
from tests.crawl.test_fetch import _reopen, check_shards, offer, open_study, run
from tests.local_web import LocalWeb

Picture = Callable[..., bytes]
NOAI = {"X-Robots-Tag": "noai"}


def outcome(study: Study) -> dict[str, tuple[str, str | None]]:
    return {a["url"].rpartition("/")[2]: (a["state"], a["error"]) for a in assets(study)}


def told(study: Study, name: str) -> dict[str, Any]:
    return next(asset["evidence"] for asset in assets(study) if asset["url"].endswith(f"/{name}"))


def fetch_again(study: Study, name: str) -> None:
    """The asset goes back to the frontier, as a recrawl would put it."""
    change = update(Asset).where(Asset.url.endswith(f"/{name}")).values(state="waiting", attempts=0, not_before=0.0)
    study.database().write(lambda session: session.execute(change))


def test_bytes_that_were_stored_before_an_opt_out_are_refused_wherever_they_were_found(
    study: Study,
    web: LocalWeb,
    table: Path,
    class_file: Path,
    picture: Picture,
) -> None:
    offer(table, web.add("/a", picture(1)), web.add("/b", picture(1)), web.add("/c", picture(2)))
    own = open_study(study, table, web)
    run(own, class_file)
    assert sorted(outcome(own).values()) == [("duplicate", None), ("stored", None), ("stored", None)]
    digest = hashlib.sha256(picture(1)).hexdigest()

    web.add("/a", picture(1), headers=NOAI)
    fetch_again(own, "a")
    run(own, class_file)
    assert outcome(own) == {"a": ("refused", "opt-out"), "b": ("refused", "opt-out"), "c": ("stored", None)}
    assert told(own, "a")["where"] == told(own, "b")["where"] == web.url + "/a"
    assert told(own, "b")["said"] == "noai" and told(own, "b")["by"] == f"equal sha256 {digest}"
    assert told(own, "c") is None

    offer(table, web.add("/later", picture(1)), web.add("/other", picture(3)))
    _reopen(own)
    run(own, class_file)
    assert outcome(own)["later"] == ("refused", "opt-out") and outcome(own)["other"] == ("stored", None)
    assert told(own, "later")["by"] == f"equal sha256 {digest}"
    assert check_shards(own) == 3, "the bytes themselves stay where they were packed"


@pytest.mark.parametrize("mirror_first", [True, False])
def test_an_opt_out_of_a_file_whose_sha1_its_provider_told_covers_a_mirror(
    study: Study,
    web: LocalWeb,
    table: Path,
    class_file: Path,
    picture: Picture,
    mirror_first: bool,
) -> None:
    data = picture(1, 400, 300)
    sha1 = hashlib.sha1(data).hexdigest()
    original = File("File:A.jpg", web.add("/original.jpg", data, headers=NOAI), said={"sha1": sha1})
    copy = File("File:B.jpg", web.add("/copy.jpg", data), said={"sha1": sha1})
    commons = FakeCommons(web, {"brush hair": [original]})
    offer(table, web.add("/mirror.jpg", data))
    endpoint = f"providers.commons.endpoint={commons.endpoint}"
    own = open_study(study, table, web, sets=(endpoint, "crawl.host_concurrency=1"))

    for provider in ("table", "commons") if mirror_first else ("commons", "table"):
        top_up, _ = plan_crawl(own, class_file, provider)
        crawl(own, top_up)
        if provider == "table" and mirror_first:
            assert outcome(own) == {"mirror.jpg": ("stored", None)}
    assert outcome(own) == {"original.jpg": ("refused", "opt-out"), "mirror.jpg": ("refused", "opt-out")}
    assert told(own, "mirror.jpg")["by"] == f"equal sha1 {sha1}"
    assert told(own, "mirror.jpg")["covers"] == original.url
    assert check_shards(own) == (1 if mirror_first else 0)

    commons.found["juggling balls"] = [copy]
    own.database().write(_ask_again)
    top_up, _ = plan_crawl(own, class_file, "commons")
    crawl(own, top_up)
    assert outcome(own)["copy.jpg"] == ("refused", "opt-out") and web.count("/copy.jpg") == 0
    assert told(own, "copy.jpg")["said"] == "noai"


def _ask_again(session) -> None:
    session.execute(delete(QueryPage))
    session.execute(delete(Job).where(Job.stage == "discover"))
    session.execute(update(Query).values(exhausted=False))


def test_an_asset_that_waits_is_refused_by_the_sha1_that_its_provider_told(
    study: Study, web: LocalWeb, class_file: Path, picture: Picture
) -> None:
    data = picture(1, 400, 300)
    said = {"sha1": hashlib.sha1(data).hexdigest()}
    files = [
        File("File:A.jpg", web.add("/a.jpg", data, headers=NOAI), said=said),
        File("File:B.jpg", web.add("/b.jpg", data), said=said),
    ]
    commons = FakeCommons(web, {"brush hair": files})
    own = crawl_study(study, f"providers.commons.endpoint={commons.endpoint}", f"crawl.allow_hosts=['{web.site}']")
    top_up, _ = plan_crawl(own, class_file)
    own.database().write(top_up)
    work(own, "discover")
    late = update(Asset).where(Asset.url.endswith("/b.jpg"))
    own.database().write(lambda session: session.execute(late.values(not_before=4e9)))
    own.database().write(top_up)
    work(own, "fetch")
    assert outcome(own) == {"a.jpg": ("refused", "opt-out"), "b.jpg": ("refused", "opt-out")}
    assert web.count("/b.jpg") == 0 and told(own, "b.jpg")["covers"] == files[0].url


def test_equal_bytes_that_slipped_by_are_refused_when_they_are_met_again(
    study: Study, web: LocalWeb, table: Path, class_file: Path, picture: Picture
) -> None:
    offer(table, web.add("/slipped", picture(1)))
    own = open_study(study, table, web)
    run(own, class_file)
    digest = hashlib.sha256(picture(1)).hexdigest()
    tomb = Tombstone(
        kind="sha256", value=digest, error="opt-out", reason="noai", evidence={"said": "noai"}, created=0.0
    )
    own.database().write(lambda session: session.add(tomb))
    offer(table, web.add("/again", picture(1)))
    _reopen(own)
    run(own, class_file)
    assert outcome(own) == {"slipped": ("refused", "opt-out"), "again": ("refused", "opt-out")}
    assert told(own, "slipped")["said"] == "noai"


def test_a_robots_txt_that_forbids_a_url_says_nothing_of_equal_bytes_elsewhere(
    study: Study,
    web: LocalWeb,
    table: Path,
    class_file: Path,
    picture: Picture,
) -> None:
    offer(table, web.add("/a", picture(1)), web.add("/b", picture(1)))
    own = open_study(study, table, web)
    run(own, class_file)
    web.add(ROBOTS, b"User-agent: *\nDisallow: /a\n")
    own.database().write(_forget_files)
    fetch_again(own, "a")
    run(own, class_file)
    assert outcome(own)["a"] == ("refused", "robots") and outcome(own)["b"][0] in ("stored", "duplicate")
    assert own.database().read(lambda s: s.scalars(select(Tombstone)).all()) == []


def _forget_files(session) -> None:
    session.execute(delete(SiteFile))


def test_every_way_to_say_no_is_obeyed_in_a_crawl_and_exported_with_its_evidence(
    study: Study,
    web: LocalWeb,
    table: Path,
    class_file: Path,
    picture: Picture,
    tmp_path: Path,
) -> None:
    for_all = b"User-agent: *\nDisallow: /private\nContent-Usage: /kept train-ai=n\n"
    web.add(ROBOTS, for_all + b"\nUser-agent: GPTBot\nDisallow: /gpt\n")
    web.add(TDMREP, b'[{"location": "/reserved", "tdm-reservation": 1}]')
    signals = {
        "private": ("robots", "robots.txt", "line 2: Disallow: /private", {}),
        "gpt": ("robots", "robots.txt", "line 6: Disallow: /gpt", {}),
        "kept": ("opt-out", "robots.txt usage", "line 3: Content-Usage: /kept train-ai=n", {}),
        "reserved": ("opt-out", "tdmrep.json", '{"location": "/reserved", "tdm-reservation": 1}', {}),
        "noai": ("opt-out", "x-robots-tag", "omnisrc: noai", {"X-Robots-Tag": "omnisrc: noai"}),
        "tdm": ("opt-out", "tdm-reservation", "1", {"TDM-Reservation": "1"}),
        "usage": ("opt-out", "content-usage", "train-ai=n", {"Content-Usage": "train-ai=n"}),
    }
    for number, (name, (_, _, _, headers)) in enumerate(signals.items()):
        offer(table, web.add(f"/{name}", picture(number), headers=headers))
    offer(table, web.add("/fine", picture(99)))
    own = open_study(study, table, web, sets=("crawl.optout_agents=[GPTBot]",))
    run(own, class_file)
    found = {a["url"].rpartition("/")[2]: a for a in _exported(own, tmp_path)}
    assert found.pop("fine")["evidence"] is None
    assert {name: (a["state"], a["error"]) for name, a in found.items()} == {
        name: ("refused", error) for name, (error, *_) in signals.items()
    }
    for name, (_, signal, said, _) in signals.items():
        evidence = found[name]["evidence"]
        assert (evidence["signal"], evidence["said"]) == (signal, said)
        assert evidence["where"].startswith(web.url) and evidence["at"] > 1.7e9
    assert not {"/private", "/gpt", "/kept", "/reserved"} & set(web.asked)


def _exported(study: Study, folder: Path) -> list[dict[str, Any]]:
    file = folder / "assets.jsonl"
    assert main.run(["export", "assets", "--output", str(file), "--workspace", str(study.root)]) == 0
    return [json.loads(line) for line in file.read_text().splitlines()]
