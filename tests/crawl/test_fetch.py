from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from pathlib import Path

import pytest
from aiohttp import web as aioweb
from sqlalchemy import select

from db import schema
from db.ledger import now
from db.models import Asset, Blob, Decision, Host, HostSlot, Shard, SiteFile
from omnisrc import resources
from omnisrc.crawl.parts import Part
from omnisrc.crawl.publish import publish
from omnisrc.crawl.site_store import HostTableStore
from omnisrc.engine.stage import Job
from omnisrc.engine.work import work_once
from omnisrc.errors import ErrorClass, ItemError
from omnisrc.media.image import image_size
from omnisrc.shards.read import read_bytes
from omnisrc.shards.verify import verify_shard
from omnisrc.study import Study
from omnisrc.web.optout import ROBOTS
from omnisrc.web.tdmrep import PATH as TDMREP
from tests.crawl.studies import assets, crawl, crawl_study, hurry, jobs, plan_crawl, states, work
from tests.local_web import LocalWeb
from tests.media_files import headless_mp4, png_bomb, video_bytes
from tests.web.asking import trap

Picture = Callable[..., bytes]


def offer(table: Path, *urls: str) -> None:
    with table.open("a") as file:
        file.writelines(f"{url},brush hair\n" for url in urls)


def open_study(base: Study, table: Path, *webs: LocalWeb, sets: tuple[str, ...] = ()) -> Study:
    allow = [web.site for web in webs]
    return crawl_study(base, f"providers.table.path={table}", f"crawl.allow_hosts={allow}", *sets)


def run(study: Study, class_file: Path, kinds: tuple[str, ...] = ("image",)) -> None:
    top_up, _ = plan_crawl(study, class_file, "table", kinds)
    crawl(study, top_up)


def by_name(study: Study) -> dict[str, tuple[str, str | None, int | None]]:
    return {a["url"].rpartition("/")[2]: (a["state"], a["error"], a["http_status"]) for a in assets(study)}


def media_asked(web: LocalWeb) -> int:
    """Requests for anything but what sites say to robots."""
    return sum(path not in (ROBOTS, TDMREP) for path in web.asked)


def check_shards(study: Study) -> int:
    """Every shard is sound, every blob's member is where its row says; the number of blobs."""

    def rows(session):
        return session.scalars(select(Shard)).all(), session.execute(select(Blob, Shard.path).join(Shard)).all()

    shards, blobs = study.database().read(rows)
    for shard in shards:
        path = study.root / shard.path
        assert verify_shard(path, count=shard.count, bytes=shard.bytes, sha256=shard.sha256) == []
    for blob, path in blobs:
        data = read_bytes(study.root / path, blob.offset, blob.length)
        assert len(data) == blob.length
        if blob.medium == "image":
            assert image_size(data)
    assert sum(shard.count for shard in shards) == len(blobs)
    on_disk = {path.name for path in study.landing.iterdir()}
    assert on_disk == {Path(s.path).with_suffix(end).name for s in shards for end in (".tar", ".idx")}
    return len(blobs)


def once(web: LocalWeb, path: str, then: bytes, **first: object) -> str:
    """A URL that answers `first` the first time."""

    async def answer(request: aioweb.Request) -> aioweb.Response:
        again = web.count(path) > 1
        return aioweb.Response(body=then) if again else aioweb.Response(**first)

    web.routes[path] = answer
    return web.url + path


def test_every_behaviour_has_its_outcome(
    study: Study, web: LocalWeb, table: Path, class_file: Path, picture: Picture
) -> None:
    async def cut(request: aioweb.Request) -> aioweb.StreamResponse:
        response = aioweb.StreamResponse(headers={"Content-Length": "50000"})
        await response.prepare(request)
        await response.write(picture(8)[:2000])
        request.transport.close()
        return response

    async def drip(request: aioweb.Request) -> aioweb.StreamResponse:
        response = aioweb.StreamResponse(headers={"Content-Length": "5000"})
        await response.prepare(request)
        for _ in range(1000):
            await response.write(b"\xff\xd8\xff\xe0\x00")
            await asyncio.sleep(0.02)
        return response

    web.add("/robots.txt", b"User-agent: *\nDisallow: /private/\n")
    web.routes |= {"/cut": cut, "/drip": drip}
    with trap() as seen:
        offer(
            table,
            web.add("/ok", picture(1)),
            web.add("/same", picture(1)),
            web.add("/gone", status=404),
            once(web, "/500-once", picture(2), status=500),
            once(web, "/429-once", picture(3), status=429, headers={"Retry-After": "1"}),
            web.add("/503", status=503),
            web.redirect("/moved", "/ok2"),
            web.redirect("/inside", f"http://127.0.0.99:{seen[0]}/latest/meta-data/"),
            web.redirect("/loop", "/loop"),
            web.add("/html", b"<!doctype html><html><body>moved</body></html>", headers={"Content-Type": "image/jpeg"}),
            web.add("/empty", headers={"Content-Type": "image/jpeg"}),
            web.add("/broken", picture(4)[: len(picture(4)) // 2]),
            web.add("/bomb", png_bomb(20_000, 20_000)),
            web.add("/tiny", picture(5, 100, 400)),
            web.add("/video", video_bytes(12, width=160, height=128)),
            web.add("/noai", picture(6), headers={"X-Robots-Tag": "noai, noimageai"}),
            web.add("/private/a", picture(7)),
            web.add("/large", picture(9) + bytes(3_000_000)),
            web.url + "/cut",
            web.url + "/drip",
            "http://10.0.0.1/a",
            "http://nowhere.invalid/a",
        )
        web.add("/ok2", picture(10))
        own = open_study(
            study, table, web, sets=("crawl.max_image_bytes=2000000", "crawl.image_deadline_s=1", "crawl.min_speed=0")
        )
        run(own, class_file)
    assert len(seen) == 1, "nobody connected to the inside address"
    outcome = by_name(own)
    first, second = sorted([outcome.pop("ok"), outcome.pop("same")], reverse=True)
    assert (first[0], second[0]) == ("stored", "duplicate")
    outcome["nowhere"] = outcome.pop("a") if outcome["a"][1] == "dns" else ("failed", "dns", None)
    outcome.pop("a", None)
    assert outcome == {
        "gone": ("failed", "http-4xx", 404), "500-once": ("stored", None, 200), "429-once": ("stored", None, 200),
        "503": ("failed", "http-5xx", 503), "moved": ("stored", None, 200),
        "inside": ("refused", "refused-address", None),
        "loop": ("failed", "redirect", 302), "html": ("refused", "not-media", 200), "empty": ("refused", "empty", 200),
        "broken": ("refused", "decode", 200), "bomb": ("refused", "bomb", 200), "tiny": ("refused", "too-small", 200),
        "video": ("refused", "not-media", 200), "noai": ("refused", "opt-out", 200),
        "large": ("refused", "too-large", 200), "cut": ("failed", "truncated", 200),
        "drip": ("failed", "timeout", 200), "nowhere": ("failed", "dns", None),
    }  # fmt: skip
    assert {(a["url"], a["state"], a["error"]) for a in assets(own) if a["url"].endswith("/a")} == {
        (web.url + "/private/a", "refused", "robots"), ("http://10.0.0.1/a", "refused", "refused-address"),
        ("http://nowhere.invalid/a", "failed", "dns"),
    }  # fmt: skip
    assert check_shards(own) == 4
    assert web.count("/private/a") == 0 and web.count("/robots.txt") == 1
    assert web.count("/503") == 4 and web.count("/gone") == 1
    assert web.most <= 4

    def evidence(session):
        return dict(session.execute(select(Decision.kind, Decision.evidence)).all())

    kept = own.database().read(evidence)
    assert kept["opt-out"]["said"] == "noai, noimageai"
    assert kept["robots"]["status"] == 200 and len(kept["robots"]["sha256"]) == 64
    assert "refused-address" in kept


def test_images_land_resized_with_their_hash_and_the_size_they_had(
    study: Study, web: LocalWeb, table: Path, class_file: Path, picture: Picture
) -> None:
    offer(table, web.add("/large", picture(1, 1600, 1200)), web.add("/small", picture(2, 200, 150, "PNG")))
    own = open_study(study, table, web)
    run(own, class_file)
    found = {a["url"].rpartition("/")[2]: a for a in assets(own)}
    assert (found["large"]["width"], found["large"]["height"]) == (1600, 1200)

    def stored(session):
        return session.execute(
            select(Asset.url, Blob, Shard.path).join(Blob, Blob.id == Asset.blob_id).join(Shard)
        ).all()

    sizes = {}
    for url, blob, path in own.database().read(stored):
        data = read_bytes(own.root / path, blob.offset, blob.length)
        sizes[url.rpartition("/")[2]] = image_size(data)
        assert data[:3] == b"\xff\xd8\xff" and len(blob.phash) == 32 and blob.mime == "image/jpeg"
    assert sizes == {"large": (427, 320), "small": (200, 150)}


def test_videos_land_as_they_came_and_probed(study: Study, web: LocalWeb, table: Path, class_file: Path) -> None:
    clip = video_bytes(25, width=176, height=144, seed=3)
    offer(
        table,
        web.add("/a.mp4", clip),
        web.add("/headless.mp4", headless_mp4(clip)),
        web.add("/small.mp4", video_bytes(5, width=64, height=48)),
    )
    own = open_study(study, table, web)
    run(own, class_file, kinds=("video",))
    outcome = {name: (state, error) for name, (state, error, _) in by_name(own).items()}
    assert outcome == {
        "a.mp4": ("stored", None), "headless.mp4": ("refused", "decode"), "small.mp4": ("refused", "too-small")
    }  # fmt: skip

    def stored(session):
        return session.execute(select(Blob, Shard.path, Shard.medium).join(Shard)).one()

    blob, path, medium = own.database().read(stored)
    assert read_bytes(own.root / path, blob.offset, blob.length) == clip and medium == "video"
    assert (blob.width, blob.height, blob.frames, blob.mime) == (176, 144, 25, "video/mp4")
    assert blob.duration == pytest.approx(1.0, abs=0.3) and blob.sha256 == blob.stored_sha256


def test_files_of_the_users_folder_land_and_no_others(
    study: Study, class_file: Path, picture: Picture, tmp_path: Path, table: Path
) -> None:
    root = tmp_path / "own"
    (root / "Brush Hair").mkdir(parents=True)
    (root / "Brush Hair" / "ä 1.jpg").write_bytes(picture(1))
    (root / "Brush Hair" / "broken.jpg").write_bytes(b"no picture")
    (root / "Brush Hair" / "outside.jpg").symlink_to(tmp_path / "secret.jpg")
    (tmp_path / "secret.jpg").write_bytes(picture(2))
    offer(table, (tmp_path / "secret.jpg").as_uri())
    own = crawl_study(study, f"providers.folder.path={root}", f"providers.table.path={table}")
    top_up, _ = plan_crawl(own, class_file, "folder,table")
    crawl(own, top_up)
    assert states(own) == {("stored", None): 1, ("refused", "not-media"): 1, ("refused", "bad-url"): 2}


def test_equal_bytes_of_another_day_are_a_duplicate_of_what_is_stored(
    study: Study, web: LocalWeb, table: Path, class_file: Path, picture: Picture
) -> None:
    offer(table, *[web.add(f"/{n}", picture(n)) for n in range(5)])
    own = open_study(study, table, web)
    run(own, class_file)
    before = check_shards(own)
    table.write_text("url,class\n")
    offer(table, *[web.add(f"/again{n}", picture(n)) for n in range(4)], web.add("/new", picture(77)))
    own.database().write(lambda s: s.execute(Asset.__table__.update().values(not_before=0)))
    top_up, _ = plan_crawl(open_study(study, table, web), class_file, "table,commons", per_class=500)
    _reopen(own)
    crawl(own, top_up)
    assert check_shards(own) == before + 1 == 6
    outcome = by_name(own)
    assert {outcome[f"again{n}"] for n in range(4)} == {("duplicate", None, 200)}
    stored = {a["url"].rpartition("/")[2]: a["sha256"] for a in assets(own)}
    assert all(stored[f"again{n}"] == stored[str(n)] for n in range(4))


def _reopen(study: Study) -> None:
    """Lets the table be read again from its start, as if it were another."""
    from sqlalchemy import delete, update

    from db.models import Job, Query, QueryPage

    def write(session) -> None:
        session.execute(delete(QueryPage))
        session.execute(delete(Job).where(Job.stage == "discover"))
        session.execute(update(Query).where(Query.provider == "table").values(exhausted=False))
        session.execute(update(Query).where(Query.provider == "commons").values(exhausted=True))

    study.database().write(write)


def test_a_drain_records_what_is_enough_for_a_shard_and_goes_on(
    study: Study, web: LocalWeb, table: Path, class_file: Path, picture: Picture
) -> None:
    """Bytes that came before are duplicates, whichever part they were in."""
    offer(table, *[web.add(f"/{n}", picture(n % 40)) for n in range(50)])
    own = open_study(study, table, web, sets=("crawl.shard_bytes=30000",))
    run(own, class_file)
    assert check_shards(own) == 40
    assert states(own) == {("stored", None): 40, ("duplicate", None): 10}
    shards = own.database().read(lambda s: s.scalars(select(Shard)).all())
    assert len(shards) > 3 and all(30_000 <= shard.bytes < 100_000 for shard in shards[:-1])
    (drain,) = [job for job in jobs(own, "fetch") if job.result["assets"]]
    assert (drain.result["assets"], drain.result["stored"]) == (50, 40)
    held = own.database().read(lambda s: s.scalars(select(Asset.id).where(Asset.lease_token.is_not(None))).all())
    assert held == []


def test_a_part_that_cannot_be_recorded_ends_the_drain_and_no_other_part_is_lost(
    study: Study, web: LocalWeb, table: Path, class_file: Path, picture: Picture, monkeypatch: pytest.MonkeyPatch
) -> None:
    offer(table, *[web.add(f"/i/{n}", picture(n)) for n in range(60)])
    own = open_study(study, table, web, sets=("crawl.shard_bytes=30000", "crawl.host_concurrency=2"))
    top_up, _ = plan_crawl(own, class_file, "table", per_class=100)
    own.database().write(top_up)
    work(own, "discover")
    own.database().write(top_up)

    def full(job: Job, part: Part, store: HostTableStore, *, last: bool = True) -> None:
        if part.number == 2:
            part.abort()
            raise ItemError(ErrorClass.STORAGE, "no space")
        publish(job, part, store, last=last)

    with monkeypatch.context() as patch:
        patch.setattr("omnisrc.crawl.fetch.publish", full)
        assert work_once(own, ["fetch"])
    (drain,) = [job for job in jobs(own, "fetch") if job.error]
    assert (drain.state, drain.error) == ("waiting", "storage")
    kept, asked = check_shards(own), sum(path.startswith("/i/") for path in web.asked)
    assert kept > 0 and states(own) == {("stored", None): kept, ("waiting", None): 60 - kept}
    assert asked < 50, "nothing more was begun"
    hurry(own)
    crawl(own, top_up)
    assert check_shards(own) == 60 and states(own) == {("stored", None): 60}


def test_hosts_are_drained_side_by_side_each_within_its_limit(
    study: Study, table: Path, class_file: Path, picture: Picture
) -> None:
    async def slow(request: aioweb.Request) -> aioweb.Response:
        await asyncio.sleep(0.03)
        return aioweb.Response(body=picture(int(request.path[1:])))

    with LocalWeb() as a, LocalWeb(address="127.0.0.2") as b, LocalWeb(address="127.0.0.3") as c:
        for at, web in enumerate((a, b, c)):
            web.routes |= {f"/{at}{n:02}": slow for n in range(15)}
        offer(table, *[w.url + path for w in (a, b, c) for path in w.routes])
        own = open_study(
            study, table, a, b, c,
            sets=(
                "crawl.host_concurrency=3", f'crawl.hosts."{b.site}".concurrency=1',
                'crawl.hosts."127.0.0.3".concurrency=5',
            ),
        )  # fmt: skip
        run(own, class_file)
        assert (a.most, b.most, c.most) == (3, 1, 5)
        assert states(own) == {("stored", None): 45}
        assert len(jobs(own, "fetch")) == 1


def test_a_redirect_to_another_host_takes_a_slot_there(
    study: Study, table: Path, class_file: Path, picture: Picture
) -> None:
    async def slow(request: aioweb.Request) -> aioweb.Response:
        await asyncio.sleep(0.03)
        return aioweb.Response(body=picture(int(request.path[1:])))

    with LocalWeb() as front, LocalWeb(address="127.0.0.2") as store:
        store.routes |= {f"/{n}": slow for n in range(12)}
        offer(table, *[front.redirect(f"/{n}", f"{store.url}/{n}") for n in range(12)])
        own = open_study(study, table, front, store, sets=("crawl.hosts={127.0.0.2: {concurrency: 1}}",))
        run(own, class_file)
        assert store.most == 1 and states(own) == {("stored", None): 12}
        held = own.database().read(lambda s: s.scalars(select(HostSlot.token)).all())
        assert set(held) == {None}, "all slots were given back"


def test_a_pace_is_kept_and_left_behind_for_the_next_drain(
    study: Study, web: LocalWeb, table: Path, class_file: Path, picture: Picture
) -> None:
    web.add("/robots.txt", b"User-agent: *\nCrawl-delay: 30\n")
    offer(table, *[web.add(f"/{n}", picture(n)) for n in range(5)])
    own = open_study(study, table, web)
    top_up, _ = plan_crawl(own, class_file, "table")
    own.database().write(top_up)
    work(own)
    assert media_asked(web) <= 1
    row = own.database().read(lambda s: s.get(Host, web.site))
    file = own.database().read(lambda s: s.get(SiteFile, (web.url, "/robots.txt")))
    assert row.not_before > 0 and "Crawl-delay" in file.body
    asked = len(web.asked)
    own.database().write(top_up)
    work(own)
    assert len(web.asked) == asked, "nobody asks before the delay is over"
    assert states(own)["waiting", None] >= 4


def test_a_host_that_asks_for_a_pause_is_left_alone_and_its_assets_keep_their_tries(
    study: Study, web: LocalWeb, table: Path, class_file: Path, picture: Picture
) -> None:
    offer(table, *[web.add(f"/{n}", status=429, headers={"Retry-After": "300"}) for n in range(40)])
    own = open_study(study, table, web)
    top_up, _ = plan_crawl(own, class_file, "table")
    own.database().write(top_up)
    work(own)
    asked = media_asked(web)
    assert 1 <= asked <= 4, "no more than were under way at once"
    row = own.database().read(lambda s: s.get(Host, web.site))
    tried = own.database().read(lambda s: s.scalars(select(Asset.attempts)).all())
    assert row.not_before > 0 and sorted(tried) == [0] * (40 - asked) + [1] * asked
    assert own.database().write(top_up) is False and 200 < top_up.waits_s <= 300


def test_a_host_that_names_no_pause_gets_longer_ones_from_drain_to_drain(
    study: Study, web: LocalWeb, table: Path, class_file: Path, picture: Picture
) -> None:
    offer(table, *[web.add(f"/{n}", status=429) for n in range(60)])
    own = open_study(study, table, web)
    top_up, _ = plan_crawl(own, class_file, "table", per_class=100)
    pauses = []
    for _ in range(4):
        own.database().write(top_up)
        moment = own.database().read(now)
        work(own)
        pauses.append(own.database().read(lambda s: s.get(Host, web.site)).not_before - moment)
        hurry(own)
    assert pauses[0] >= 2.0 and pauses[-1] > 2 * pauses[0] and max(pauses) < 400


def test_robots_txt_is_read_once_for_all_drains_of_a_day(
    study: Study, web: LocalWeb, table: Path, class_file: Path, picture: Picture
) -> None:
    web.add("/robots.txt", b"User-agent: *\nDisallow: /x\n")
    offer(table, *[web.add(f"/{n}", picture(n)) for n in range(12)])
    own = open_study(study, table, web, sets=("crawl.host_rate=20", "crawl.drain_s=0.3"))
    run(own, class_file)
    assert states(own) == {("stored", None): 12}
    assert len(jobs(own, "fetch")) > 1 and web.count(ROBOTS) == web.count(TDMREP) == 1


def test_a_robots_txt_in_trouble_forbids_everything_and_is_tried_again(
    study: Study, web: LocalWeb, table: Path, class_file: Path, picture: Picture
) -> None:
    web.add("/robots.txt", status=503)
    offer(table, web.add("/a", picture(1)))
    own = open_study(study, table, web)
    run(own, class_file)
    assert by_name(own) == {"a": ("refused", "robots", 503)} and web.count("/a") == 0


def test_a_stop_returns_what_was_not_begun(
    study: Study, web: LocalWeb, table: Path, class_file: Path, picture: Picture
) -> None:
    offer(table, *[web.add(f"/{n}", picture(n)) for n in range(60)])
    own = open_study(study, table, web, sets=("crawl.host_concurrency=2",))
    top_up, _ = plan_crawl(own, class_file, "table", per_class=100)
    own.database().write(top_up)
    work(own, "discover")
    own.database().write(top_up)
    work_once(own, ["fetch"], lambda: len(web.asked) > 20)
    counted = states(own)
    assert counted["stored", None] >= 18 and counted["waiting", None] >= 30
    held = own.database().read(lambda s: s.scalars(select(Asset.id).where(Asset.lease_token.is_not(None))).all())
    assert held == [] and check_shards(own) == counted["stored", None]


def test_a_crawl_on_postgresql_comes_out_alike(
    postgresql_url: str, web: LocalWeb, table: Path, class_file: Path, picture: Picture, tmp_path: Path
) -> None:
    base = Study.open(tmp_path / "study")
    base.prepare()
    own = open_study(base, table, web, sets=(f"database.url={postgresql_url}", "crawl.shard_bytes=20000"))
    schema.upgrade(own.database(), resources.migrations())
    web.add("/robots.txt", b"User-agent: *\nDisallow: /private/\n")
    offer(table, *[web.add(f"/{n}", picture(n % 20)) for n in range(25)])
    offer(table, web.add("/private/a", picture(50)), web.add("/noai", picture(51), headers={"X-Robots-Tag": "noai"}))
    offer(table, once(web, "/busy", picture(52), status=429, headers={"Retry-After": "1"}))
    try:
        run(own, class_file)
        assert states(own) == {
            ("stored", None): 21, ("duplicate", None): 5, ("refused", "robots"): 1, ("refused", "opt-out"): 1
        }  # fmt: skip
        assert check_shards(own) == 21
    finally:
        own.database().dispose()


def test_random_bytes_never_break_a_drain(
    study: Study, web: LocalWeb, table: Path, class_file: Path, picture: Picture
) -> None:
    dice = random.Random(5)
    for number in range(30):
        data = bytearray(picture(number, format=dice.choice(["JPEG", "PNG", "WEBP", "GIF"])))
        for _ in range(dice.randrange(1, 60)):
            data[dice.randrange(12, len(data))] = dice.randrange(256)
        offer(table, web.add(f"/{number}", bytes(data)))
    own = open_study(study, table, web)
    run(own, class_file)
    counted = states(own)
    assert sum(counted.values()) == 30 and {state for state, _ in counted} <= {"stored", "refused"}
    assert check_shards(own) == counted["stored", None]
