"""A study whose shards lie in an object store travels with them, to where there is no store."""

from __future__ import annotations

import shutil
import tarfile
from pathlib import Path

import pytest
from sqlalchemy import select

from db.models import Place, PredictionSet, Shard
from omnisrc.carry.arrive import import_workspace
from omnisrc.carry.export import export_workspace
from omnisrc.cli.main import run
from omnisrc.errors import UserError
from omnisrc.shards.inventory import take_inventory
from omnisrc.shards.places import open_storage
from omnisrc.shards.turns import changing_shards
from omnisrc.study import Study
from tests.carry.test_carry import landed
from tests.crawl.conftest import web  # noqa: F401
from tests.local_web import LocalWeb
from tests.object_store import Bucket, Fault
from tests.stored_study import crawl_it, filter_it, line, open_study, rows_of, selected, serve


def test_shards_of_a_store_lie_in_the_workspace_where_the_study_arrives(
    web: LocalWeb,  # noqa: F811
    bucket: Bucket,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sets = serve(web, tmp_path / "media", images=6, videos=1)
    study = open_study(tmp_path / "old", sets)
    crawl_it(study, tmp_path / "media")
    stored = open_study(tmp_path / "old", [*sets, *bucket.settings()])
    open_storage(stored)
    assert run(["shards", "move", bucket.url, "--kind", "landing", *line(study, *bucket.reading())]) == 0
    filter_it(stored, monkeypatch, name="web")
    (stored.root / "omnisrc.yaml").write_text(f"storage: {{shards: '{bucket.url}', endpoint_url: '{bucket.endpoint}'}}")
    assert {row.kind for row in rows_of(stored) if row.path.startswith(bucket.url)} == {"landing", "curated"}
    shutil.rmtree(stored.root / "cache")
    told = export_workspace(Study.open(stored.root), tmp_path / "study.tar")
    assert told.set_again == ["storage.shards", "storage.endpoint_url"]
    assert not (stored.root / "cache").exists(), "nothing was copied on the way"
    with tarfile.open(tmp_path / "study.tar") as tar:
        carried = {member.name for member in tar}
    assert bucket.shards() == {f"study/{name}" for name in carried if name.split("/")[0] in ("landing", "curated")}

    bucket.requests.clear()
    import_workspace(tmp_path / "study.tar", tmp_path / "new")
    arrived = Study.open(tmp_path / "new")
    found = take_inventory(arrived, deep=True)
    assert (found.damage, found.litter) == ([], {}) and found.shards == len(rows_of(stored)) and not bucket.requests
    assert arrived.settings == {} and selected(arrived) == selected(stored)
    places = arrived.database().read(lambda s: [*s.scalars(select(Shard.path)), *s.scalars(select(PredictionSet.path))])
    assert not any("://" in place for place in places)
    assert arrived.database().read(lambda s: s.scalars(select(Place)).all()) == []
    assert stored.database().read(lambda s: len(s.scalars(select(Place)).all())) == 1


def test_a_store_that_does_not_answer_and_an_object_that_is_gone_leave_nothing(
    study: Study, bucket: Bucket, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    landed(study)
    assert run(["shards", "move", bucket.url, *line(study, *bucket.reading())]) == 0
    export = ["export", "workspace", str(tmp_path / "study.tar"), *line(study, *bucket.reading())]
    for fault, words in (
        (Fault("GET", "503", times=99, match=r"landing.*tar"), "503 SlowDown"),
        (Fault("GET", "404 NoSuchKey", times=99, match=r"landing-2\.tar"), "went away"),
    ):
        bucket.faults = [fault]
        capsys.readouterr()
        assert run(export) == 1 and words in " ".join(capsys.readouterr().err.split())
        assert [path.name for path in tmp_path.iterdir() if "study.tar" in path.name] == []
    bucket.faults = []
    bucket.client().delete_object(Bucket=bucket.name, Key="study/landing/landing-2.tar")
    assert run(export) == 1 and "1 files of the study are missing" in " ".join(capsys.readouterr().err.split())
    assert run(["export", "workspace", str(tmp_path / "s.tar"), "--without", "landing", *line(study)]) == 0


def test_no_export_while_shards_are_moved(study: Study, tmp_path: Path) -> None:
    landed(study)
    with changing_shards(study), pytest.raises(UserError, match="being moved"):
        export_workspace(study, tmp_path / "study.tar")
    export_workspace(study, tmp_path / "study.tar")
