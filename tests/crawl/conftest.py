from __future__ import annotations

import io
import random
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from PIL import Image

from tests.local_web import LocalWeb


@pytest.fixture
def web() -> Iterator[LocalWeb]:
    with LocalWeb() as served:
        yield served


@pytest.fixture(scope="session")
def picture() -> Callable[..., bytes]:
    """Different pictures: `picture(seed, width, height, format)`."""

    def make(seed: int, width: int = 200, height: int = 150, format: str = "JPEG") -> bytes:
        dice = random.Random(seed)
        small = Image.frombytes("RGB", (8, 6), bytes(dice.randrange(256) for _ in range(8 * 6 * 3)))
        buffer = io.BytesIO()
        small.resize((width, height), Image.Resampling.BICUBIC).save(buffer, format)
        return buffer.getvalue()

    return make


@pytest.fixture
def class_file(tmp_path: Path) -> Path:
    path = tmp_path / "classes.txt"
    path.write_text("juggling balls\nbrush hair\n")
    return path


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "urls.csv"
    path.write_text("url,class\n")
    return path
