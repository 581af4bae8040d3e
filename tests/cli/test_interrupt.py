"""Ctrl-C as a terminal sends it, to the whole group of processes: one sentence, exit code 130, no traceback."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from omnisrc.models import create_model, save_weights
from omnisrc.study import Study
from tests.cli.looking import video
from tests.filter.stages import tiny_teacher
from tests.filter.web import Item, land
from tests.flow.moving_world import write_moving_world
from tests.media_files import image_bytes
from tests.mixed_world import CLASSES, record_world, write_world

REPOSITORY = Path(__file__).parents[2]
SMALL = [
    "train.model_args={width: 8, dropout: 0.0}", "train.crop_size=32", "train.batch_size=4", "train.clip_len=4",
    "train.frame_interval=2", "train.threads=1", "train.device=cpu", "train.workers=2", "train.steps=100000",
]  # fmt: skip
LONG = ["eval.device=cpu", "eval.workers=2", "eval.crop_size=32", "eval.short_side=32", "eval.threads=1",
        "eval.clips=400", "eval.crops=10", "eval.batch_size=1"]  # fmt: skip


@pytest.fixture
def world(study: Study) -> Study:
    record_world(study, write_world(study.root, {("target", "train"): 8, ("target", "val"): 4, ("target", "test"): 40}))
    study.database().dispose()
    return study


@contextmanager
def started(*arguments: object, sets: Sequence[str] = (), cwd: Path = REPOSITORY) -> Iterator[subprocess.Popen[str]]:
    """A command of its own group, to which Ctrl-C is what it is in a terminal, whoever runs us."""
    line = [sys.executable, "-m", "omnisrc", *map(str, arguments), "--json"]
    line += [part for setting in sets for part in ("--set", setting)]
    process = subprocess.Popen(
        line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=cwd, start_new_session=True,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY), "OMP_NUM_THREADS": "1"},
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )  # fmt: skip
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def interrupted(process: subprocess.Popen[str], working: Callable[[], bool]) -> str:
    """The sentence after a Ctrl-C that comes as soon as the work has begun."""
    while not working():
        assert process.poll() is None, process.communicate()
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=100)
    assert process.returncode == 130 and "Traceback" not in err and "Traceback" not in out, err
    answer = json.loads(out)
    [said] = [line for line in err.splitlines() if line.startswith("omnisrc:")]
    assert answer["exit_code"] == 130 and said == f"omnisrc: {answer['error']}"
    return str(answer["error"])


def children(process: subprocess.Popen[str]) -> int:
    """Processes that it has started."""
    tasks = Path(f"/proc/{process.pid}/task").glob("*/children")
    return sum(len(task.read_text().split()) for task in tasks)


def test_train_says_how_to_go_on(world: Study) -> None:
    log = world.runs / "long" / "log.jsonl"
    line = ("train", "--model", "slowonly_r18", "--mix", "target", "--name", "long", "--workspace", world.root)
    with started(*line, sets=[*SMALL, "train.log_every=1"]) as process:
        said = interrupted(process, lambda: log.exists() and log.stat().st_size > 0)
    assert "Stopped after step" in said and (world.runs / "long" / "last.pt").exists()


def test_train_answers_while_its_loader_starts(world: Study) -> None:
    line = ("train", "--model", "slowonly_r18", "--mix", "target", "--name", "long", "--workspace", world.root)
    with started(*line, sets=SMALL) as process:
        assert "run the same command again to go on" in interrupted(process, lambda: children(process) > 0)


def test_eval_says_that_no_score_was_written(world: Study) -> None:
    weights = world.root / "w.safetensors"
    save_weights(create_model("slowonly_r18", len(CLASSES), width=8), weights, {"classes": CLASSES})
    with started("eval", "--checkpoint", weights, "--workspace", world.root, sets=LONG) as process:
        assert "no score was written" in interrupted(process, lambda: children(process) > 1)
    assert not list(world.reports.glob("eval-*"))


@pytest.mark.parametrize(("verb", "kept"), [("predict", "no file of predictions"), ("features", "what was written")])
def test_who_looks_at_videos_says_what_is_kept(tmp_path: Path, verb: str, kept: str) -> None:
    save_weights(create_model("slowonly_r18", 4, width=8), tmp_path / "net.safetensors", {"classes": CLASSES})
    films = [video(tmp_path / "in" / f"{number}.mp4", number, count=400) for number in range(3)]
    line = (verb, films[0].parent, "--model", tmp_path / "net.safetensors", "--stride", "0.02", "-o",
            tmp_path / ("out.json" if verb == "predict" else "out"))  # fmt: skip
    with started(*line, sets=["eval.device=cpu", "eval.threads=1"], cwd=tmp_path) as process:
        assert kept in interrupted(process, lambda: children(process) > 0)
    assert not (tmp_path / "out.json").exists()


def test_filter_stops_its_workers_without_a_traceback(study: Study) -> None:
    land(study, [Item(f"{n}.jpg", {"golf": 0}, image_bytes(96, 72, seed=n)) for n in range(3)])
    tiny_teacher(study.models / "tiny.safetensors")
    study.database().dispose()
    with started("filter", "--teacher", "tiny", "--workspace", study.root) as process:
        said = interrupted(process, lambda: children(process) > 0)
    assert said == "Stopped; run the same command again to go on."
    assert not any("Traceback" in log.read_text() for log in (study.root / "logs").glob("*"))


def test_flow_keeps_what_is_whole(study: Study) -> None:
    write_moving_world(study, {"train": 400}, per_shard=2, count=6)
    study.database().dispose()
    with started("flow", "--workspace", study.root) as process:
        said = interrupted(process, lambda: any((study.root / "flow").rglob("*.tar")))
    assert said == "Stopped; run the same command again to go on."


def test_a_list_has_its_sentence_even_while_the_program_is_loaded(tmp_path: Path) -> None:
    with started("models", "list", "--workspace", tmp_path / "none") as process:
        maps = Path(f"/proc/{process.pid}/maps")
        said = interrupted(process, lambda: "site-packages" in maps.read_text())
    assert said.startswith("Stopped")
