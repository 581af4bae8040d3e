from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.local_web import LocalWeb


@pytest.fixture
def web() -> Iterator[LocalWeb]:
    with LocalWeb() as served:
        yield served
