"""Brokers and databases that go away in the middle of a crawl on a cluster: every asset is there exactly once."""

from __future__ import annotations

import contextlib
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from omnisrc.engine import doorbell
from omnisrc.engine.broker import LENGTH
from omnisrc.study import Study
from tests import services
from tests.local_web import LocalWeb
from tests.pipeline import killing
from tests.workers import cluster

IMAGES = 60
RATE = 20.0
MANY, LONG_S = 1200, 900.0
RESTARTS = 8


@pytest.fixture(scope="module")
def database() -> Iterator[tuple[services.Service, str]]:
    with services.postgresql() as started:
        yield started


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[services.Service, str]]:
    with services.redis() as started, _workers(started[1], tmp_path_factory.mktemp("redis")):
        yield started


@pytest.fixture(scope="module")
def rabbitmq(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[services.Service, str]]:
    with services.rabbitmq() as started, _workers(started[1], tmp_path_factory.mktemp("rabbitmq")):
        yield started


def _workers(url: str, folder: Path) -> object:
    return cluster.celery_worker(url, folder / "worker.log", "io,cpu")


@pytest.fixture
def web() -> Iterator[LocalWeb]:
    with LocalWeb() as served:
        yield served


def omnisrc(*arguments: str, workspace: Path) -> str:
    command = [sys.executable, "-m", "omnisrc", *arguments, "--workspace", str(workspace)]
    done = subprocess.run(command, cwd=cluster.ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


def half_way(web: LocalWeb, images: int = IMAGES // 3) -> None:
    services.until(lambda: sum(path.endswith(".jpg") for path in web.asked) >= images)


def balanced(workspace: Path, images: int = IMAGES) -> None:
    """Every image is stored exactly once, and every shard holds what its row says."""
    assert [row["state"] for row in killing.rows(workspace, "assets")] == ["stored"] * images
    killing.stored_once(workspace)
    assert killing.doctor(workspace)["damage"] == []


def crawl_through(fault: Callable[[], object], web: LocalWeb, workspace: Path, database_url: str, broker: str) -> str:
    """A crawl in the foreground with a fault in its middle; what it said."""
    command = cluster.make_study(workspace, web, IMAGES, database_url, host_rate=RATE)
    log = workspace / "crawl.log"
    with cluster.process(command, log, {"OMNISRC_BROKER_URL": broker}) as crawl:
        half_way(web)
        fault()
        assert crawl.wait(cluster.LIMIT_S) == 0, log.read_text()[-4000:]
    balanced(workspace)
    return log.read_text()


def test_a_flushed_and_restarted_redis_loses_nothing(
    redis: tuple[services.Service, str], database: tuple[services.Service, str], web: LocalWeb, tmp_path: Path
) -> None:
    service, url = redis

    def fault() -> None:
        service.kill()
        services.until(lambda: b"cannot be used" in (tmp_path / "study" / "crawl.log").read_bytes())
        service.start()  # it keeps nothing on disk: this flushes it too

    said = crawl_through(fault, web, tmp_path / "study", cluster.new_database(database[1], "redis"), url)
    assert said.count("The broker cannot be used") == said.count("The broker can be used again") == 1


def test_a_restarted_rabbitmq_loses_nothing(
    rabbitmq: tuple[services.Service, str], database: tuple[services.Service, str], web: LocalWeb, tmp_path: Path
) -> None:
    service, url = rabbitmq

    def fault() -> None:
        service.kill()
        service.start()

    crawl_through(fault, web, tmp_path / "study", cluster.new_database(database[1], "rabbit"), url)


def test_doorbells_on_rabbitmq_are_bounded_and_expire(
    rabbitmq: tuple[services.Service, str], study: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody answers on the queue gpu here. The broker itself drops what is too much, and what is too old."""
    monkeypatch.setattr(doorbell, "EXPIRES_S", 2.0)
    monkeypatch.setattr(doorbell.Doorbell, "_length", staticmethod(_declared_only))
    bell = doorbell.Doorbell(Study.open(study.root, (f"engine.broker={rabbitmq[1]}",)))
    bell._ring("gpu", LENGTH)
    bell._ring("gpu", LENGTH)
    monkeypatch.undo()
    assert bell.waiting()["gpu"] <= LENGTH
    services.until(lambda: bell.waiting()["gpu"] == 0, 30)


def _declared_only(queue: Any, channel: Any) -> int:
    """As if nothing ever waited: what would be rung by those who do not look."""
    queue(channel).declare()
    return 0


def test_a_restarted_postgresql_loses_nothing(
    redis: tuple[services.Service, str], database: tuple[services.Service, str], web: LocalWeb, tmp_path: Path
) -> None:
    service, url = database
    fault = lambda: (service.kill(signal.SIGQUIT), service.start())  # noqa: E731
    crawl_through(fault, web, tmp_path / "study", cluster.new_database(url, "restarted"), redis[1])


def test_two_dispatchers_finish_a_crawl_that_nobody_else_looks_after_through_every_restart(
    redis: tuple[services.Service, str], database: tuple[services.Service, str], web: LocalWeb, tmp_path: Path
) -> None:
    url, workspace = cluster.new_database(database[1], "cut"), tmp_path / "study"
    command = cluster.make_study(workspace, web, IMAGES, url, host_rate=RATE)
    broker = {"OMNISRC_BROKER_URL": redis[1]}
    subprocess.run([sys.executable, "-m", *command, "--detach"], cwd=cluster.ROOT, check=True, capture_output=True)
    dispatch = ["omnisrc", "dispatch", "--workspace", str(workspace)]
    first, second = workspace / "first.log", workspace / "second.log"
    with cluster.process(dispatch, first, broker), cluster.process(dispatch, second, broker):
        half_way(web, IMAGES // 3)
        assert cluster.cut_connections(url) > 3
        redis[0].kill()
        services.until(lambda: b"cannot be used" in first.read_bytes() and b"cannot be used" in second.read_bytes())
        redis[0].start()
        services.until(lambda: b"Crawl 1 is done." in first.read_bytes() + second.read_bytes(), cluster.LIMIT_S)
    said = first.read_text() + second.read_text()
    assert said.count("The broker cannot be used") == said.count("The broker can be used again") == 2, said
    assert said.count("Crawl 1 is done.") <= 2 and "Traceback" not in said
    balanced(workspace)


def test_a_filter_packs_everything_once_though_connections_are_cut_and_the_broker_is_flushed(
    redis: tuple[services.Service, str], database: tuple[services.Service, str], web: LocalWeb, tmp_path: Path
) -> None:
    url, workspace = cluster.new_database(database[1], "filtered"), tmp_path / "study"
    broker = {"OMNISRC_BROKER_URL": redis[1]}
    command, log = cluster.make_study(workspace, web, IMAGES, url, host_rate=0.0), workspace / "filter.log"
    with cluster.process(command, workspace / "crawl.log", broker) as crawl:
        assert crawl.wait(cluster.LIMIT_S) == 0
    small = ["--set", "filter.images_per_shard=10", "--set", "filter.near_duplicate_bits=-1"]
    command = ["omnisrc", "filter", "--rule", "all", "--engine", "celery", "--workspace", str(workspace), *small]
    cuts = 0
    with cluster.process(command, log, broker) as filtering:
        while filtering.poll() is None and cuts < 40:
            with contextlib.suppress(subprocess.TimeoutExpired):
                filtering.wait(0.5)
            cuts += cluster.cut_connections(url) > 0
            if cuts == 3:
                redis[0].kill()
                redis[0].start()
        assert filtering.wait(cluster.LIMIT_S) == 0, log.read_text()[-4000:]
    assert cuts >= 3, "it was over before it was hit"
    assert set(killing.packed(workspace).values()) == {1} and killing.packed(workspace).total() == IMAGES
    assert killing.curated_members(workspace) == IMAGES
    assert killing.doctor(workspace)["damage"] == []


def test_workers_of_a_cluster_obey_pause_resume_and_rate(
    redis: tuple[services.Service, str], database: tuple[services.Service, str], web: LocalWeb, tmp_path: Path
) -> None:
    url, workspace = cluster.new_database(database[1], "controls"), tmp_path / "study"
    images = 120
    command = cluster.make_study(workspace, web, images, url, host_rate=2.0, drain_s=60.0)
    log = workspace / "crawl.log"
    with cluster.process(command, log, {"OMNISRC_BROKER_URL": redis[1]}) as crawl:
        half_way(web, 3)
        omnisrc("crawl", "pause", workspace=workspace)
        quiet(web)
        omnisrc("crawl", "rate", web.site, "--rate", "0", workspace=workspace)
        omnisrc("crawl", "resume", workspace=workspace)
        assert crawl.wait(0.4 * images) == 0, log.read_text()[-4000:]  # at the old rate it takes longer
    balanced(workspace, images)


def strike(faults: Mapping[str, Callable[[], object]], rng: random.Random, done: Callable[[], bool]) -> Counter[str]:
    """Faults by chance, 2 to 8 s from one to the next and no name twice in a row, until `done`; how often each hit."""
    hit: Counter[str] = Counter()
    until, last = time.monotonic() + LONG_S, ""
    while not done():
        assert time.monotonic() < until, "it does not come to an end"
        pause_until = time.monotonic() + rng.uniform(2.0, 8.0)
        while time.monotonic() < pause_until and not done():
            time.sleep(0.2)
        if hit.total() < RESTARTS and not done():
            last = rng.choice([name for name in faults if name != last])
            faults[last]()
            hit[last] += 1
    return hit


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("kind", ["redis", "rabbitmq"])
def test_a_long_crawl_survives_every_restart_at_any_moment(
    kind: str, database: tuple[services.Service, str], web: LocalWeb, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """Nobody but two dispatchers looks after the crawl; broker and database go down for up to 3 s, again and again."""
    broker, broker_url = request.getfixturevalue(kind)
    server, url = database[0], cluster.new_database(database[1], f"long_{kind}")
    workspace, rng = tmp_path / "study", random.Random(f"{kind} 1")
    command = cluster.make_study(workspace, web, MANY, url, host_rate=RATE)
    environment = {"OMNISRC_BROKER_URL": broker_url}
    subprocess.run([sys.executable, "-m", *command, "--detach"], cwd=cluster.ROOT, check=True, capture_output=True)
    logs = [workspace / "first.log", workspace / "second.log"]

    def restart(service: services.Service, number: int) -> None:
        service.kill(number)
        time.sleep(rng.uniform(0.0, 3.0))
        service.start()

    faults = {
        "broker": lambda: restart(broker, signal.SIGKILL),
        "database": lambda: restart(server, signal.SIGQUIT),
        "connections": lambda: cluster.cut_connections(url),
    }
    dispatch = ["omnisrc", "dispatch", "--workspace", str(workspace)]
    with cluster.process(dispatch, logs[0], environment), cluster.process(dispatch, logs[1], environment):
        half_way(web, 10)
        done = lambda: any(b"Crawl 1 is done." in log.read_bytes() for log in logs)  # noqa: E731
        hit = strike(faults, rng, done)
    assert hit.total() == RESTARTS and len(hit) == len(faults), f"it was over before it was hit: {hit}"
    said = "".join(log.read_text() for log in logs)
    assert "Traceback" not in said, said[-4000:]
    balanced(workspace, MANY)


def quiet(web: LocalWeb) -> None:
    """Waits until the web was not asked for as long as six requests took before."""
    seen: list[int] = []

    def still() -> bool:
        seen.append(len(web.asked))
        return len(seen) > 60 and seen[-60] == seen[-1]

    services.until(still, 30)
