from __future__ import annotations

import pytest

from db.models import Host
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
    study.database().read(lambda session: second.read(session, ["a.example:443"]))
    assert [second.load(ORIGIN, file.path) for file in FILES] == [file if file in files else None for file in FILES]
    assert second.load("http://a.example", ROBOTS) is None, "another port is another site"


def test_each_value_has_its_column(study: Study) -> None:
    store = HostTableStore()
    for file in FILES:
        store.save(file)
    study.database().write(store.write)
    row = study.database().read(lambda session: session.get(Host, "a.example:443"))
    assert (row.robots_status, row.robots_body, row.robots_read, row.robots_trouble) == (
        503, "User-agent: *", 2000.0, 1000.0
    )  # fmt: skip
    assert (row.tdm_status, row.tdm_body, row.tdm_read, row.tdm_trouble) == (404, "", 3000.0, None)
