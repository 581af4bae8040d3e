"""A study with a crawl in it, and short ways to run its stages in this process."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from sqlalchemy import select, update

from db import catalogue
from db.models import Asset, Host, Job
from omnisrc.classes.load import load_class_list
from omnisrc.crawl.jobs import most_drains
from omnisrc.crawl.queries import Scope
from omnisrc.crawl.start import register, wanted
from omnisrc.crawl.top_up import TopUp
from omnisrc.engine.work import work_once
from omnisrc.study import Study

FAST = ("crawl.host_rate=0", "crawl.host_concurrency=4", "media.guard_processes=1", "crawl.drain_s=10")


def crawl_study(base: Study, *sets: str) -> Study:
    """The same workspace with settings for a quick crawl."""
    return Study.open(base.root, (*FAST, *sets))


def plan_crawl(
    study: Study, class_file: Path, provider: str = "commons", kinds: tuple[str, ...] = ("image",), per_class: int = 50
) -> tuple[TopUp, Scope]:
    """Registers classes and queries; what tops the crawl up, started."""
    wish = wanted(study, provider.split(","), kinds, per_class)
    scope, _ = study.database().write(lambda session: register(session, load_class_list(class_file), wish))
    top_up = TopUp(scope, overrides=study.overrides, drains=most_drains(study), longest_wait_s=60.0)
    study.database().write(top_up.start)
    return top_up, scope


def work(study: Study, *stages: str) -> int:
    """Runs open jobs of these stages that may run now; how many."""
    count = 0
    while work_once(study, stages or ("discover", "fetch")):
        count += 1
    return count


def hurry(study: Study) -> None:
    """Ends all waits of assets, hosts and jobs."""

    def write(session) -> None:
        session.execute(update(Asset).values(not_before=0.0))
        session.execute(update(Host).values(not_before=0.0, next_start=0.0))
        session.execute(update(Job).where(Job.state == "waiting").values(not_before=0.0))

    study.database().write(write)


def crawl(study: Study, top_up: TopUp, rounds: int = 12) -> None:
    """Works until nothing more comes, without waiting for pauses."""
    for _ in range(rounds):
        more = study.database().write(top_up)
        if not work(study) and not more:
            return
        hurry(study)
    raise AssertionError("the crawl does not end")


def assets(study: Study) -> list[dict]:
    return list(catalogue.assets(study.database()))


def states(study: Study) -> Counter:
    return Counter((asset["state"], asset["error"]) for asset in assets(study))


def jobs(study: Study, stage: str) -> list[Job]:
    return study.database().read(lambda s: list(s.scalars(select(Job).where(Job.stage == stage).order_by(Job.id))))
