"""The real crawl against the rendered web: every behaviour comes to what its table says."""

from __future__ import annotations

import pytest

from omnisrc.demo.behaviours import BEHAVIOURS
from omnisrc.demo.server import serving
from omnisrc.demo.world import World
from omnisrc.study import Study
from tests.crawl.studies import assets, crawl, crawl_study, plan_crawl


@pytest.mark.timeout(180)
def test_every_item_comes_to_what_its_behaviour_calls_for(study: Study, world: World) -> None:
    with serving(world.web) as site:
        there = crawl_study(
            study, f"providers.commons.endpoint=http://{site}/w/api.php", f"crawl.allow_hosts=['{site}']"
        )
        top_up, _ = plan_crawl(there, world.class_list, "commons", ("image", "video"), per_class=200)
        crawl(there, top_up)
    rows = assets(there)
    by_id = {parts[-2]: row for row in rows if (parts := row["url"].split("/"))}
    items = {item.id: item for item in world.items()}
    assert by_id.keys() == items.keys() and len(rows) == len(items)
    copies = {row.of: name for name, row in world.truth().items() if row.copy == "bytes"}
    wrong = {}
    for name, item in items.items():
        got = by_id[name]["state"], by_id[name]["error"]
        if name in copies or name in copies.values():
            continue
        behaviour = BEHAVIOURS.get(item.behaviour)
        due = (behaviour.state, behaviour.error) if behaviour else ("stored", None)
        if got != due:
            wrong[name, item.behaviour] = got
    assert wrong == {}
    for original, copy in copies.items():
        assert {by_id[str(original)]["state"], by_id[copy]["state"]} == {"stored", "duplicate"}


def test_an_asset_keeps_what_the_service_said_of_it(study: Study, world: World) -> None:
    with serving(world.web) as site:
        there = crawl_study(
            study, f"providers.commons.endpoint=http://{site}/w/api.php", f"crawl.allow_hosts=['{site}']"
        )
        top_up, _ = plan_crawl(there, world.class_list, "commons", ("video",), per_class=200)
        crawl(there, top_up)
    items = {item.id: item for item in world.items()}
    for row in assets(there):
        item = items[row["url"].split("/")[-2]]
        assert row["license"] == (item.license or None)
        assert row["author"] == item.author
        assert row["title"] == item.title
        assert set(row["classes"]) <= set(item.queries)
