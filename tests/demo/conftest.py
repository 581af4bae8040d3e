from __future__ import annotations

from pathlib import Path

import pytest

from omnisrc.demo.target import TargetSize
from omnisrc.demo.weblist import WebSize
from omnisrc.demo.world import World, WorldSize, render_world

SMALL = WorldSize(
    TargetSize(train=(1, 1), val=(1, 1), test=(1, 1)),
    WebSize(images=8, videos=2, leaked_images=3, leaked_videos=1, copies=2),
)


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """A small world with every behaviour."""
    return render_world(tmp_path_factory.mktemp("world"), 3, SMALL, workers=1)


@pytest.fixture(scope="session")
def web_folder(world: World) -> Path:
    return world.web
