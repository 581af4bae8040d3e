from __future__ import annotations

from dataclasses import replace

import pytest
from sqlalchemy import delete, select

from db.models import Asset
from db.models import SiteFile as Row
from omnisrc.crawl.site_store import HostTableStore
from omnisrc.study import Study
from omnisrc.web.optout import ROBOTS
from omnisrc.web.site_files import SiteFile
from omnisrc.web.tdmrep import PATH as TDMREP

ORIGIN = "https://a.example"
FILES = [
    SiteFile(ORIGIN, ROBOTS, 503, "User-agent: *", 2000.0, 1000.0),
    SiteFile(ORIGIN, TDMREP, 404, "", 3000.0, None),
]


@pytest.mark.parametrize("files", [FILES, FILES[:1], FILES[1:]])
def test_what_sites_say_outlives_a_drain(study: Study, files: list[SiteFile]) -> None:
    first, second = HostTableStore(), HostTableStore()
    for file in files:
        first.save(file)
    study.database().write(first.write)
    asset = Asset(url=f"{ORIGIN}/b?c")
    study.database().read(lambda session: second.read_for(session, [asset, Asset(url="file:///x"), Asset(url="no")]))
    expected = [file if file in files else None for file in FILES]
    assert [second.load(ORIGIN, file.path) for file in FILES] == expected
    assert second.load("http://a.example", ROBOTS) is None, "another port is another origin"
    third = HostTableStore()
    study.database().read(lambda session: third.read_of(session, "a.example"))
    assert [third.load(ORIGIN, file.path) for file in FILES] == expected


def test_hosts_of_one_domain_keep_files_of_their_own(study: Study) -> None:
    """They share a pace, but RFC 9309 speaks of an origin."""
    store = HostTableStore()
    mine, other = (SiteFile(f"https://{name}.a.example", ROBOTS, 200, name, 1.0) for name in ("x", "y"))
    store.save(mine)
    store.save(other)
    study.database().write(store.write)
    store.save(replace(mine, body="new", read=2.0))
    study.database().write(store.write)
    rows = study.database().read(lambda s: s.scalars(select(Row).order_by(Row.origin)).all())
    assert [(row.origin, row.host, row.body, row.read) for row in rows] == [
        (mine.origin, "a.example", "new", 2.0), (other.origin, "a.example", "y", 1.0)
    ]  # fmt: skip


def test_each_file_is_written_once_and_one_that_came_meanwhile_with_the_next(study: Study) -> None:
    store, database = HostTableStore(), study.database()
    old, other = FILES[0], FILES[1]
    new = replace(old, status=200, read=4000.0)

    def rows() -> list[tuple[str, float]]:
        found = database.read(lambda s: s.scalars(select(Row).order_by(Row.path)).all())
        return sorted((row.path, row.read) for row in found)

    store.save(old)
    database.write(store.write)
    store.save(new)  # between the transaction and its answer
    store.settle()
    database.write(lambda session: session.execute(delete(Row)) and None)
    store.save(other)
    database.write(store.write)
    assert rows() == sorted([(new.path, new.read), (other.path, other.read)])
    store.settle()
    database.write(lambda session: session.execute(delete(Row)) and None)
    database.write(store.write)
    assert rows() == [] and store.load(ORIGIN, other.path) == other, "written before; known as ever"
