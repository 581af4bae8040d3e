import io
from collections.abc import Iterator
from typing import Any

import av
import numpy as np
import pytest

from omnisrc.media import decode as decode_module
from omnisrc.media.decode import reorder_depth
from omnisrc.media.index import GroupIndex
from omnisrc.media.video import open_video
from tests.media_files import live_webm, video_bytes


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[tuple[int, int, bool]]]:
    """Every group that the index was asked for, and whether it could be read."""
    seen: list[tuple[int, int, bool]] = []
    read = GroupIndex.read

    def counting(self: GroupIndex, start: int, stop: int) -> Any:
        packets = read(self, start, stop)
        seen.append((start, stop, packets is not None))
        return packets

    monkeypatch.setattr(GroupIndex, "read", counting)
    yield seen


def whole(data: bytes) -> np.ndarray:
    with av.open(io.BytesIO(data)) as container:
        return np.stack([f.to_ndarray(format="rgb24") for f in container.decode(video=0)])


CURATED = {"gop": 12, "options": {"preset": "medium", "tune": "fastdecode", "x264-params": "scenecut=0"}}


def test_only_the_groups_of_the_wanted_frames_are_read(
    reads: list[tuple[int, int, bool]], monkeypatch: pytest.MonkeyPatch
) -> None:
    data = video_bytes(100, **CURATED)
    monkeypatch.setattr(decode_module, "scan", None)  # reading all packets would fail
    with open_video(data) as video:
        assert len(video) == 100
        got = video.frames([50, 3, 99, 52])
    assert reads == [(0, 12, True), (48, 60, True), (96, 100, True)]
    assert np.array_equal(got, whole(data)[[50, 3, 99, 52]])


def test_times_and_facts_may_be_asked_for_before_between_and_after_frames() -> None:
    data = video_bytes(100, **CURATED)
    want = whole(data)
    for order in ("before", "after"):
        with open_video(data) as video:
            first = video.info if order == "before" else None
            assert np.array_equal(video.frames([70, 20]), want[[70, 20]])
            assert np.allclose(video.timestamps, np.arange(100) / 25)
            assert first in (None, video.info) and video.info.frames == 100
            assert np.array_equal(video.frames([3, 71, 99]), want[[3, 71, 99]])


def test_open_groups_fall_back_to_reading_everything(reads: list[tuple[int, int, bool]]) -> None:
    options = {"preset": "medium", "x264-params": "open-gop=1:bframes=3:b-pyramid=2:scenecut=0"}
    data = video_bytes(60, gop=10, options=options)
    with open_video(data) as video:
        assert np.array_equal(video.frames([0, 9, 10, 11, 25, 59]), whole(data)[[0, 9, 10, 11, 25, 59]])
    assert not all(good for _, _, good in reads)


def test_groups_shorter_than_the_reordering_are_found(reads: list[tuple[int, int, bool]]) -> None:
    data = video_bytes(40, gop=2, options={"preset": "medium", "x264-params": "scenecut=0:bframes=3:keyint=2"})
    with open_video(data) as video:
        assert np.array_equal(video.frames([39, 0, 20, 21, 5]), whole(data)[[39, 0, 20, 21, 5]])


def test_the_depth_of_reordering_is_what_the_encoder_wrote_into_the_stream() -> None:
    for params, depth in (("bframes=0", 0), ("bframes=2:b-pyramid=0", 1), ("bframes=3:b-pyramid=2:b-adapt=0", 2)):
        data = video_bytes(40, options={"preset": "medium", "x264-params": params})
        with av.open(io.BytesIO(data)) as file:
            pts = [packet.pts for packet in file.demux(video=0) if packet.size]
            assert reorder_depth(np.argsort(pts)) == file.streams.video[0].codec_context.reorder_depth == depth


def test_an_edit_list_that_hides_frames_is_obeyed() -> None:
    data = bytearray(video_bytes(50, **CURATED))
    place = data.index(b"elst") + 12  # its one entry: duration, media time
    shift = int.from_bytes(data[place + 4 : place + 8], "big")
    base = 12800  # ticks a second of the media
    data[place + 4 : place + 8] = (shift + base).to_bytes(4, "big")  # begin a second later
    with open_video(bytes(data)) as video:
        assert np.array_equal(video.frames(range(len(video))), whole(bytes(data)))
        assert len(video) == 25


def test_containers_without_such_an_index_read_everything(reads: list[tuple[int, int, bool]]) -> None:
    for data in (live_webm(10), video_bytes(10, container="matroska"), video_bytes(10, codec="mpeg4", container="avi")):
        with open_video(data) as video:
            assert np.array_equal(video.frames([3, 9]), whole(data)[[3, 9]])
    assert reads == []


def test_a_fragmented_mp4_is_read_whole() -> None:
    buffer = io.BytesIO()
    with (
        av.open(io.BytesIO(video_bytes(40, **CURATED))) as source,
        av.open(buffer, "w", format="mp4", options={"movflags": "frag_keyframe+empty_moov"}) as out,
    ):
        stream = out.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.size:
                packet.stream = stream
                out.mux(packet)
    data = buffer.getvalue()
    with open_video(data) as video:
        assert len(video) == 40
        assert np.array_equal(video.frames([0, 13, 39]), whole(data)[[0, 13, 39]])
