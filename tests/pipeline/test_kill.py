"""SIGKILL at random points of crawl, filter and pack, 20 times in all: the books balance as if nothing had happened."""

from __future__ import annotations

import random
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from omnisrc.models import create_model, save_weights
from tests.local_web import LocalWeb
from tests.media_files import image_bytes, video_bytes
from tests.pipeline import killing

CLASSES = ("juggling balls", "rowing boat", "hula hooping")
IMAGES, VIDEOS = 110, 9
CRAWL_KILLS, FILTER_KILLS, PACK_KILLS = 8, 7, 5


@pytest.fixture(scope="module")
def web() -> Iterator[tuple[LocalWeb, list[tuple[str, str]]]]:
    """A web of images and videos, some of them wrong in ways that a crawl must tell apart; (URL, class) of each."""
    with LocalWeb() as served:
        listed: list[tuple[str, str]] = []

        def add(path: str, body: bytes, status: int = 200) -> None:
            listed.append((served.add(path, body, status=status), CLASSES[len(listed) % len(CLASSES)]))

        for at in range(IMAGES):
            add(f"/{at}.jpg", image_bytes(240, 180, seed=at))
        add("/again.jpg", image_bytes(240, 180, seed=0))
        add("/gone.jpg", b"gone", 404)
        add("/page.jpg", b"<!doctype html><html><body>moved</body></html>")
        add("/empty.jpg", b"")
        add("/cut.jpg", image_bytes(240, 180, seed=9000)[:700])
        for at in range(VIDEOS):
            add(f"/{at}.mp4", video_bytes(frames=50, width=160, height=136, seed=at))
        yield served, listed


@pytest.fixture(scope="module")
def crawl(web: tuple[LocalWeb, list[tuple[str, str]]], tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The crawl's command line; slow enough to be hit in the middle."""
    served, listed = web
    folder = tmp_path_factory.mktemp("lists")
    table, classes = folder / "table.csv", folder / "classes.txt"
    table.write_text("url,class\n" + "".join(f"{url},{name}\n" for url, name in listed))
    classes.write_text("\n".join(CLASSES) + "\n")
    command = ["crawl", "--classes", str(classes), "--provider", "table", "--per-class", "1000"]
    for setting in (
        f"providers.table.path={table}", f"crawl.allow_hosts=['{served.site}']", "crawl.host_rate=40",
        "crawl.host_concurrency=4", "crawl.drain_s=2",
    ):  # fmt: skip
        command += ["--set", setting]
    return command


@pytest.fixture(scope="module")
def teacher(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("teacher") / "tiny.safetensors"
    model = create_model("tsn_r18", num_classes=len(CLASSES), width=8)
    save_weights(model, path, {"classes": list(CLASSES)})
    return path


@pytest.fixture(scope="module")
def reference(crawl: list[str], teacher: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same study with nothing killed."""
    workspace = tmp_path_factory.mktemp("reference") / "study"
    killing.finish(workspace, *crawl)
    killing.finish(workspace, *filtering(teacher))
    return workspace


def filtering(teacher: Path) -> list[str]:
    """Every sample is kept, so that pack has work; small shards, so that there are many jobs to hit."""
    command = ["filter", "--teacher", str(teacher), "--rule", "all"]
    for setting in (
        "filter.crop_size=32",
        "filter.images_per_shard=20",
        "filter.clips_per_shard=5",
        "filter.near_duplicate_bits=-1",
    ):
        command += ["--set", setting]
    return command


@pytest.mark.slow
def test_a_killed_crawl_ends_as_one_that_was_not(
    crawl: list[str], reference: Path, tmp_path: Path, web: tuple[LocalWeb, list[tuple[str, str]]]
) -> None:
    rng, workspace = random.Random(7), tmp_path / "study"
    hit = killing.run_with_kills(workspace, CRAWL_KILLS, rng, (1.2, 3.5), *crawl)
    assert hit == CRAWL_KILLS, "the crawl was over before it was killed often enough"
    assert killing.outcomes(workspace) == killing.outcomes(reference)
    assert len(killing.outcomes(workspace)) == len(web[1])
    killing.stored_once(workspace)
    killing.doctor(workspace)
    assert killing.doctor(workspace)["litter"] == []


def test_a_killed_filter_ends_as_one_that_was_not(
    reference: Path, teacher: Path, crawl: list[str], tmp_path: Path
) -> None:
    rng, hit, attempt = random.Random(11), 0, 0
    crawled = tmp_path / "crawled"
    killing.finish(crawled, *crawl)
    while hit < FILTER_KILLS:
        attempt += 1
        assert attempt < 10, "the filter is over too soon to be killed"
        workspace = tmp_path / f"study-{attempt}"
        shutil.copytree(crawled, workspace)
        hit += killing.run_with_kills(workspace, FILTER_KILLS - hit, rng, (1.5, 5.0), *filtering(teacher))
        assert killing.samples(workspace) == killing.samples(reference)
        seen = [(row["sample"], row["fingerprint"]) for row in killing.rows(workspace, "predictions")]
        assert len(seen) == len(set(seen)) == len(killing.rows(reference, "predictions"))
        assert killing.packed(workspace) == killing.packed(reference)
        assert killing.curated_members(workspace) == killing.packed(workspace).total()
        killing.doctor(workspace)
        assert killing.doctor(workspace)["litter"] == []


@pytest.mark.slow
def test_a_killed_pack_ends_as_one_that_was_not(reference: Path, teacher: Path, tmp_path: Path) -> None:
    rng, hit, attempt = random.Random(13), 0, 0
    again = ["filter", *filtering(teacher)[3:], "--redo", "select", "--name", "again"]
    shutil.copytree(reference, tmp_path / "whole")
    began = time.monotonic()
    killing.finish(tmp_path / "whole", *again)
    span = time.monotonic() - began
    while hit < PACK_KILLS:
        attempt += 1
        assert attempt < 12, "packing is over too soon to be killed"
        workspace = tmp_path / f"study-{attempt}"
        shutil.copytree(reference, workspace)
        hit += killing.run_with_kills(workspace, PACK_KILLS - hit, rng, (0.4 * span, 0.95 * span), *again)
        assert killing.packed(workspace) == killing.packed(reference)
        assert killing.curated_members(workspace) == killing.packed(workspace).total()
        killing.doctor(workspace)
        assert killing.doctor(workspace)["litter"] == []
