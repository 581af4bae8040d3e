from __future__ import annotations

import pytest

from omnisrc.study import Study
from tests.cli.taking_weights import fill_world


@pytest.fixture
def weights_world(study: Study) -> Study:
    """A study in which every command that takes weights can run."""
    return fill_world(study)
