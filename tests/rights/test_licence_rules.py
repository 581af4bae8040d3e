"""One policy for the whole study: at the crawl before any request, at the filter, and when a run begins."""

from __future__ import annotations

import pytest
from sqlalchemy import select, update

from db.models import Asset
from omnisrc.config import merge, parse_override
from omnisrc.data.freeze import build_manifest
from omnisrc.errors import UserError
from omnisrc.licences import LicenceRules
from omnisrc.study import Study
from omnisrc.train.run import Request, prepare
from tests.filter.stages import filter_here
from tests.mixed_world import record_world, write_world
from tests.rights.conftest import World
from tests.rights.test_takedown import states


def under(world: World, *sets: str) -> World:
    """The same study with other settings."""
    world.study = Study.open(world.study.root, (*world.study.overrides, *sets))
    return world


def offer(world: World, name: str, licence: str, url: str) -> None:
    world.offer(name, world.bytes["second"] + name.encode(), "Eve")
    text = world.table.read_text()
    lines = [line.replace("CC BY 4.0", licence).replace("https://creativecommons.org/licenses/by/4.0/", url)
             if f"/{name}," in line else line for line in text.splitlines()]  # fmt: skip
    world.table.write_text("\n".join(lines) + "\n")


@pytest.mark.parametrize("section", ["licences", "crawl.licences"])
def test_a_denied_candidate_is_refused_before_any_request(world: World, section: str) -> None:
    under(world, f'{section}.deny=["*NC*"]', f"{section}.unknown=drop")
    offer(world, "closed", "Attribution-NonCommercial License", "")
    offer(world, "by-url", "", "https://creativecommons.org/licenses/by-nc-sa/2.0/")
    offer(world, "nothing", "", "")
    offer(world, "fine", "cc-by-4.0", "")
    world.crawl()
    assert {name: states(world.study)[name] for name in ("closed", "by-url", "nothing", "fine")} == {
        "closed": ("refused", "licence"), "by-url": ("refused", "licence"), "nothing": ("refused", "licence"),
        "fine": ("stored", None),
    }  # fmt: skip
    assert [world.web.count(f"/{name}") for name in ("closed", "by-url", "nothing", "fine")] == [0, 0, 0, 1]
    detail = select(Asset.error_detail).where(Asset.url == world.urls["by-url"])
    said = world.study.database().read(lambda session: session.scalar(detail))
    assert said == "CC BY-NC-SA 2.0: not permitted by the settings"
    world.study.database().dispose()


@pytest.mark.parametrize("section", ["licences", "filter.licences"])
def test_the_filter_drops_what_is_denied_now(world: World, section: str, monkeypatch: pytest.MonkeyPatch) -> None:
    terms = {"license": None, "license_url": "https://creativecommons.org/licenses/by-nd/4.0/"}
    change = update(Asset).where(Asset.url == world.urls["third"]).values(**terms)
    world.study.database().write(lambda session: session.execute(change))
    study = under(world, f'{section}.deny=["*-nd*"]').study
    outcome = filter_here(study, monkeypatch, teacher="tiny")
    assert outcome.made and outcome.members["image"]["licence"] == 1
    study.database().dispose()


COUNTS = {("target", "train"): 4, ("target", "val"): 2, ("web-image", "train"): 9, ("web-clip", "train"): 5}


@pytest.mark.parametrize("section", ["licences", "train.licences"])
def test_a_run_leaves_out_what_is_denied_today_and_says_how_many(study: Study, section: str) -> None:
    record_world(study, write_world(study.root, COUNTS))
    whole = build_manifest(study, ("target", "web-image", "web-clip"))
    closed = {n for n in whole.web_samples if n % 8 == 0}
    tight = _with(study, f'{section}.deny=["*nd*"]', "train.model=tsn_r18")
    prepared = prepare(tight, Request(mix="web,target", name="a"))
    assert set(prepared.manifest.web_samples) == set(whole.web_samples) - closed and closed
    said = [line for line in prepared.manifest.facts["warnings"] if "were left out" in line]
    assert sum(int(line.split()[0]) for line in said) == len(closed)
    with pytest.raises(UserError, match="has kept no sample"):
        prepare(_with(study, f'{section}.allow=["CC0*"]', f"{section}.unknown=drop"), Request(name="b"))


def _with(study: Study, *sets: str) -> Study:
    settings = dict(study.settings)
    for given in sets:
        settings = merge(settings, parse_override(given))
    return Study(study.root, settings, sets)


def test_the_sections_are_of_one_kind(study: Study) -> None:
    kinds = {type(study.named(name).licences) for name in ("crawl", "filter", "train")}
    assert kinds == {LicenceRules} == {type(study.section(LicenceRules))}
