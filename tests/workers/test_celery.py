"""The Celery application against a real Redis: it does the ledger's work."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import select

from db.models import Job
from omnisrc.study import Study
from tests import services
from tests.local_web import LocalWeb
from tests.media_files import image_bytes
from tests.pipeline import killing
from tests.workers import cluster


@pytest.fixture(scope="module")
def broker() -> Iterator[tuple[services.Service, str]]:
    with services.redis() as started:
        yield started


@pytest.fixture
def table(tmp_path: Path) -> Iterator[list[str]]:
    """A crawl of thirty images from a local web, as a command line."""
    with LocalWeb() as web:
        urls = [web.add(f"/{at}.jpg", image_bytes(200, 160, seed=at)) for at in range(30)]
        (tmp_path / "table.csv").write_text("url,class\n" + "".join(f"{url},juggling\n" for url in urls))
        (tmp_path / "classes.txt").write_text("juggling\n")
        command = ["crawl", "--classes", str(tmp_path / "classes.txt"), "--provider", "table", "--per-class", "100"]
        settings = (f"providers.table.path={tmp_path / 'table.csv'}", f"crawl.allow_hosts=['{web.site}']")
        for setting in (*settings, "crawl.host_rate=0", "crawl.drain_s=2"):
            command += ["--set", setting]
        yield [*command, "--engine", "celery"]


def crawl(command: list[str], workspace: Path, url: str) -> subprocess.Popen[str]:
    whole = [sys.executable, "-m", "omnisrc", *command, "--workspace", str(workspace), "--json"]
    env = {**os.environ, "OMNISRC_BROKER_URL": url}
    return subprocess.Popen(whole, cwd=cluster.ROOT, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def stored(workspace: Path) -> int:
    rows = killing.rows(workspace, "assets")
    assert len({row["sha256"] for row in rows}) == len(rows)
    return sum(row["state"] == "stored" for row in rows)


def test_celery_workers_do_the_crawl(broker: tuple[services.Service, str], table: list[str], tmp_path: Path) -> None:
    with cluster.celery_worker(broker[1], tmp_path / "worker.log"):
        command = crawl(table, tmp_path / "study", broker[1])
        _, errors = command.communicate(timeout=120)
    assert command.returncode == 0, errors + (tmp_path / "worker.log").read_text()[-3000:]
    assert stored(tmp_path / "study") == 30
    assert not (tmp_path / "study" / "logs").exists(), "local workers were started"


def test_a_worker_that_is_told_to_stop_returns_what_it_holds(
    broker: tuple[services.Service, str], tmp_path: Path
) -> None:
    """A drain of five minutes: the children must hear of the signal that the main process gets."""
    workspace = tmp_path / "study"
    with LocalWeb() as web:
        command = cluster.make_study(
            workspace, web, 30, f"sqlite:///{workspace / 'catalog.db'}", host_rate=1.0, drain_s=300.0
        )
        env = {"OMNISRC_BROKER_URL": broker[1]}
        with cluster.process(command, workspace / "crawl.log", env) as crawling:
            with cluster.celery_worker(broker[1], tmp_path / "worker.log", "io") as worker:
                services.until(lambda: any(path.endswith(".jpg") for path in web.asked))
            assert worker.returncode == 0
            crawling.send_signal(signal.SIGINT)
            assert crawling.wait(30) == 130
    states = Counter(row["state"] for row in killing.rows(workspace, "assets"))
    assert set(states) == {"stored", "waiting"} and states.total() == 30
    jobs = Study.open(workspace).database().read(lambda session: session.scalars(select(Job.state)).all())
    assert "leased" not in jobs


def test_a_broker_that_is_not_there_is_one_sentence(table: list[str], tmp_path: Path) -> None:
    command = crawl(table, tmp_path / "study", f"redis://127.0.0.1:{services.free_port()}/0")
    output, _ = command.communicate(timeout=60)
    assert command.returncode == 1
    assert "message broker at redis://127.0.0.1" in json.loads(output.splitlines()[-1])["error"]
