"""A cluster on this machine: Celery workers, dispatchers and crawls as processes of their own, and a study for them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml
from sqlalchemy import create_engine, text

from tests import services
from tests.local_web import LocalWeb
from tests.media_files import image_bytes

ROOT = Path(__file__).resolve().parents[2]
LIMIT_S = 120.0


@contextmanager
def process(
    arguments: Sequence[str], log: Path, env: dict[str, str] | None = None, ready: bytes = b""
) -> Iterator[subprocess.Popen[bytes]]:
    """`python -m ...` until the block ends, then SIGTERM; the block begins when `ready` stands in its log."""
    environment = {**os.environ, "PYTHONUNBUFFERED": "1", "PYTHONPATH": str(ROOT), **(env or {})}
    with log.open("ab") as out:
        child = subprocess.Popen(
            [sys.executable, "-m", *arguments],
            cwd=ROOT, stdout=out, stderr=out, env=environment, start_new_session=True,
        )  # fmt: skip
    try:
        services.until(lambda: ready in log.read_bytes() or child.poll() is not None)
        assert child.poll() is None, log.read_text()[-4000:]
        yield child
    finally:
        stop(child)


def stop(child: subprocess.Popen[bytes]) -> None:
    child.send_signal(signal.SIGTERM)
    try:
        child.wait(60)
    except subprocess.TimeoutExpired:
        os.killpg(child.pid, signal.SIGKILL)
        child.wait()
        raise


@contextmanager
def celery_worker(url: str, log: Path, queues: str = "io,cpu,gpu") -> Iterator[subprocess.Popen[bytes]]:
    arguments = ["celery", "-A", "workers", "worker", "-Q", queues, "-c", "2", "-l", "INFO"]
    with process(arguments, log, {"OMNISRC_BROKER_URL": url}, b" ready.") as child:
        yield child


def new_database(server_url: str, name: str) -> str:
    """The URL of a new database on the server; an older one of the name is dropped."""
    admin = create_engine(server_url, isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.execute(text(f"drop database if exists {name} with (force)"))
        connection.execute(text(f"create database {name}"))
    admin.dispose()
    return server_url.rpartition("/")[0] + f"/{name}"


def cut_connections(url: str) -> int:
    """Ends every other connection to the database, as an administrator does; how many."""
    engine = create_engine(url)
    with engine.begin() as connection:
        cut = connection.execute(
            text(
                "select count(pg_terminate_backend(pid)) from pg_stat_activity"
                " where pid <> pg_backend_pid() and datname = current_database()"
            )
        )
        found = int(cut.scalar_one())
    engine.dispose()
    return found


def make_study(workspace: Path, web: LocalWeb, images: int, database_url: str, **crawl: Any) -> list[str]:
    """A workspace whose settings name the database, and the command line that crawls `images` from the web."""
    urls = [web.add(f"/{at}.jpg", image_bytes(160, 140, seed=at)) for at in range(images)]
    workspace.mkdir(parents=True)
    table, classes = workspace / "table.csv", workspace / "classes.txt"
    table.write_text("url,class\n" + "".join(f"{url},juggling\n" for url in urls))
    classes.write_text("juggling\n")
    settings = {
        "database": {"url": database_url},
        "providers": {"table": {"path": str(table)}},
        "crawl": {"allow_hosts": [web.site], "host_concurrency": 4, "drain_s": 2.0, "drains": 2, "shard_bytes": 50_000},
    }
    settings["crawl"] |= crawl
    (workspace / "omnisrc.yaml").write_text(yaml.safe_dump(settings))
    listed = ["--classes", str(classes), "--provider", "table", "--per-class", str(10 * images), "--media", "image"]
    return ["omnisrc", "crawl", *listed, "--engine", "celery", "--workspace", str(workspace)]
