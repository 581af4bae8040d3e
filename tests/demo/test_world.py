from __future__ import annotations

import csv
import hashlib
from collections import defaultdict
from pathlib import Path

import cv2
import numpy as np
import pytest

from omnisrc.demo.actions import ACTIONS, MISTAKEN
from omnisrc.demo.behaviours import BEHAVIOURS
from omnisrc.demo.scenes import film_shot, new_scene
from omnisrc.demo.target import TargetSize, plan_target
from omnisrc.demo.weblist import WebSize, plan_web
from omnisrc.demo.world import World, WorldSize, render_world
from omnisrc.media.phash import hamming, pdq
from omnisrc.media.probe import probe_video

TINY = WorldSize(TargetSize((1, 1), (0, 0), (1, 1)), WebSize(2, 1, misbehaving=False, copies=1, leaked_images=1))


def digests(folder: Path) -> dict[str, str]:
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_a_seed_gives_the_same_files_whoever_renders_them(tmp_path: Path) -> None:
    alone = render_world(tmp_path / "alone", 1, TINY, workers=1)
    shared = render_world(tmp_path / "shared", 1, TINY, workers=2)
    assert digests(alone.folder) == digests(shared.folder)
    render_world(tmp_path / "alone", 2, TINY, workers=1)
    kept = {name for name, digest in digests(alone.folder).items() if digests(shared.folder).get(name) == digest}
    assert not {name for name in kept if name.endswith((".mp4", ".jpg", ".webm"))}


def test_a_world_that_lies_there_is_not_rendered_again(tmp_path: Path) -> None:
    world = render_world(tmp_path, 1, TINY, workers=1)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    assert render_world(tmp_path, 1, TINY, workers=1) == world
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before


def test_a_half_rendered_world_is_rendered_anew(tmp_path: Path) -> None:
    world = render_world(tmp_path, 1, TINY, workers=1)
    (tmp_path / "world.json").unlink()
    (world.web / "items.jsonl").unlink()
    render_world(tmp_path, 1, TINY, workers=1)
    assert len(world.items()) == len(world.truth())


def test_no_group_lies_in_two_splits_or_classes(world: World) -> None:
    rows = list(csv.DictReader(world.target_csv.open()))
    homes = defaultdict(set)
    for row in rows:
        homes[row["group"]].add((row["split"], row["label"]))
    assert all(len(home) == 1 for home in homes.values())
    assert {row["label"] for row in rows} == set(ACTIONS)
    assert {row["split"] for row in rows} == {"train", "val", "test"}


def test_target_clips_are_two_seconds_of_small_video(world: World) -> None:
    row = next(csv.DictReader(world.target_csv.open()))
    info = probe_video(world.target_csv.parent / row["path"])
    assert (info.width, info.height, info.frames) == (96, 72, 24)
    assert info.duration == pytest.approx(2.0, abs=0.1)


def test_three_in_ten_finds_show_what_was_searched_for_and_more_show_its_tag_mate() -> None:
    test = [clip for clip in plan_target(0, TargetSize()) if clip.split == "test"]
    plan = plan_web(0, WebSize(), test)
    for medium in ("image", "video"):
        finds = [(item, asked) for item in plan.items if item.medium == medium for asked in item.queries]
        share = np.mean([plan.truth[item.id].label == asked for item, asked in finds])
        assert 0.25 < share < 0.35
        mistaken = np.mean([plan.truth[item.id].label == MISTAKEN[asked] for item, asked in finds])
        assert share < mistaken < 0.6


def test_true_finds_rank_higher_on_average_but_not_always() -> None:
    test = [clip for clip in plan_target(0, TargetSize()) if clip.split == "test"]
    plan = plan_web(0, WebSize(), test)
    ranks: dict[bool, list[int]] = {True: [], False: []}
    for item in plan.items:
        for asked, rank in item.queries.items():
            ranks[plan.truth[item.id].label == asked].append(rank)
    assert np.mean(ranks[True]) < np.mean(ranks[False])
    assert min(ranks[False]) < np.median(ranks[True])


def test_every_item_has_its_file_and_its_truth(world: World) -> None:
    truth = world.truth()
    for item in world.items():
        assert (world.web / item.file).stat().st_size > 0
        if item.medium == "video":
            info = probe_video(world.web / item.file)
            assert info.duration == pytest.approx(truth[item.id].segments[-1][1], abs=0.15)
            assert min(info.width, info.height) >= 128


def test_the_search_service_is_told_nothing_of_the_truth(world: World) -> None:
    told = (world.web / "items.jsonl").read_text()
    assert '"label"' not in told and '"leak_of"' not in told and '"shows"' not in told
    assert not list(world.web.rglob("truth*"))


def test_every_behaviour_occurs_as_often_as_its_table_says(world: World) -> None:
    counts = {name: sum(item.behaviour == name for item in world.items()) for name in BEHAVIOURS}
    assert counts == {name: behaviour.count for name, behaviour in BEHAVIOURS.items()}


def test_a_leaked_still_looks_like_its_test_clip(world: World) -> None:
    rows = {row["path"]: row["split"] for row in csv.DictReader(world.target_csv.open())}
    leaks = {item.id: truth for item in world.items() if (truth := world.truth()[item.id]).leak_of}
    assert {rows[truth.leak_of] for truth in leaks.values()} == {"test"}
    for item in world.items():
        if item.id not in leaks or item.medium != "image":
            continue
        clip = cv2.VideoCapture(str(world.target_csv.parent / str(leaks[item.id].leak_of)))
        frames = []
        while (read := clip.read())[0]:
            frames.append(np.frombuffer(pdq(np.ascontiguousarray(read[1][..., ::-1]))[0], np.uint8))
        still = np.frombuffer(pdq(np.ascontiguousarray(cv2.imread(str(world.web / item.file))[..., ::-1]))[0], np.uint8)
        assert hamming(still[None], np.stack(frames)).min() <= 40


@pytest.mark.parametrize("name", ACTIONS)
def test_every_action_moves(name: str) -> None:
    rng = np.random.default_rng(0)
    shot = film_shot(new_scene(rng, name), ACTIONS[name], rng, size=(96, 72), frames=12, fps=12.0).astype(int)
    still = film_shot(new_scene(rng, None), None, rng, size=(96, 72), frames=12, fps=12.0).astype(int)
    assert shot.shape == still.shape == (12, 72, 96, 3)
    assert MISTAKEN[name] in ACTIONS and MISTAKEN[name] != name
    assert (np.abs(shot[6] - shot[0]).max(axis=2) > 60).sum() > 40
