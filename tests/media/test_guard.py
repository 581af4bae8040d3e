import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from omnisrc.errors import ErrorClass, ItemError
from omnisrc.media import guard_process
from omnisrc.media.clips import clip_frames
from omnisrc.media.encode import cut_clip
from omnisrc.media.guard import GuardPool
from omnisrc.media.heap import SLACK_MB, resident_mb
from omnisrc.media.image import land_image
from omnisrc.media.probe import probe_video
from omnisrc.media.sampling import SampleFrames
from omnisrc.media.shots import segment_video
from omnisrc.media.source import MediaRef
from omnisrc.media.wire import WireError, receive, send
from tests.media_files import faststart, image_bytes, live_webm, moving_frames, png_bomb, video_bytes


@pytest.fixture(scope="module")
def pool() -> Any:
    with GuardPool(2) as guards:
        yield guards


def until(holds: Callable[[], Any], seconds: float = 20.0) -> Any:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if found := holds():
            return found
        time.sleep(0.01)
    raise AssertionError("did not come to hold")


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


PICTURE = image_bytes(300, 200)


def hanging_call(pool: GuardPool, folder: Path) -> tuple[Future[Any], Path]:
    """A call that waits in the guard process for a pipe that nobody writes to, until the file is replaced."""
    path = folder / "picture"
    os.mkfifo(path)
    runner = ThreadPoolExecutor(1)
    future = runner.submit(pool.land_image, MediaRef(str(path), 0, len(PICTURE)))
    runner.shutdown(wait=False)
    return future, path


def blocked_pid(pool: GuardPool, path: Path, *, but: set[int]) -> int:
    """The guard process that is opening the pipe."""

    def found() -> int | None:
        for pid in set(pool.pids()) - but:
            try:
                if "wait_for_partner" in Path(f"/proc/{pid}/wchan").read_text():
                    return pid
            except OSError:
                continue
        return None

    try:
        return int(until(found, 5.0))
    except AssertionError:  # a kernel that hides wchan: it has had time enough to get there
        return next(iter(set(pool.pids()) - but))


def test_an_image_lands_as_it_does_without_a_guard(pool: GuardPool, tmp_path: Path) -> None:
    data = image_bytes(700, 500, orientation=6)
    (tmp_path / "x").write_bytes(b"12345" + data)
    want = land_image(data, short_side=200, quality=80)
    for source in (data, MediaRef(str(tmp_path / "x"), 5, len(data))):
        assert pool.land_image(source, short_side=200, quality=80) == want


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (b"", ErrorClass.EMPTY),
        (b"<html>", ErrorClass.NOT_MEDIA),
        (image_bytes(400, 300)[:3000], ErrorClass.DECODE),
        (image_bytes(60, 60), ErrorClass.TOO_SMALL),
    ],
)
def test_what_the_task_finds_comes_back_as_an_item_error(pool: GuardPool, data: bytes, error: ErrorClass) -> None:
    with pytest.raises(ItemError) as caught:
        pool.land_image(data)
    assert caught.value.error is error and caught.value.detail


def test_video_tasks_give_what_they_give_without_a_guard(pool: GuardPool, tmp_path: Path) -> None:
    data = video_bytes([f for seed in (1, 2) for f in moving_frames(50, 160, 120, seed=seed)])
    (tmp_path / "x").write_bytes(b"123" + data)
    tsn, windows = SampleFrames(1, num_clips=3, test_mode=True), [(0.0, 2.0), (2.0, 4.0)]
    for source in (data, MediaRef(str(tmp_path / "x"), 3, len(data))):
        assert pool.probe_video(source) == probe_video(data)
        found, want = pool.segment_video(source), segment_video(data)
        assert (found.info, found.windows) == (want.info, want.windows)
        assert np.array_equal(found.hashes, want.hashes) and np.array_equal(found.seconds, want.seconds)
        got = pool.clip_frames(source, windows, tsn, short_side=64)
        for ours, theirs in zip(got, clip_frames(data, windows, tsn, short_side=64), strict=True):
            assert np.array_equal(ours.frames, theirs.frames) and np.array_equal(ours.indices, theirs.indices)
        assert pool.cut_clip(source, 1.0, 2.0, short_side=100) == cut_clip(data, 1.0, 2.0, short_side=100)


def test_a_mistake_of_ours_is_no_fault_of_the_item(pool: GuardPool) -> None:
    with pytest.raises(RuntimeError, match="TypeError"):
        pool.call("land_image", image_bytes(), no_such_option=1)
    assert pool.land_image(image_bytes()).width == 320


def test_many_threads_share_the_processes(pool: GuardPool) -> None:
    pictures = [image_bytes(300 + n, 200, seed=n) for n in range(24)]
    with ThreadPoolExecutor(6) as threads:
        landed = list(threads.map(pool.land_image, pictures))
    assert [x.width for x in landed] == [300 + n for n in range(24)]
    assert len(pool.pids()) <= 2


def test_a_process_outlives_the_thread_that_first_needed_it() -> None:
    with GuardPool(1) as pool:
        thread = threading.Thread(target=pool.land_image, args=(image_bytes(),))
        thread.start()
        thread.join()
        [pid] = pool.pids()
        pool.land_image(image_bytes())
        assert pool.pids() == [pid] and alive(pid)
    assert not alive(pid)


def test_a_process_killed_in_mid_call_is_replaced_and_the_item_retried(tmp_path: Path) -> None:
    with GuardPool(1) as pool:
        future, path = hanging_call(pool, tmp_path)
        pid = blocked_pid(pool, path, but=set())
        (tmp_path / "real").write_bytes(PICTURE)
        os.replace(tmp_path / "real", path)
        os.kill(pid, signal.SIGKILL)
        assert future.result(20).width == 300
        assert pool.pids() != [pid]


def test_a_process_killed_while_it_starts_is_replaced() -> None:
    def starting() -> set[int]:
        texts = [path.read_text() for path in Path(f"/proc/{os.getpid()}/task").glob("*/children")]
        return {int(pid) for text in texts for pid in text.split()} - before

    before: set[int] = set()
    before = starting()
    with GuardPool(1) as pool, ThreadPoolExecutor(1) as thread:
        future = thread.submit(pool.land_image, image_bytes())
        until(lambda: bool(starting()))
        assert pool.pids() == [], "it has started already"
        os.kill(starting().pop(), signal.SIGKILL)
        assert future.result(60).width == 320


@pytest.mark.parametrize(
    ("killer", "error"), [(signal.SIGKILL, ErrorClass.WORKER_LOST), (signal.SIGSEGV, ErrorClass.DECODE)]
)
def test_three_deaths_set_the_item_aside(tmp_path: Path, killer: signal.Signals, error: ErrorClass) -> None:
    with GuardPool(1) as pool:
        future, path = hanging_call(pool, tmp_path)
        seen: set[int] = set()
        for _ in range(3):
            pid = until(lambda: blocked_pid(pool, path, but=seen) if set(pool.pids()) - seen else None)
            seen.add(pid)
            os.kill(pid, killer)
        with pytest.raises(ItemError) as caught:
            future.result(20)
        assert caught.value.error is error
        assert pool.land_image(image_bytes()).width == 320


def test_a_call_that_hangs_is_killed_at_the_timeout(tmp_path: Path) -> None:
    with GuardPool(1, timeout_s=1.0) as pool:
        pool.land_image(image_bytes())
        [pid] = pool.pids()
        future, _ = hanging_call(pool, tmp_path)
        with pytest.raises(ItemError, match="more than 1 s") as caught:
            future.result(20)
        assert caught.value.error is ErrorClass.DECODE
        assert not alive(pid)
        assert pool.land_image(image_bytes()).width == 320


def test_memory_is_bounded() -> None:
    with GuardPool(1, memory_mb=500) as pool:
        pool.land_image(image_bytes())
        with pytest.raises(ItemError, match="500 MB") as caught:
            pool.land_image(png_bomb(13_000, 13_000), max_pixels=1 << 40)
        assert caught.value.error is ErrorClass.BOMB
        assert pool.land_image(image_bytes()).width == 320


def test_no_process_outlives_a_parent_that_is_killed(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    script = """
        import sys, threading, time
        from omnisrc.media.guard import GuardPool
        from omnisrc.media.source import MediaRef
        pool = GuardPool(2)
        for _ in range(2):
            threading.Thread(target=pool.land_image, args=(MediaRef(sys.argv[1], 0, 9),), daemon=True).start()
        while len(pool.pids()) < 2:
            time.sleep(0.01)
        print(*pool.pids(), flush=True)
        time.sleep(60)
    """
    parent = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(script), str(tmp_path / "pipe")], stdout=subprocess.PIPE, text=True
    )
    assert parent.stdout is not None
    pids = [int(pid) for pid in parent.stdout.readline().split()]
    assert len(pids) == 2 and all(alive(pid) for pid in pids)
    parent.kill()
    parent.wait()
    until(lambda: not any(alive(pid) for pid in pids), 10.0)


def run_script(script: str) -> str:
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_pool_that_was_never_closed_ends_with_its_process() -> None:
    pids = run_script("""
        from omnisrc.media.guard import GuardPool
        from tests.media_files import image_bytes
        pool = GuardPool(1)
        pool.land_image(image_bytes())
        print(*pool.pids())
    """)
    until(lambda: not any(alive(int(pid)) for pid in pids.split()), 10.0)


def test_a_pool_is_refused_in_a_forked_process() -> None:
    printed = run_script("""
        import os
        from omnisrc.media.guard import GuardPool
        from tests.media_files import image_bytes
        with GuardPool(1) as pool:
            pool.land_image(image_bytes())
            if os.fork() == 0:
                try:
                    pool.land_image(image_bytes())
                except RuntimeError as error:
                    print(error, flush=True)
                os._exit(0)
            os.wait()
            print(pool.land_image(image_bytes()).width)
    """)
    assert "fork" in printed and printed.endswith("320\n")


FUZZED = [
    video_bytes(20),
    faststart(video_bytes(20, audio=True)),
    live_webm(15),
    video_bytes(20, codec="mpeg4", container="avi"),
    video_bytes(20, container="mpegts"),
]


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    data=st.sampled_from(FUZZED),
    edits=st.lists(st.tuples(st.floats(0, 0.999), st.integers(0, 255)), max_size=20),
    cut=st.tuples(st.floats(0, 1), st.integers(0, 800)),
)
def test_damaged_videos_are_read_or_set_aside_and_never_a_bug(
    pool: GuardPool, data: bytes, edits: list[tuple[float, int]], cut: tuple[float, int]
) -> None:
    damaged = bytearray(data)
    for place, value in edits:
        damaged[int(place * len(damaged))] = value
    start = int(cut[0] * len(damaged))
    damaged[start : start + cut[1]] = b""
    for call in (
        lambda: pool.probe_video(bytes(damaged)),
        lambda: pool.segment_video(bytes(damaged), shot_over_s=0.3),
        lambda: pool.clip_frames(bytes(damaged), [(0.0, 0.5)], SampleFrames(2, 2, test_mode=True), short_side=64),
    ):
        try:
            call()
        except ItemError as error:
            assert error.error in (ErrorClass.DECODE, ErrorClass.NOT_MEDIA, ErrorClass.BOMB)


def test_a_guard_knows_no_secrets_and_imports_no_torch(pool: GuardPool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMNISRC_API_KEY", "secret")
    with GuardPool(1) as fresh:
        fresh.land_image(image_bytes())
        [pid] = fresh.pids()
        assert b"OMNISRC_API_KEY" not in Path(f"/proc/{pid}/environ").read_bytes()
        assert "libtorch" not in Path(f"/proc/{pid}/maps").read_text()


def test_what_a_taken_over_guard_could_send_is_refused() -> None:
    def sent(header: bytes, body: bytes = b"") -> Any:
        reader, writer = os.pipe()
        try:
            os.write(writer, len(header).to_bytes(4, "big") + header + body)
            os.close(writer)
            return receive(reader, max_bytes=1000)
        finally:
            os.close(reader)

    assert sent(b'{"a":1,"buffers":[{"length":2}]}', b"xy") == ({"a": 1}, [b"xy"])
    for header in (
        b"no json",
        b"[]",
        b"{}",
        b'{"buffers":[{"length":1001}]}',
        b'{"buffers":[{"length":8,"dtype":"object","shape":[1]}]}',
        b'{"buffers":[{"length":2,"dtype":"uint8","shape":[3]}]}',
        b'{"buffers":[{"length":5}]}',
    ):
        with pytest.raises(WireError):
            sent(header, b"12345678" if b"dtype" in header else b"")


def test_arrays_and_bytes_cross_the_pipe_unchanged() -> None:
    reader, writer = os.pipe()
    arrays = [np.arange(12, dtype=np.float32).reshape(3, 4), np.zeros((0, 5), np.uint8), b"", b"abc"]
    send(writer, {"x": [1]}, arrays)
    header, got = receive(reader)
    os.close(reader)
    os.close(writer)
    assert header == {"x": [1]}
    assert all(np.array_equal(a, b) and type(a) is type(b) for a, b in zip(arrays, got, strict=True))


def test_a_warmed_pool_starts_all_its_processes_and_a_call_uses_one_of_them() -> None:
    with GuardPool(2) as pool:
        pool.warm()
        pids = until(lambda: len(pool.pids()) == 2 and pool.pids())
        assert pool.probe_video(video_bytes(5)).frames == 5
        assert sorted(pool.pids()) == sorted(pids)


def test_a_process_keeps_little_of_the_media_that_it_has_seen() -> None:
    videos = [video_bytes(100, width=426, height=240, seed=seed) for seed in range(6)]
    with GuardPool(1) as pool:
        pool.probe_video(videos[0])
        before = resident_mb(pool.pids()[0])
        for call in range(400):
            pool.probe_video(videos[call % len(videos)])
        assert resident_mb(pool.pids()[0]) < before + SLACK_MB + 16


SCATTERED = """
from contextlib import suppress
from omnisrc.errors import ItemError
from omnisrc.media import guard_child
from omnisrc.media.heap import EVERY, resident_mb

def call():
    with suppress(ItemError):
        guard_child.answer({"task": "land_image", "source": None, "params": {}}, [b""])

call()
before = resident_mb()
kept = [bytearray(100_000 if at % 2 else 1_000) for at in range(4_000)]  # what lies between holds the large ones fast
kept = kept[::2]
scattered = resident_mb()
for _ in range(EVERY):
    call()
print(before, scattered, resident_mb())
"""


def test_freed_memory_that_lies_scattered_is_given_back() -> None:
    """As glibc before 2.38 scatters the aligned memory of decoders."""
    command = [sys.executable, "-c", SCATTERED]
    said = subprocess.run(command, env=guard_process.environment(), check=True, capture_output=True, text=True).stdout
    before, scattered, after = map(float, said.split())
    assert scattered > before + 150 and after < before + SLACK_MB
