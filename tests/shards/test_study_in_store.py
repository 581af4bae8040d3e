"""A study in an object store from crawl to training, as one on disk; and with a store that fails on the way."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from sqlalchemy import select, update

from db import ledger
from db.models import Job as JobRow
from omnisrc.cli.main import run
from omnisrc.crawl import publish
from omnisrc.engine.work import work_once
from omnisrc.errors import WorldError
from omnisrc.shards.inventory import remove_litter, take_inventory
from omnisrc.shards.places import open_storage
from omnisrc.shards.store import store_of
from omnisrc.study import Study
from tests.crawl.conftest import web  # noqa: F401
from tests.crawl.studies import hurry, plan_crawl
from tests.local_web import LocalWeb
from tests.object_store import Bucket, Fault
from tests.stored_study import SMALL, accounted, add_target, crawl_it, filter_it, line, open_study, rows_of, selected
from tests.stored_study import serve as serve_media


def test_a_study_in_a_store_is_the_same_as_one_on_disk(
    web: LocalWeb,  # noqa: F811
    bucket: Bucket,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    sets = serve_media(web, tmp_path / "media")
    studies = open_study(tmp_path / "disk", sets), open_study(tmp_path / "store", [*sets, *bucket.settings()])
    for study in studies:
        open_storage(study)
        add_target(study, tmp_path / "media")
        crawl_it(study, tmp_path / "media")
        filter_it(study, monkeypatch, name="web")
    disk, store = studies
    assert selected(store) == selected(disk) and any(row[1] is None for row in selected(disk))
    assert accounted(disk) == accounted(store, bucket)
    assert {row.kind for row in rows_of(store)} == {"landing", "curated", "target"}
    assert all(row.path.startswith(bucket.url) for row in rows_of(store))
    assert all("://" not in row.path for row in rows_of(disk))
    beside = [path.name for kind in ("landing", "curated", "target") for path in (store.root / kind).iterdir()]
    assert beside == [], "what was put to the store is in the cache alone"

    shutil.rmtree(store.root / "cache" / "shards")
    bucket.requests.clear()
    arguments = ["--name", "first", "--mix", "web,target", "--json", "--set", "train.workers=2"]
    code = run(["train", *arguments, *line(store, *SMALL, *bucket.settings())])
    said = capsys.readouterr()
    assert code == 0, said.err
    assert json.loads(said.out)["steps"] == 2
    tars = {row.path.rpartition("/")[2] for row in rows_of(store, "curated") + rows_of(store, "target")}
    assert {name: bucket.count("GET", name) for name in tars} == dict.fromkeys(tars, 1), "each once for all processes"
    text = b"".join(path.read_bytes() for path in store.root.rglob("*") if path.is_file() and path.suffix != ".tar")
    assert b"test-secret-5e3" not in text

    assert run(["report", *line(store, *bucket.settings())]) == 0
    assert (store.reports / "report.html").read_text().count("data:image/jpeg;base64,") > 3


def in_store(tmp_path: Path, web: LocalWeb, bucket: Bucket, **given: int) -> Study:  # noqa: F811
    sets = serve_media(web, tmp_path / "media", **given)
    study = open_study(tmp_path / "study", [*sets, *bucket.settings()])
    open_storage(study)
    return study


@pytest.mark.parametrize(("what", "times"), [("503", 3), ("500", 6), ("cut-request", 5), ("lost", 4)])
def test_a_crawl_whose_puts_fail_stores_every_asset_once(
    web: LocalWeb,  # noqa: F811
    bucket: Bucket,
    tmp_path: Path,
    what: str,
    times: int,
) -> None:
    study = in_store(tmp_path, web, bucket, images=6, videos=1)
    bucket.faults = [Fault("PUT", what, times=times, match=r"landing/")]
    crawl_it(study, tmp_path / "media")
    assert bucket.faults[0].times == 0
    assert accounted(study, bucket) == {"stored": 7}


def test_a_store_that_stays_away_fails_the_job_with_its_class_and_nothing_is_named(
    web: LocalWeb,  # noqa: F811
    bucket: Bucket,
    tmp_path: Path,
) -> None:
    study = in_store(tmp_path, web, bucket, images=4, videos=0)
    bucket.faults = [Fault("PUT", "503", times=10_000, match=r"landing/")]
    top_up, _ = plan_crawl(study, tmp_path / "media" / "classes.txt", "table", ("image", "video"))
    states = []
    with pytest.raises(WorldError, match=r"again and again \(storage: s3://.*: 503 SlowDown, 4 times\)"):
        while len(states) < 100:
            study.database().write(top_up)
            work_once(study, ("discover", "fetch"))
            found = study.database().read(lambda s: s.scalars(select(JobRow).where(JobRow.stage == "fetch")).all())
            states += [(job.state, job.error, job.attempts) for job in found]
            hurry(study)
    assert ("waiting", "storage", 1) in states and ("failed", "storage", 3) in states
    assert rows_of(study) == [] and bucket.shards() == set() and accounted(study) == {"waiting": 4}
    bucket.faults.clear()
    crawl_it(study, tmp_path / "media")
    assert accounted(study, bucket) == {"stored": 4}


def test_who_lost_the_lease_deletes_its_own_objects(
    web: LocalWeb,  # noqa: F811
    bucket: Bucket,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    study = in_store(tmp_path, web, bucket, images=4, videos=0)
    top_up, _ = plan_crawl(study, tmp_path / "media" / "classes.txt", "table", ("image", "video"))
    taken: list[int] = []
    store = type(store_of(study))
    put = store.put

    def put_and_lose(self, files) -> None:
        put(self, files := list(files))
        if not taken and files:
            taken.append(len(bucket.shards()))
            steal = update(JobRow).where(JobRow.state == "leased").values(lease_token="another", lease_until=0.0)
            study.database().write(lambda session: session.execute(steal))

    monkeypatch.setattr(store, "put", put_and_lose)
    work_once(study, ("discover",))
    while not taken:
        study.database().write(top_up)
        assert work_once(study, ("discover", "fetch"))
    assert taken[0] > 0 and bucket.shards() == set() and rows_of(study) == []


def test_what_a_killed_worker_put_is_litter_and_its_assets_are_fetched_again(
    web: LocalWeb,  # noqa: F811
    bucket: Bucket,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    study = in_store(tmp_path, web, bucket, images=4, videos=0)
    top_up, _ = plan_crawl(study, tmp_path / "media" / "classes.txt", "table", ("image", "video"))

    def dies(*_: object) -> None:
        raise SystemExit

    with monkeypatch.context() as patch:
        patch.setattr(publish, "_commit", dies)
        patch.setattr(publish, "drop_unrecorded", lambda *_: None)  # as SIGKILL leaves it
        with pytest.raises(SystemExit):
            while True:
                study.database().write(top_up)
                work_once(study, ("discover", "fetch"))
    left = bucket.shards()
    assert len(left) == 2 and list(take_inventory(study).litter) == [], "its lease is not over"
    ledger.reap(study.database(), dead=lambda owner: True)
    found = take_inventory(study)
    assert {f"s3://{bucket.name}/{key}" for key in left} <= set(found.litter)
    remove_litter(study, found)
    crawl_it(study, tmp_path / "media")
    assert accounted(study, bucket) == {"stored": 4}


@pytest.mark.parametrize("what", ["503", "cut-answer", "500"])
def test_a_filter_whose_reads_fail_ends_as_one_whose_do_not(
    web: LocalWeb,  # noqa: F811
    bucket: Bucket,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    what: str,
) -> None:
    study = in_store(tmp_path, web, bucket, images=6, videos=1)
    crawl_it(study, tmp_path / "media")
    shutil.rmtree(study.root / "cache" / "shards")
    bucket.faults = [Fault("GET", what, 3, r"landing/.*tar"), Fault("HEAD", "503", 2), Fault("PUT", what, 3, "npz")]
    if what == "cut-answer":
        bucket.faults[2].what = "cut-request"
    outcome = filter_it(study, monkeypatch)
    assert [fault.times for fault in bucket.faults] == [0, 0, 0]
    assert outcome.lost == {} and outcome.members["image"]["kept"] == 6 and outcome.selection.packed
    assert accounted(study, bucket) == {"stored": 7}
