"""Studies for the report's tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from db import schema
from omnisrc import resources
from omnisrc.study import Study
from tests.report import studies


@pytest.fixture(params=["sqlite", "postgresql"])
def any_study(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Study]:
    """An empty study, on SQLite and on PostgreSQL."""
    overrides = []
    if request.param == "postgresql":
        overrides = [f"database.url={request.getfixturevalue('postgresql_url')}"]
    made = Study.open(tmp_path / "study", overrides)
    made.prepare()
    schema.upgrade(made.database(), resources.migrations())
    yield made
    made.database().dispose()


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Study, studies.Built]]:
    """A whole study, shared by the tests of a module, which only read it."""
    made = Study.open(tmp_path_factory.mktemp("whole") / "study")
    made.prepare()
    schema.upgrade(made.database(), resources.migrations())
    yield made, studies.trained(made)
    made.database().dispose()
