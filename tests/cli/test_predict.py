"""`omnisrc predict` on real files, from the command line."""

from __future__ import annotations

import csv
import json
import os
import shutil
import subprocess
import sys
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from torch._dynamo.utils import counters

from omnisrc.data.manifest import manifest_of
from omnisrc.data.samples import SampleReader, SampleTable
from omnisrc.errors import ErrorClass, ItemError
from omnisrc.evaluate.prediction.annotate import readable
from omnisrc.evaluate.prediction.caption import caption
from omnisrc.evaluate.protocols import Protocol, Sampling
from omnisrc.evaluate.windows.feed import Ended, Feed
from omnisrc.evaluate.windows.inputs import Input
from omnisrc.evaluate.windows.plan import windows_of
from omnisrc.media.film import open_film
from omnisrc.media.guard import GuardPool
from tests.cli.looking import CLASSES, logits_by_hand, omnisrc, video, weights
from tests.local_web import LocalWeb
from tests.media_files import faststart, image_bytes, moving_frames, video_bytes
from tests.mixed_world import record_world, still_bytes, write_world


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No workspace in sight."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("OMNISRC_HOME", raising=False)


def scores(labels: list[dict]) -> np.ndarray:
    return np.array([label["score"] for label in sorted(labels, key=lambda label: label["index"])])


def test_windows_and_the_whole_are_what_the_network_says_of_these_frames(tmp_path, capsys):
    net, clip = weights(tmp_path / "net.safetensors", classes=list(CLASSES)), video(tmp_path / "a.mp4", count=30)
    code, said, shown = omnisrc(capsys, "predict", clip, "--model", net, "--window", 1, "--stride", 0.5)
    assert code == 0 and not (tmp_path / "omnisrc-data").exists()
    [found] = said["inputs"]
    assert [window["start"] for window in found["windows"]] == [0, 0.5, 1, 1.5, 2, 2.5]
    assert [window["end"] for window in found["windows"]] == [1, 1.5, 2, 2.5, 3, 3]
    expected = []
    for number, window in enumerate(found["windows"]):
        first = 5 * number + (
            1 if number < 5 else 0
        )  # ten frames (the last window has five), of which a clip spans seven
        clip_frames = [first + (2 * t) for t in range(4)]
        clip_frames = clip_frames if number < 5 else [25, 27, 29, 26]  # it wraps around
        expected.append(torch.softmax(logits_by_hand(net, clip, clip_frames), 0).numpy())
        assert np.allclose(scores(window["labels"]), expected[-1], atol=1e-4), number
    assert np.allclose(scores(found["labels"]), np.mean(expected, 0), atol=1e-4)
    best = CLASSES[int(np.mean(expected, 0).argmax())]
    assert found["labels"][0]["name"] == best and best in shown and "0.00-1.00" in shown


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None, reason="torch.compile calls g++")
def test_a_compiled_network_says_the_same_and_one_graph_does_for_the_smaller_last_batch(tmp_path, capsys):
    net, clip = weights(tmp_path / "net.safetensors"), video(tmp_path / "a.mp4", count=30)
    asked = ("predict", clip, "--model", net, "--window", 1, "--stride", 0.25)
    plain = omnisrc(capsys, *asked)[1]["inputs"][0]["windows"]
    before = counters["stats"]["unique_graphs"]
    fast = omnisrc(capsys, *asked, sets=("eval.compile=true",))[1]["inputs"][0]["windows"]
    assert len(fast) > 8 and counters["stats"]["unique_graphs"] == before + 1
    for one, other in zip(plain, fast, strict=True):
        assert np.allclose(scores(one["labels"]), scores(other["labels"]), atol=1e-5)


def test_a_2d_network_averages_logits(tmp_path, capsys):
    net, clip = weights(tmp_path / "net.safetensors", "tsn_r18", classes=list(CLASSES)), video(tmp_path / "a.mp4")
    found = omnisrc(capsys, "predict", clip, "--model", net, "--window", 1.5)[1]["inputs"][0]
    logits = [logits_by_hand(net, clip, [first + i for i in (2, 7, 12)]) for first in (0, 15)]
    assert np.allclose(scores(found["labels"]), torch.softmax(sum(logits) / 2, 0).numpy(), atol=1e-4)
    assert np.allclose(scores(found["windows"][1]["labels"]), torch.softmax(logits[1], 0).numpy(), atol=1e-4)


def test_a_3d_window_is_as_long_as_a_clip_and_an_image_a_clip_that_stands_still(tmp_path, capsys):
    net = weights(tmp_path / "net.safetensors")
    slow, fast = video(tmp_path / "slow.mp4", fps=10), video(tmp_path / "fast.mp4", fps=20)
    still, film = tmp_path / "still.jpg", tmp_path / "still.mp4"
    still.write_bytes(still_bytes(1, 5))
    film.write_bytes(video_bytes(8, width=64, height=64))
    ends = [
        omnisrc(capsys, "predict", each, "--model", net)[1]["inputs"][0]["windows"][0]["end"] for each in (slow, fast)
    ]
    assert ends == pytest.approx([0.8, 0.4])
    found = omnisrc(capsys, "predict", still, "--model", net)[1]["inputs"][0]
    assert found["image"] and sum(scores(found["labels"])) == pytest.approx(1)


def test_what_cannot_be_seen_is_told_and_the_rest_goes_on(tmp_path, capsys):
    net, folder = weights(tmp_path / "net.safetensors", classes=list(CLASSES)), tmp_path / "in"
    video(folder / "a" / "whole.mp4", 1)
    video(folder / "one.mp4", 2, count=1)
    video(folder / "three.mp4", 2, count=3)
    (folder / "empty.mp4").write_bytes(b"")
    (folder / "text.mp4").write_text("not a video\n" * 99)
    (folder / "notes.md").write_text("notes")
    (folder / "picture.png").write_bytes(image_bytes(kind="PNG"))
    (folder / "bad.jpg").write_bytes(image_bytes()[:400])
    data = video_bytes(40, fps=10)
    (folder / "no_index.mp4").write_bytes(data[: len(data) // 2])
    (folder / "breaks.mp4").write_bytes((lambda whole: whole[: len(whole) * 2 // 3])(faststart(data)))
    code, said, shown = omnisrc(capsys, "predict", folder, "--model", net, "-o", tmp_path / "out.jsonl")
    found = {Path(each["name"]).name: each for each in said["inputs"]}
    assert code == 0 and said["failed"] == 4 and len(found) == 9
    assert "the file is empty" in found["empty.mp4"]["error"] and found["empty.mp4"]["error"] in shown
    assert "neither a video nor an image" in found["text.mp4"]["error"]
    assert "cannot be decoded" in found["no_index.mp4"]["error"] and "cannot be decoded" in found["bad.jpg"]["error"]
    assert "one frame and a clip spans 7" in found["one.mp4"]["notes"][0]
    assert "3 frames and a clip spans 7" in found["three.mp4"]["notes"][0]
    assert "breaks off after" in found["breaks.mp4"]["notes"][0]
    assert "error" not in found["whole.mp4"] and "notes" not in found["whole.mp4"] and "no medium: notes.md" in shown
    lines = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert lines == said["inputs"]
    for name in ("one.mp4", "whole.mp4"):
        path = folder / "a" / name if name == "whole.mp4" else folder / name
        alone = omnisrc(capsys, "predict", path, "--model", net)[1]["inputs"][0]
        assert np.allclose(scores(alone["labels"]), scores(found[name]["labels"]), atol=1e-5)


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (["gone.mp4"], 2, "There is no file gone.mp4"),
        (["empty"], 2, "There is no video and no image in empty"),
        (["text.mp4"], 1, "text.mp4 gives nothing: it is neither a video nor an image"),
        (["text.mp4", "void.mp4"], 1, "None of 2 inputs gives anything"),
        (["a.mp4", "-o", "out.xlsx"], 2, "should end in one of .json, .jsonl, .csv"),
        (["a.mp4", "a.mp4", "--video", "b.mp4"], 2, "one file for 2 inputs"),
        (["a.mp4", "--classes", "ucf101"], 2, "ucf101 has 101 classes"),
        (["a.mp4", "--model", "nothing.safetensors"], 2, "nothing.safetensors"),
    ],
)
def test_mistakes_end_with_one_sentence(tmp_path, capsys, arguments, code, sentence):
    net = weights(tmp_path / "net.safetensors")
    (tmp_path / "empty").mkdir()
    (tmp_path / "text.mp4").write_text("no video")
    (tmp_path / "void.mp4").write_bytes(b"")
    video(tmp_path / "a.mp4")
    given = [] if "--model" in arguments else ["--model", net]
    got, said, _ = omnisrc(capsys, "predict", *given, *arguments)
    assert (got, sentence in said["error"]) == (code, True), said
    assert not list(tmp_path.glob(".*part*"))


def test_names_come_from_the_file_its_list_the_option_or_the_study(tmp_path, capsys, study):
    clip = video(tmp_path / "a.mp4")

    def name(net: Path, *arguments: object) -> tuple[str, str]:
        code, said, shown = omnisrc(capsys, "predict", clip, "--model", net, *arguments)
        assert code == 0, said
        first = said["inputs"][0]["labels"][0]
        return first["name"].replace(str(first["index"]), "#"), shown

    assert name(weights(tmp_path / "own.safetensors", classes=["w", "x", "y", "z"]))[0] in "wxyz"
    unnamed = weights(tmp_path / "unnamed.safetensors")
    found, shown = name(unnamed)
    assert found == "class #" and "does not name its 4 classes" in shown and "--classes LIST" in shown
    (tmp_path / "mine.txt").write_text("north\neast\nsouth\nwest\n")
    assert name(unnamed, "--classes", "mine.txt")[0] in ("north", "east", "south", "west")
    listed = weights(tmp_path / "listed.safetensors", count=51, class_list="hmdb51")
    assert name(listed)[0] in [line for line in omnisrc_class_names("hmdb51")]
    record_world(study, write_world(study.root, {("target", "train"): 4}))
    study.database().dispose()
    found, shown = name(unnamed, "--workspace", study.root)
    assert found in CLASSES and "taken as those of the study" in shown


def omnisrc_class_names(name: str) -> tuple[str, ...]:
    from omnisrc.classes import load_class_list

    return load_class_list(name).names


def test_a_table_of_all_windows_and_one_of_json(tmp_path, capsys):
    net, clip = weights(tmp_path / "net.safetensors", classes=list(CLASSES)), video(tmp_path / "a.mp4")
    said = omnisrc(capsys, "predict", clip, "--model", net, "--top", 2, "-o", "out.csv")[1]
    rows = list(csv.DictReader((tmp_path / "out.csv").open()))
    assert [row["scope"] for row in rows] == ["all"] * 2 + ["window"] * 2 * len(said["inputs"][0]["windows"])
    assert rows[0]["class"] == said["inputs"][0]["labels"][0]["name"] and rows[1]["rank"] == "2"
    assert float(rows[2]["score"]) == pytest.approx(said["inputs"][0]["windows"][0]["labels"][0]["score"], abs=1e-6)
    omnisrc(capsys, "predict", clip, "--model", net, "-o", "out.json")
    whole = json.loads((tmp_path / "out.json").read_text())
    assert whole["sha256"] == said["sha256"] and whole["inputs"][0]["labels"][:2] == said["inputs"][0]["labels"]


def test_the_failure_of_a_lone_input_is_said_once(tmp_path, capsys):
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"no video")
    code, _, said = omnisrc(capsys, "predict", broken, "--model", weights(tmp_path / "w.safetensors"))
    assert code == 1 and said.count("broken.mp4") == 1


def test_what_was_seen_before_a_video_fails_is_told(tmp_path, capsys, monkeypatch):
    net, clip = weights(tmp_path / "net.safetensors", classes=list(CLASSES)), video(tmp_path / "a.mp4", count=40, fps=1)
    call = GuardPool.call

    def fails_late(self, task, source, timeout_s=None, **params):
        if task == "part_clips" and params["windows"][0][0] >= 24:
            raise ItemError(ErrorClass.DECODE, "part_clips took more than 60 s")
        return call(self, task, source, timeout_s, **params)

    monkeypatch.setattr(GuardPool, "call", fails_late)
    code, said, _ = omnisrc(capsys, "predict", clip, "--model", net)
    [found] = said["inputs"]
    assert code == 0 and found["windows"][-1]["end"] == found["duration"] == 24
    assert "cannot be read beyond 24.0 s" in found["notes"][0] and sum(scores(found["labels"])) == pytest.approx(1)


def test_the_labelled_video_has_every_frame_at_its_time_with_words_below(tmp_path, capsys):
    net = weights(tmp_path / "net.safetensors", classes=list(CLASSES))
    times = np.cumsum([0.05, 0.11] * 20)
    pictures = moving_frames(40, 320, 240)
    (tmp_path / "a.mp4").write_bytes(video_bytes(pictures, times=times.tolist()))
    (tmp_path / "b.png").write_bytes(image_bytes(kind="PNG"))
    code, _, _ = omnisrc(capsys, "predict", "a.mp4", "b.png", "--model", net, "--video", "films")
    assert code == 0
    with av.open(str(tmp_path / "films" / "a.mp4")) as film:
        stream = film.streams.video[0]
        frames = list(film.decode(stream))
        assert stream.codec_context.name == "h264" and (stream.width, stream.height) == (320, 240)
        shown = np.array([float(frame.pts * frame.time_base) for frame in frames])
        drawn = [frame.to_ndarray(format="rgb24").astype(int) for frame in frames]
    assert np.allclose(shown - shown[0], times - times[0], atol=1e-3)
    above = np.mean(
        [np.abs(frame[:150] - picture[:150]).mean() for frame, picture in zip(drawn, pictures, strict=True)]
    )
    below = np.mean(
        [np.abs(frame[190:] - picture[190:]).mean() for frame, picture in zip(drawn, pictures, strict=True)]
    )
    assert above < 6 and below > 30
    assert max(frame[190:].max() for frame in drawn) > 220, "bright letters on the dark band"
    with av.open(str(tmp_path / "films" / "b.mp4")) as film:
        assert len(list(film.decode(video=0))) == 2


def test_urls_pass_through_the_guarded_client(tmp_path, capsys):
    net, clip = weights(tmp_path / "net.safetensors", classes=list(CLASSES)), video(tmp_path / "a.mp4")
    with LocalWeb() as web:
        good = web.add("/a.mp4", clip.read_bytes())
        moved = web.redirect("/moved", "/a.mp4")
        text = web.add("/page.mp4", b"<html>")
        kept = web.add("/private/a.mp4", clip.read_bytes())
        noai = web.add("/noai.mp4", clip.read_bytes(), headers={"X-Robots-Tag": "noai"})
        web.add("/robots.txt", b"User-agent: *\nDisallow: /private/\n")
        (tmp_path / "urls.txt").write_text("\n".join(["# mine", good, moved, text, kept, noai, web.url + "/gone"]))
        allow = (f"crawl.allow_hosts=['{web.site}']",)
        code, said, _ = omnisrc(capsys, "predict", "urls.txt", "--model", net, "--video", "films", sets=allow)
        assert code == 0 and said["failed"] == 4 and said["inputs"][0]["name"] == good
        here = omnisrc(capsys, "predict", clip, "--model", net)[1]["inputs"][0]
        assert said["inputs"][0]["labels"] == said["inputs"][1]["labels"] == here["labels"]
        errors = [each.get("error", "") for each in said["inputs"][2:]]
        for error, word in zip(errors, ("not-media", "robots", "opt-out", "http-4xx"), strict=True):
            assert word in error, errors
        assert web.count("/private/a.mp4") == 0 and (tmp_path / "films" / "a.mp4").exists()
        asked = len(web.asked)
        code, said, _ = omnisrc(capsys, "predict", good, "--model", net)
        assert code == 1 and "refused-address" in said["error"] and len(web.asked) == asked


@pytest.mark.parametrize("dims", ["2d", "3d"])
def test_a_window_as_long_as_the_video_is_the_test_protocol_with_as_many_clips(tmp_path, dims):
    path = video(tmp_path / "a.mp4", count=30)
    sampling = Sampling(dims, 1 if dims == "2d" else 4, 1 if dims == "2d" else 2, 3, 32, 36)
    protocol = Protocol(5, 1, "prob", sampling.clip_len, sampling.frame_interval, 32, 36)
    columns = {"sample": [1], "source": ["target"], "split": ["val"], "label": [0], "path": [str(path)]}
    reader = SampleReader(SampleTable.of(manifest_of(columns, CLASSES, "toy", "0" * 64), tmp_path), 36)
    expected = np.empty((5, sampling.clip_len, 32, 32, 3), np.uint8)
    protocol.render(reader, 0, expected)
    with GuardPool(1) as pool, ThreadPoolExecutor(1) as threads:
        [window, _] = Feed([Input("a", path)], windows_of(sampling, length=100.0, clips=5), pool, threads, 1)
    assert window.end == pytest.approx(3) and np.array_equal(window.views, expected)


def test_segments_of_one_view_come_from_equal_parts_of_the_window(tmp_path):
    path = video(tmp_path / "a.mp4", count=40)
    plan = windows_of(Sampling("3d", 8, 0, 1, 32, 36), length=4.0)
    alone = windows_of(Sampling("2d", 1, 1, 8, 32, 36), length=4.0)
    with GuardPool(1) as pool, ThreadPoolExecutor(1) as threads:
        [window, _] = Feed([Input("a", path)], plan, pool, threads, 1)
        [frames, _] = Feed([Input("a", path)], alone, pool, threads, 1)
    assert window.views.shape == (1, 8, 32, 32, 3) and plan.span == 8 and plan.at_rate(25).stride == 4
    assert np.array_equal(window.views[0], frames.views[:, 0]) and windows_of(Sampling("3d", 8, 0, 1, 9, 9)).length == 0


class Counting(ThreadPoolExecutor):
    """Counts what it is given to do."""

    begun = 0

    def submit(self, *args, **kwargs):
        self.begun += 1
        return super().submit(*args, **kwargs)


def test_ten_hours_take_no_more_memory_than_one(tmp_path):
    data = {hours: video_bytes([np.full((32, 32, 3), 8 * (n % 20), np.uint8) for n in range(360 * hours)], fps=0.1)
            for hours in (1, 10)}  # fmt: skip
    plan = windows_of(Sampling("3d", 4, 1, 1, 112, 128), length=400.0)
    peaks = {}
    with GuardPool(2) as pool, Counting(2) as threads:
        for hours, source in data.items():
            path = tmp_path / f"{hours}.mp4"
            path.write_bytes(source)
            tracemalloc.start()
            events, threads.begun = [], 0
            for event in Feed([Input("a", path)], plan, pool, threads, 3):
                events.append(event if isinstance(event, Ended) else (event.start, event.frames))
                assert threads.begun <= len(events) + 3, "parts are decoded ahead of who wants them"
            peaks[hours] = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
            assert events[:-1] == [(400.0 * n, 40) for n in range(9 * hours)]
            assert events[-1].error is None and events[-1].duration == pytest.approx(3600 * hours, abs=15)
    assert peaks[10] < 1.3 * peaks[1], peaks


def test_what_cannot_be_written_is_named(tmp_path, capsys):
    net, path = weights(tmp_path / "net.safetensors"), video(tmp_path / "a.mp4", count=6)
    (tmp_path / "file").write_text("")
    for option, place in (("-o", "file/all.json"), ("--video", "file/a.mp4"), ("--video", "/proc/a.mp4")):
        code, said, _ = omnisrc(capsys, "predict", path, "--model", net, option, tmp_path / place)
        assert code == 1 and f"{tmp_path / place} could not be written" in said["error"]


def test_inputs_of_one_name_have_a_labelled_video_each(tmp_path, capsys):
    net = weights(tmp_path / "net.safetensors")
    for place in ("a/clip.mp4", "b/clip.mp4", "b/clip-2.mp4", "c/" + "\u00f1" * 120 + ".mp4"):
        video(tmp_path / "in" / place, count=6)
    code, said, _ = omnisrc(
        capsys, "predict", tmp_path / "in", "--model", net, "--video", tmp_path / "out", "-o", tmp_path / "all.json"
    )
    assert code == 0 and len(said["inputs"]) == 4
    made = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert made == ["clip-2.mp4", "clip-3.mp4", "clip.mp4", "\u00f1" * 100 + ".mp4"]


@pytest.mark.parametrize(
    ("size", "made"), [((5, 7), (160, 224)), ((1, 3000), (2, 6000)), ((2000, 3), (2000, 2)), ((170, 200), (170, 200))]
)
def test_a_picture_of_any_shape_can_be_drawn_on(tmp_path, size, made):
    frame = readable(np.zeros((*size, 3), np.uint8))
    with open_film(tmp_path / "a.mp4", 25) as film:
        film.add(caption(frame, [("diving", 0.5)]), 0.0)
    with av.open(str(tmp_path / "a.mp4")) as opened:
        [shown] = opened.decode(video=0)
    assert (shown.height, shown.width) == made


def test_names_that_are_no_text_are_told_and_written(tmp_path, capsys):
    net = weights(tmp_path / "net.safetensors")
    path = video(tmp_path / os.fsdecode(b"caf\xe9.mp4"))
    line = [sys.executable, "-m", "omnisrc", "predict", path, "--model", net, "-o", tmp_path / "all.json"]
    done = subprocess.run(line, capture_output=True, cwd=tmp_path)
    assert done.returncode == 0 and b"caf\\udce9.mp4" in done.stdout, done.stderr
    assert json.loads((tmp_path / "all.json").read_bytes())["inputs"][0]["name"] == str(path)
