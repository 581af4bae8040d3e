"""What a crawl makes of media that somebody made to do harm: one crawl of all of them, one case a line."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import av
import pytest
from sqlalchemy import select

from db import schema
from db.models import Asset, Blob, Shard
from omnisrc import resources
from omnisrc.shards.read import read_bytes
from omnisrc.study import Study
from tests import hostile_media
from tests.crawl.studies import assets
from tests.crawl.test_fetch import check_shards, offer, open_study, run
from tests.local_web import LocalWeb
from tests.media_files import video_bytes
from tests.web.asking import trap

IMAGES = tuple(hostile_media.images())
VIDEOS = tuple(hostile_media.videos("", "/"))


@dataclass
class Crawled:
    """`wanted` and `got` by name; what was `stored` with its row; and how often something `inside` was connected to."""

    wanted: dict[str, str]
    got: dict[str, str]
    stored: dict[str, tuple[Blob, bytes]]
    inside: int


def crawled(folder: Path, kind: str, cases: dict[str, tuple[bytes, str]], inside: list[int]) -> Crawled:
    study = Study.open(folder / "study")
    study.prepare()
    schema.upgrade(study.database(), resources.migrations())
    (folder / "classes.txt").write_text("brush hair\n")
    (folder / "urls.csv").write_text("url,class\n")
    with LocalWeb() as web:
        end = {"image": ".jpg", "video": ".mp4"}[kind]
        offer(folder / "urls.csv", *[web.add(f"/{name}{end}", data) for name, (data, _) in cases.items()])
        own = open_study(study, folder / "urls.csv", web)
        run(own, folder / "classes.txt", (kind,))
    got = {name_of(a["url"]): a["error"] or a["state"] for a in assets(own)}
    query = select(Asset.url, Blob, Shard.path).join(Blob, Blob.id == Asset.blob_id).join(Shard)
    rows = own.database().read(lambda session: session.execute(query).all())
    stored = {name_of(url): (blob, read_bytes(own.root / path, blob.offset, blob.length)) for url, blob, path in rows}
    assert check_shards(own) == len({blob.id for blob, _ in stored.values()})
    own.database().dispose()
    return Crawled({name: end for name, (_, end) in cases.items()}, got, stored, len(inside) - 1)


def name_of(url: str) -> str:
    return url.rpartition("/")[2].rpartition(".")[0]


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Crawled:
    return crawled(tmp_path_factory.mktemp("images"), "image", hostile_media.images(), [0])


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sound video on this machine that is nobody's to read."""
    path = tmp_path_factory.mktemp("elsewhere") / "frames.mov"
    path.write_bytes(video_bytes(25, width=176, height=144, container="mov"))
    return path


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory, elsewhere: Path) -> Iterator[Crawled]:
    with trap() as seen:
        cases = hostile_media.videos(f"http://127.0.0.99:{seen[0]}", str(elsewhere))
        found = crawled(tmp_path_factory.mktemp("videos"), "video", cases, seen)
    found.inside = len(seen) - 1
    yield found


@pytest.mark.parametrize("name", IMAGES)
def test_a_hostile_image_has_its_end(images: Crawled, name: str) -> None:
    ends = {images.wanted[name]} | ({"duplicate"} if images.wanted[name] == "stored" else set())
    assert images.got[name] in ends


@pytest.mark.parametrize("name", VIDEOS)
def test_a_hostile_video_has_its_end(videos: Crawled, name: str) -> None:
    assert videos.got[name] == videos.wanted[name]


def test_of_an_image_the_pixels_are_kept_and_nothing_that_rode_along(images: Crawled) -> None:
    assert {"jpeg-then-zip", "jpeg-then-pdf", "gif-with-html", "jpeg-comment-script"} <= set(images.stored)
    for blob, data in images.stored.values():
        assert data.startswith(b"\xff\xd8\xff") and data.endswith(b"\xff\xd9") and blob.mime == "image/jpeg"
        assert not any(word in data for word in (b"PK\x03\x04", b"%PDF", b"<script", b"ICC_PROFILE", b"Exif"))
        assert blob.length < 400_000


def test_of_an_animation_the_first_picture_is_kept(images: Crawled) -> None:
    sizes = {name: (images.stored[name][0].width, images.stored[name][0].height)
             for name in ("gif-10000-frames", "animated-webp", "animated-png", "animated-avif",
                          "tiff-of-several-images")}  # fmt: skip
    assert set(sizes.values()) == {(200, 150)}


def test_a_video_plays_as_long_and_is_as_large_as_its_frames_whatever_its_headers_say(videos: Crawled) -> None:
    for name in ("mp4-of-10-hours", "mp4-of-65535x65535"):
        blob, _ = videos.stored[name]
        assert (blob.width, blob.height, blob.frames) == (176, 144, 25)
        assert blob.duration == pytest.approx(1.0, abs=0.05)


def test_no_medium_makes_a_decoder_connect(videos: Crawled) -> None:
    assert videos.got["hls"] == "not-media" and videos.inside == 0


def test_a_file_that_another_names_as_its_frames_is_not_opened(
    videos: Crawled, elsewhere: Path, tmp_path: Path
) -> None:
    """FFmpeg does open it where it is allowed to: the attack is a real one."""
    (tmp_path / "a.mov").write_bytes(hostile_media.video_with_its_frames_elsewhere(str(elsewhere)))
    with av.open(str(tmp_path / "a.mov"), options={"enable_drefs": "1", "use_absolute_path": "1"}) as followed:
        assert sum(packet.size > 0 for packet in followed.demux(video=0)) == 25
    assert videos.got["mov-frames-in-another-file"] == "decode"


def test_a_playlist_is_one_to_a_player_that_guesses(elsewhere: Path, tmp_path: Path) -> None:
    """What sniffing keeps from the decoder is a real playlist: FFmpeg left to itself reads the file that it names."""
    text = hostile_media.playlists("http://127.0.0.1:9", str(elsewhere))["concat"].splitlines()[:2]
    (tmp_path / "a.ffconcat").write_bytes(b"\n".join(text) + b"\n")
    with av.open(str(tmp_path / "a.ffconcat"), options={"safe": "0"}) as followed:
        assert sum(packet.size > 0 for packet in followed.demux(video=0)) == 25
    with pytest.raises(av.error.FFmpegError), av.open(io.BytesIO(b"\n".join(text)), format="mp4"):
        pass
