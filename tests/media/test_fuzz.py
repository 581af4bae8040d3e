"""Broken files through the real pool: each has an end, in time, and the pool works on. More of it: `make fuzz`."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from omnisrc.errors import ErrorClass, ItemError
from omnisrc.media.guard import GuardPool
from omnisrc.media.guard_process import START_TIMEOUT_S
from omnisrc.media.source import MediaRef
from tests.media.fuzz import Findings, ask, files, fuzz, main, peak_mb
from tests.media.mutations import MUTATIONS, mutant, pieces
from tests.media.test_guard import until
from tests.media_files import image_bytes

COUNT, SEED = 400, 0
LIMIT_S = 60.0
MEMORY_MB = 1200


@pytest.fixture(scope="module")
def pool() -> Iterator[GuardPool]:
    with GuardPool(2, memory_mb=MEMORY_MB, timeout_s=LIMIT_S) as guards:
        yield guards


@pytest.fixture(scope="module")
def found(pool: GuardPool) -> Findings:
    return fuzz(pool, COUNT, SEED)


def test_every_broken_file_ends_in_a_value_or_an_error_of_the_media(found: Findings) -> None:
    assert found.faults == {}
    assert sum(found.ends.values()) == COUNT
    assert sum(number for end, number in found.ends.items() if end.endswith("value")) > COUNT // 10
    assert sum(number for end, number in found.ends.items() if end.endswith("decode")) > COUNT // 10


def test_no_broken_file_takes_longer_than_the_guard_allows(found: Findings) -> None:
    assert max(seconds for seconds, _ in found.slowest) < LIMIT_S + START_TIMEOUT_S


def test_no_process_takes_more_memory_than_it_may_and_the_pool_works_on(found: Findings, pool: GuardPool) -> None:
    assert found.ends and 1 <= len(pool.pids()) <= 2
    assert all(100 < peak_mb(pid) <= MEMORY_MB for pid in pool.pids())
    assert pool.land_image(image_bytes(300, 200)).width == 300


def test_a_seed_makes_the_same_file_again_and_seeds_reach_every_mutation_of_every_file() -> None:
    made = [mutant(seed, files()) for seed in range(600)]
    assert made[:20] == [mutant(seed, files()) for seed in range(20)]
    words = {word for name, _ in made for word in name.split()[1:]}
    assert words == set(files()) | {mutation.__name__ for mutation in MUTATIONS}


@pytest.mark.parametrize(
    ("name", "least"), [("mp4", 20), ("mov", 15), ("avi", 10), ("webp", 1), ("png", 3), ("jpeg", 8)]
)
def test_files_are_taken_apart_by_their_own_structure(name: str, least: int) -> None:
    data = files()[name]
    parts = pieces(data)
    assert len(parts) >= least
    for part in parts:
        told = int.from_bytes(data[part.length_at : part.length_at + part.width], part.order)  # type: ignore[arg-type]
        assert 0 <= part.stop - part.start - told <= 12


def test_processes_that_crash_are_replaced_and_counted(tmp_path: Path) -> None:
    """A decoder's crash, made by its signal: the process waits in the opening of a pipe that nobody writes to."""
    picture = image_bytes(300, 200)
    path = tmp_path / "picture"
    os.mkfifo(path)
    with GuardPool(1) as own, ThreadPoolExecutor(1) as thread:
        waiting = thread.submit(own.land_image, MediaRef(str(path), 0, len(picture)))
        killed: set[int] = set()
        for _ in range(3):
            pid = until(lambda: next(iter(set(own.pids()) - killed), None))
            os.kill(pid, signal.SIGSEGV)
            killed.add(pid)
        with pytest.raises(ItemError) as caught:
            waiting.result(60)
        assert caught.value.error is ErrorClass.DECODE and own.died == {"SIGSEGV": 3}
        assert own.land_image(picture).width == 300 and not set(own.pids()) & killed


def test_a_fault_of_ours_is_told_and_fails_the_command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("tests.media.fuzz.ENDS", frozenset())
    assert main(12, 7) == 1
    said = capsys.readouterr().out
    assert "12 files from seed 7" in said and "a fault: ItemError" in said and "\nFAULT " in said


def test_an_unexpected_end_is_not_taken_for_an_error_of_the_media(pool: GuardPool, tmp_path: Path) -> None:
    with pytest.raises(RuntimeError):
        ask(pool, 1, None, image=True)  # type: ignore[arg-type]
