"""Fixtures shared by all tests, and what is deselected where the machine lacks it."""

from __future__ import annotations

import os
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest
from sqlalchemy import create_engine, text

from db import schema
from db.session import Database
from omnisrc import resources
from omnisrc.study import Study
from tests import object_store, services

hypothesis.settings.register_profile("no clock", deadline=None)
hypothesis.settings.load_profile("no clock")


LONG_FILES = (
    "pipeline/test_kill", "workers/test_restarts", "crawl/test_realweb", "pipeline/test_fault", "crawl/test_control",
    "deploy/test_compose", "crawl/test_realweb_providers", "workers/test_celery", "crawl/test_command", "train/",
)  # fmt: skip
"""Begun first: a file is for one process, and who begins a long one last keeps everybody waiting."""


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    def place(item: pytest.Item) -> int:
        at = item.nodeid.removeprefix("tests/")
        return next((number for number, name in enumerate(LONG_FILES) if at.startswith(name)), len(LONG_FILES))

    items.sort(key=place)  # a file's own tests keep their order

    def cuda() -> bool:
        import torch

        return torch.cuda.is_available()

    gpu = any("gpu" in item.keywords for item in items) and cuda()
    lacking = {
        item
        for item in items
        if ("realweb" in item.keywords and not os.environ.get("OMNISRC_REALWEB"))
        or ("gpu" in item.keywords and not gpu)
        or ("slow" in item.keywords and not os.environ.get("OMNISRC_SLOW"))
    }
    if lacking:
        config.hook.pytest_deselected(items=list(lacking))
        items[:] = [item for item in items if item not in lacking]


@pytest.hookimpl(trylast=True)
def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Say at once what failed: a run that is stopped half-way never comes to its summary."""
    if report.failed and not os.environ.get("PYTEST_XDIST_WORKER"):
        print(f"\n{report.nodeid} failed in its {report.when}:\n{report.longreprtext}", file=sys.__stderr__, flush=True)


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[str]:
    with services.postgresql() as (_, url):
        yield url


@pytest.fixture
def postgresql_url(postgresql_server: str) -> Iterator[str]:
    """A new, empty database on the test session's own PostgreSQL."""
    name = f"t{uuid.uuid4().hex[:12]}"
    admin = create_engine(postgresql_server, isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.execute(text(f"create database {name}"))
    yield postgresql_server.rpartition("/")[0] + f"/{name}"
    with admin.connect() as connection:
        connection.execute(text(f"drop database {name} with (force)"))
    admin.dispose()


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """A database without tables, on SQLite and on PostgreSQL."""
    url = (
        f"sqlite:///{tmp_path / 'test.db'}" if request.param == "sqlite" else request.getfixturevalue("postgresql_url")
    )
    database = Database(url)
    yield database
    database.dispose()


@pytest.fixture
def database(empty_database: Database) -> Database:
    """A database with all tables, on SQLite and on PostgreSQL."""
    schema.upgrade(empty_database, resources.migrations())
    return empty_database


@pytest.fixture
def study(tmp_path: Path) -> Iterator[Study]:
    """An empty study on SQLite."""
    made = Study.open(tmp_path / "study")
    made.prepare()
    schema.upgrade(made.database(), resources.migrations())
    yield made
    made.database().dispose()


@pytest.fixture(scope="session")
def store_server() -> Iterator[object_store.StoreServer]:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in object_store.KEYS.items():
            patch.setenv(name, value)
        with object_store.object_store() as server:
            yield server


@pytest.fixture
def bucket(store_server: object_store.StoreServer, monkeypatch: pytest.MonkeyPatch) -> object_store.Bucket:
    """A bucket of its own on an S3 server that can be told to fail, with the keys in the environment."""
    for name, value in object_store.KEYS.items():
        monkeypatch.setenv(name, value)
    return object_store.new_bucket(store_server)
