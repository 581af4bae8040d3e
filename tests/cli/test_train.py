import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from db import models
from omnisrc.cli.main import run
from omnisrc.models import create_model, save_weights
from tests.mixed_world import CLASSES, record_world, write_world

REPOSITORY = Path(__file__).parents[2]
COUNTS = {
    ("target", "train"): 8, ("target", "val"): 4, ("target", "test"): 5, ("web-image", "train"): 4,
    ("web-clip", "train"): 4,
}  # fmt: skip
SMALL = [
    "train.model_args={width: 8, dropout: 0.0}", "train.crop_size=32", "train.batch_size=4", "train.clip_len=4",
    "train.frame_interval=2", "train.eval_every=2", "train.threads=1", "train.device=cpu",
]  # fmt: skip


@pytest.fixture
def world(study):
    record_world(study, write_world(study.root, COUNTS))
    study.database().dispose()
    return study


def omnisrc(capsys, study, verb, *arguments, sets=()):
    """Exit code, the object of --json, and what was said."""
    line = [verb, *map(str, arguments), "--workspace", str(study.root), "--json"]
    for setting in sets:
        line += ["--set", setting]
    code = run(line)
    said = capsys.readouterr()
    answer = json.loads(said.out)
    assert "Traceback" not in said.err
    return code, answer, " ".join(said.err.split())


def names_in(folder):
    return {path.name for path in folder.iterdir()}


def train(capsys, study, *arguments, sets=()):
    return omnisrc(capsys, study, "train", "--model", "slowonly_r18", *arguments, sets=[*SMALL, *sets])


def test_a_mix_is_trained_scored_and_booked(world, capsys):
    code, trained, said = train(capsys, world, "--mix", "web,target", "--steps", "4", "--seed", "3", "--name", "first")
    assert code == 0 and trained["run"] == "first" and trained["steps"] == 4
    assert trained["sources"] == {"target": 8, "web-image": 4, "web-clip": 4}
    assert any("no derivatives" in warning for warning in trained["warnings"]) and "no derivatives" in said
    folder = world.runs / "first"
    content = yaml.safe_load((folder / "run.yaml").read_text())
    recipe = content["recipe"]
    assert recipe["seed"] == 3 and recipe["mix"] == {"target": 2.0, "web-image": 1.0, "web-clip": 1.0}
    assert recipe["settings"]["lr"] == 0.02 and content["about"]["selection"] == "main"
    assert {"manifest.parquet", "log.jsonl", "last.safetensors", "best.safetensors"} <= names_in(folder)

    quick = ["eval.clips=2", "eval.crops=1", "eval.device=cpu"]
    code, scored, said = omnisrc(capsys, world, "eval", "--run", "first", "--split", "test", sets=quick)
    assert code == 0 and scored["samples"] == scored["expected"] == 5 and 0 <= scored["top1"] <= 1
    assert "2 clips x 1 crop, mean of" in said
    assert {"metrics.json", "predictions.parquet", "confusion.png"} <= names_in(Path(scored["folder"]))
    code, same, _ = omnisrc(capsys, world, "eval", "--checkpoint", folder / "best.safetensors", sets=quick)
    assert code == 0 and same["top1"] == scored["top1"] and same["checkpoint_sha256"] == scored["checkpoint_sha256"]

    rows = world.database().read(lambda session: session.query(models.Run).order_by(models.Run.id).all())
    assert [(row.kind, row.name, row.state) for row in rows] == [
        ("train", "first", "done"), ("eval", "first", "done"), ("eval", "best", "done"),
    ]  # fmt: skip
    assert rows[0].metrics["steps"] == 4 and rows[0].selection_id == 1 and rows[0].class_list_id == 1
    assert rows[1].metrics["top1"] == scored["top1"] and rows[1].config["split"] == "test"


def test_the_same_command_goes_on_with_the_same_run(world, capsys):
    first = train(capsys, world, "--mix", "target", "--steps", "2")[1]
    again = train(capsys, world, "--mix", "target", "--steps", "2", sets=["train.log_every=1"])[1]
    assert again["run"] == first["run"] and again["seconds"] == first["seconds"]
    assert first["run"].startswith("slowonly_r18-target-s0-")
    others = [
        train(capsys, world, "--mix", "target", "--steps", "2", *more)[1]["run"]
        for more in (["--seed", "1"], ["--set", "train.lr=0.1"])
    ]
    assert len({first["run"], *others}) == 3
    code, refused, _ = train(capsys, world, "--mix", "target", "--steps", "3", "--name", first["run"])
    assert code == 2 and "begun with another train.steps (2, now 3)" in refused["error"]
    code, refused, _ = train(capsys, world, "--mix", "web-image,target", "--steps", "2", "--name", first["run"])
    assert code == 2 and "another mix" in refused["error"]


def test_resume_takes_the_runs_own_recipe_and_data(world, capsys):
    run_name = train(capsys, world, "--mix", "target", "--steps", "2", "--name", "mine")[1]["run"]
    (world.runs / run_name / "last.pt").unlink()  # as if it was killed before its first checkpoint
    world.database().write(lambda session: session.query(models.TargetItem).update({"state": "failed"}))
    world.database().dispose()
    code, answer, _ = omnisrc(capsys, world, "train", "--resume", "--name", "mine", sets=["train.device=cpu"])
    assert code == 0 and answer["run"] == "mine" and answer["sources"] == {"target": 8}
    code, answer, _ = omnisrc(capsys, world, "train", "--resume", sets=["train.device=cpu"])
    assert code == 0 and answer["run"] == "mine"
    code, answer, _ = omnisrc(capsys, world, "train", "--resume", "--name", "mime")
    assert code == 2 and "Did you mean mine" in answer["error"]


def test_a_run_begins_with_other_weights(world, capsys, tmp_path):
    donor = tmp_path / "donor.safetensors"
    save_weights(create_model("slowonly_r18", 7, width=8), donor, {"classes": list("abcdefg")})
    code, answer, said = train(capsys, world, "--mix", "target", "--steps", "1", "--init", donor)
    assert code == 0
    recipe = yaml.safe_load((Path(answer["folder"]) / "run.yaml").read_text())["recipe"]
    assert recipe["init"]["path"] == str(donor) and len(recipe["init"]["sha256"]) == 64
    assert "It begins with donor.safetensors" in said and "left out: head.fc" in said


def test_weights_to_begin_with_have_names_too_and_must_fit(world, capsys):
    world.models.mkdir(exist_ok=True)
    others = {"classes": list(CLASSES[::-1])}
    save_weights(create_model("slowonly_r18", 4, width=8), world.models / "mine.safetensors", others)
    save_weights(create_model("tsn_r50", 4, width=8), world.models / "tsn.safetensors", {})
    code, answer, said = train(capsys, world, "--mix", "target", "--steps", "1", "--init", "mine", "--name", "one")
    assert code == 0 and "the same names in another order, first at 0" in said and "left out: head.fc" in said
    code, answer, _ = train(capsys, world, "--mix", "target", "--steps", "1", "--init", "tsn", "--name", "two")
    assert code == 2 and "holds a 2-D ResNet-50 of width 8, but slowonly_r18 is" in answer["error"]
    code, answer, _ = train(capsys, world, "--mix", "target", "--init", "slowonly_r50_8x8_k400", "--name", "two")
    assert code == 2 and "`omnisrc models add slowonly_r50_8x8_k400`" in answer["error"]
    mirror = ["models.mirror=https://weights.invalid"]
    asked = ("--init", "slowonly_r50_8x8_k400", "--download", "--name", "two")
    code, answer, _ = train(capsys, world, "--mix", "target", *asked, sets=mirror)
    assert code == 1 and "could not be fetched (dns" in answer["error"]
    assert names_in(world.runs) == {"one"}


@pytest.mark.parametrize(
    ("arguments", "sets", "sentence"),
    [
        (["--mix", "targt"], [], "Did you mean target"),
        (["--model", "slowonly_r5"], [], "slowonly_r50"),
        (["--set", "train.learning=1"], [], "no setting train.learning"),
        (["--selection", "mane"], [], "Did you mean main"),
        (["--init", "/no/such/file"], [], "no weights file /no/such/file"),
        (["--name", "a/b"], [], "cannot name a run"),
        (["--mix", "target:9,web:1"], [], "leaves none of web-image"),
        ([], ["train.device=cuda:9"], "CUDA"),
        ([], ["train.device=gpu"], "no device 'gpu'"),
        ([], ["train.image_clips=warp", "train.warp={mean: [1, 2]}"], "train.warp do not fit"),
    ],
)
def test_mistakes_end_with_one_sentence(world, capsys, arguments, sets, sentence):
    code, answer, _ = train(capsys, world, "--steps", "1", *arguments, sets=sets)
    assert code == 2 and sentence in answer["error"], answer
    assert not list(world.runs.iterdir())


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ([], "either --run NAME or --checkpoint NAME|FILE"),
        (["--run", "x", "--checkpoint", "y"], "either --run NAME or --checkpoint NAME|FILE"),
        (["--run", "nope"], "There is no run 'nope'. Train one"),
        (["--checkpoint", "/no/such.pth"], "there is no weights file /no/such.pth"),
    ],
)
def test_scoring_nothing_is_named(world, capsys, arguments, sentence):
    code, answer, _ = omnisrc(capsys, world, "eval", *arguments)
    assert code == 2 and sentence in answer["error"]


def test_scoring_needs_the_targets_classes_and_split(world, capsys, tmp_path):
    path = tmp_path / "other.safetensors"
    save_weights(create_model("tsn_r18", 4, width=8), path, {"class_list": "elsewhere", "class_list_sha256": "f" * 64})
    code, answer, _ = omnisrc(capsys, world, "eval", "--checkpoint", path)
    assert code == 2 and "class list elsewhere" in answer["error"]
    save_weights(create_model("tsn_r18", 9, width=8), path, {})
    code, answer, _ = omnisrc(capsys, world, "eval", "--checkpoint", path)
    assert code == 2 and "knows 9 classes" in answer["error"]
    save_weights(create_model("tsn_r18", 4, width=8), path, {"classes": list(CLASSES)})
    code, answer, _ = omnisrc(capsys, world, "eval", "--checkpoint", path, "--split", "dev")
    assert code == 2 and "no dev split" in answer["error"]


def test_an_empty_study_says_what_is_missing_and_which_command_makes_it(study, capsys, tmp_path):
    code, answer, _ = omnisrc(capsys, study, "train", "--mix", "web,target")
    assert code == 2 and "omnisrc crawl" in answer["error"] and "omnisrc filter" in answer["error"]
    code, answer, _ = omnisrc(capsys, study, "train", "--mix", "target")
    assert code == 2 and "omnisrc target add" in answer["error"]
    code, answer, _ = omnisrc(capsys, study, "train", "--resume")
    assert code == 2 and "no run to go on with" in answer["error"]


def test_web_means_the_web_sources_that_there_are(study, capsys):
    counts = {key: count for key, count in COUNTS.items() if key[0] != "web-clip"}
    record_world(study, write_world(study.root, counts))
    code, answer, _ = train(capsys, study, "--mix", "web,target", "--steps", "1")
    assert code == 0 and answer["sources"] == {"target": 8, "web-image": 4}
    code, answer, _ = train(capsys, study, "--mix", "web-clip,target", "--steps", "1")
    assert code == 2 and "kept no sample for the source web-clip" in answer["error"]


def test_ctrl_c_stops_with_how_to_go_on_and_a_second_process_is_refused(world):
    command = [
        sys.executable, "-m", "omnisrc.cli.main", "train", "--model", "slowonly_r18", "--mix", "target", "--steps",
        "100000", "--name", "long", "--workspace", str(world.root), "--json",
    ]  # fmt: skip
    for setting in [*SMALL, "train.log_every=1"]:
        command += ["--set", setting]
    started = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=REPOSITORY)
    try:
        log = world.runs / "long" / "log.jsonl"
        while not (log.exists() and log.stat().st_size):
            assert started.poll() is None, started.communicate()
            time.sleep(0.1)
        second = subprocess.run(command, capture_output=True, text=True, cwd=REPOSITORY)
        assert second.returncode == 2 and "being trained already" in json.loads(second.stdout)["error"]
        started.send_signal(signal.SIGINT)
        out, err = started.communicate(timeout=60)
    finally:
        started.kill()
    assert started.returncode == 130 and "Traceback" not in err
    assert "run the same command again to go on" in json.loads(out)["error"]
    assert (world.runs / "long" / "last.pt").exists()
    [row] = world.database().read(lambda session: session.query(models.Run).all())
    assert row.state == "stopped"
