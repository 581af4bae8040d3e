from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import func, select, update

from db import ledger
from db.ledger import LeaseLost
from db.models import Asset, Blob, Decision, Shard, Tombstone
from db.models import Job as JobRow
from omnisrc.crawl.landing import Landing, LandingRules
from omnisrc.crawl.outcome import Outcome
from omnisrc.crawl.parts import Part, Parts
from omnisrc.crawl.publish import publish
from omnisrc.crawl.site_store import HostTableStore
from omnisrc.engine.stage import Job
from omnisrc.errors import ErrorClass, ItemError
from omnisrc.media.guard import GuardPool
from omnisrc.shards.read import read_bytes
from omnisrc.shards.verify import verify_shard
from omnisrc.shards.write import ShardWriter
from omnisrc.study import Study
from omnisrc.web.download import Body


@pytest.fixture(scope="module")
def pool() -> Iterator[GuardPool]:
    with GuardPool(1) as made:
        yield made


def add_assets(study: Study, number: int) -> list[Asset]:
    def write(session) -> list[Asset]:
        made = [
            Asset(url=f"http://a/{n}", url_sha256=f"{n:064}", host="a:80", kind="image", provider="table")
            for n in range(number)
        ]
        session.add_all(made)
        session.flush()
        return made

    return study.database().write(write)


def lease(study: Study, subject: str = "drain 1") -> Job:
    database = study.database()
    database.write(lambda s: ledger.enqueue(s, "fetch", subject))
    held = ledger.claim(database, ["fetch"], "me", 600.0)
    assert held is not None
    return Job(study, held, database)


def body(data: bytes) -> Body:
    import hashlib

    return Body(data, len(data), hashlib.sha256(data).hexdigest())


def begin(study: Study, job: Job, pool: GuardPool) -> tuple[Landing, Parts]:
    landing = Landing(study.landing, f"landing-{job.token}", pool, LandingRules(16, 320, 90))
    return landing, Parts(landing, 1 << 40, lambda part: None)


async def fill(landing: Landing, parts: Parts, items: list[tuple[Asset, bytes]]) -> None:
    async def one(asset: Asset, data: bytes) -> None:
        try:
            landed, first = await landing.land(f"a{asset.id:010d}", "image", body(data))
        except ItemError as error:
            parts.add(Outcome(asset, error=error))
        else:
            parts.add(Outcome(asset, sha256=landed.sha256, key=landed.key if first else None))

    await asyncio.gather(*(one(*item) for item in items))


def land(study: Study, job: Job, pool: GuardPool, items: list[tuple[Asset, bytes]]) -> Part:
    landing, parts = begin(study, job, pool)
    asyncio.run(fill(landing, parts, items))
    part = parts.take()
    landing.close()
    return part


def check(study: Study) -> dict[int, str]:
    """Verifies all shards and members, and that nothing else lies about; the state of each asset."""

    def rows(session):
        return (
            session.scalars(select(Shard)).all(),
            session.execute(select(Blob, Shard.path).join(Shard)).all(),
            session.execute(select(Asset.id, Asset.state).order_by(Asset.id)).all(),
        )

    shards, blobs, assets = study.database().read(rows)
    for shard in shards:
        problems = verify_shard(study.root / shard.path, count=shard.count, bytes=shard.bytes, sha256=shard.sha256)
        assert problems == []
    for blob, path in blobs:
        assert read_bytes(study.root / path, blob.offset, blob.length)[:3] == b"\xff\xd8\xff"
    assert {p.name for p in study.landing.glob("*.tar")} == {Path(shard.path).name for shard in shards}
    assert len(list(study.landing.iterdir())) == 2 * len(shards)
    return {asset_id: state for asset_id, state in assets}


Picture = Callable[..., bytes]


def test_equal_bytes_in_one_drain_are_stored_once_and_fail_alike(
    study: Study, pool: GuardPool, picture: Picture
) -> None:
    assets = add_assets(study, 5)
    job = lease(study)
    same, broken = picture(1), picture(2)[:300]
    data = [same, same, broken, broken, same]
    part = land(study, job, pool, list(zip(assets, data, strict=True)))
    publish(job, part, HostTableStore())
    states = check(study)
    assert sorted(states.values()) == ["duplicate", "duplicate", "refused", "refused", "stored"]
    assert {outcome.error.error for outcome in part.outcomes if outcome.error} == {ErrorClass.DECODE}


def test_who_loses_the_race_for_equal_bytes_takes_them_out_of_its_shard(
    study: Study, pool: GuardPool, picture: Picture
) -> None:
    assets = add_assets(study, 6)
    first, second = lease(study, "drain 1"), lease(study, "drain 2")
    ours = land(study, first, pool, [(assets[n], picture(n)) for n in range(3)])
    theirs = land(study, second, pool, [(assets[n], picture(n - 2)) for n in (3, 4, 5)])  # pictures 1, 2, 3
    publish(second, theirs, HostTableStore())
    publish(first, ours, HostTableStore())
    states = check(study)
    assert [states[asset.id] for asset in assets] == ["stored", "duplicate", "duplicate", "stored", "stored", "stored"]
    blobs = study.database().read(lambda s: {a.id: a.blob_id for a in s.scalars(select(Asset))})
    assert blobs[assets[1].id] == blobs[assets[3].id] and blobs[assets[2].id] == blobs[assets[4].id]


def test_a_drain_of_nothing_but_duplicates_leaves_no_shard(study: Study, pool: GuardPool, picture: Picture) -> None:
    assets = add_assets(study, 4)
    first, second = lease(study, "drain 1"), lease(study, "drain 2")
    ours = land(study, first, pool, [(assets[n], picture(n)) for n in range(2)])
    theirs = land(study, second, pool, [(assets[n + 2], picture(n)) for n in range(2)])
    publish(first, ours, HostTableStore())
    publish(second, theirs, HostTableStore())
    assert list(check(study).values()) == ["stored", "stored", "duplicate", "duplicate"]
    assert len(list(study.landing.glob("*.tar"))) == 1


def test_a_worker_whose_lease_is_gone_deletes_what_it_made(study: Study, pool: GuardPool, picture: Picture) -> None:
    assets = add_assets(study, 2)
    job = lease(study)
    made = land(study, job, pool, [(asset, picture(asset.id)) for asset in assets])
    study.database().write(lambda s: s.execute(update(JobRow).values(lease_token="another")))
    with pytest.raises(LeaseLost):
        publish(job, made, HostTableStore())
    assert list(check(study).values()) == ["waiting", "waiting"]


def test_a_commit_whose_answer_was_lost_keeps_its_files(study: Study, pool: GuardPool, picture: Picture) -> None:
    assets = add_assets(study, 2)
    job = lease(study)
    part = land(study, job, pool, [(asset, picture(asset.id)) for asset in assets])
    real = job.commit

    def twice(write, result=None):
        real(write, result)
        return real(write, result)  # as Database.write does when the connection broke after the commit

    job.commit = twice
    with pytest.raises(LeaseLost):
        publish(job, part, HostTableStore())
    assert list(check(study).values()) == ["stored", "stored"]


def test_a_part_is_recorded_once_and_the_job_goes_on(study: Study, pool: GuardPool, picture: Picture) -> None:
    """Also where the answer to its commit was lost, and it is recorded again."""
    assets = add_assets(study, 5)
    job = lease(study)
    database = study.database()
    database.write(lambda s: s.execute(update(Asset).values(lease_token=job.token)))
    refused = Outcome(assets[2], error=ItemError(ErrorClass.ROBOTS, "not for us"))
    landing, parts = begin(study, job, pool)
    asyncio.run(fill(landing, parts, [(asset, picture(asset.id)) for asset in assets[:2]]))
    parts.add(refused)
    first = parts.take()
    real = database.write

    def twice(change):
        real(change)
        return real(change)  # as Database.write does when the connection broke after the commit

    database.write = twice
    publish(job, first, HostTableStore(), last=False)
    del database.write
    rows = dict(check(study))
    assert [rows[asset.id] for asset in assets] == ["stored", "stored", "refused", "waiting", "waiting"]
    assert database.read(lambda s: s.scalar(select(func.count()).select_from(Decision))) == 1
    held = database.read(lambda s: s.scalars(select(Asset.id).where(Asset.lease_token == job.token)).all())
    assert sorted(held) == [asset.id for asset in assets[3:]], "what is recorded is in nobody's hands"
    row = database.read(lambda s: s.get(JobRow, job.lease.job_id))
    assert (row.state, row.result["recorded"]["assets"], row.result["recorded"]["parts"]) == ("leased", 3, 1)
    asyncio.run(fill(landing, parts, [(asset, picture(asset.id)) for asset in assets[3:]]))
    publish(job, parts.take(), HostTableStore())
    landing.close()
    row = database.read(lambda s: s.get(JobRow, job.lease.job_id))
    assert list(check(study).values()).count("stored") == 4 and row.state == "done"
    assert (row.result["assets"], row.result["stored"], row.result["errors"]) == (5, 4, {"robots": 1})


def test_a_part_of_a_worker_whose_lease_is_gone_is_thrown_away(study: Study, pool: GuardPool, picture: Picture) -> None:
    assets = add_assets(study, 2)
    job = lease(study)
    made = land(study, job, pool, [(asset, picture(asset.id)) for asset in assets])
    study.database().write(lambda s: s.execute(update(JobRow).values(lease_token="another")))
    with pytest.raises(LeaseLost):
        publish(job, made, HostTableStore(), last=False)
    assert list(check(study).values()) == ["waiting", "waiting"]


def test_a_shard_that_cannot_be_closed_takes_those_of_other_media_with_it(
    study: Study, pool: GuardPool, picture: Picture, monkeypatch: pytest.MonkeyPatch
) -> None:
    assets = add_assets(study, 1)
    job = lease(study)
    part = land(study, job, pool, [(assets[0], picture(1))])
    part.writers["video"] = ShardWriter(study.landing, f"landing-{job.token}-1-video")
    part.writers["video"].write("a1", {"video": b"frames"})

    def full() -> None:
        raise ItemError(ErrorClass.STORAGE, "no space")

    monkeypatch.setattr(part.writers["image"], "close", full)
    with pytest.raises(ItemError, match="no space"):
        publish(job, part, HostTableStore())
    assert list(study.landing.iterdir()) == []


def test_bytes_that_were_taken_down_are_not_stored_again(study: Study, pool: GuardPool, picture: Picture) -> None:
    assets = add_assets(study, 2)
    job = lease(study)
    digest = body(picture(1)).sha256
    study.database().write(lambda s: s.add(Tombstone(kind="sha256", value=digest, reason="asked", created=0.0)))
    part = land(study, job, pool, [(assets[0], picture(1)), (assets[1], picture(2))])
    publish(job, part, HostTableStore())
    assert list(check(study).values()) == ["refused", "stored"]
    error = study.database().read(lambda s: s.get(Asset, assets[0].id).error)
    assert error == "taken-down"


def test_a_full_disk_leaves_nothing_behind(study: Study, pool: GuardPool, picture: Picture) -> None:
    import resource
    import signal

    assets = add_assets(study, 30)
    job = lease(study)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, before[1]))
    try:
        part = land(study, job, pool, [(a, picture(a.id, 800, 600)) for a in assets])
        with pytest.raises(ItemError) as caught:
            publish(job, part, HostTableStore())
            raise next(o.error for o in part.outcomes if o.error)
        assert caught.value.error is ErrorClass.STORAGE
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    assert list(study.landing.iterdir()) == []
