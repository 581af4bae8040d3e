import csv
import errno
import json
from multiprocessing import get_context

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from omnisrc.data.batch import Skip
from omnisrc.data.manifest import manifest_of
from omnisrc.errors import WorldError
from omnisrc.evaluate.evaluation import Origin, score_table
from omnisrc.evaluate.plots import plot_confusion, plot_per_class
from omnisrc.evaluate.results import figures_of, write_results
from omnisrc.evaluate.scores import read_scores, write_scores
from omnisrc.evaluate.scoring import Scored
from omnisrc.evaluate.whole_files import whole_file

CLASSES = ("dive", 'jump, "high"', "run")
ROWS = manifest_of(
    {"sample": [9, 8, 7, 6], "source": ["target"] * 4, "split": ["test"] * 4, "label": [0, 1, 1, 2],
     "path": ["a.tar", "b c.mp4", "d.tar", "e.tar"], "key": ["k1", "", "k3", "k4"]},
    CLASSES, "toy", "0" * 64,
)  # fmt: skip
SCORED = Scored(
    np.array([7, 8, 9]), np.array([1, 1, 0]),
    np.array([[0.1, 0.2, 0.7], [0.2, 0.6, 0.2], [0.5, 0.3, 0.2]], np.float32), (Skip(6, "e.tar", "decode"),),
)  # fmt: skip


def test_an_evaluation_leaves_figures_predictions_tables_and_plots(tmp_path):
    out = tmp_path / "out"
    table = score_table(SCORED, ROWS, {7: Origin("x/d.mp4", "v1"), 8: Origin("x/b.mp4", "v1")}, {"split": "test"})
    write_results(out, table, figures_of(table), [{"sample": 6, "path": "e.tar", "error": "decode"}])
    figures = json.loads((out / "metrics.json").read_text())
    assert figures["top1"] == 2 / 3 and figures["samples"] == 3 and figures["split"] == "test"
    assert figures["mean_class_accuracy"] == (1 + 1 / 2) / 2 and figures["groups"] == 2
    assert figures["top1_interval"][0] <= 2 / 3 <= figures["top1_interval"][1]
    assert figures["loss"] == pytest.approx(-np.mean(np.log([0.2, 0.6, 0.5])))
    assert figures["ece"] == pytest.approx((0.7 + 0.4 + 0.5) / 3)
    assert figures_of(table, "seen")["mean_class_accuracy"] == (1 + 1 / 2 + 0) / 3
    assert figures["unreadable"] == [{"sample": 6, "path": "e.tar", "error": "decode"}]
    table = pq.read_table(out / "predictions.parquet")
    assert table["sample"].to_pylist() == [7, 8, 9] and table["path"].to_pylist() == ["d.tar", "b c.mp4", "a.tar"]
    assert table["key"].to_pylist() == ["k3", "", "k1"] and table["predicted"].to_pylist() == [2, 1, 0]
    assert np.allclose(np.stack(table["probabilities"].to_numpy()), SCORED.scores)
    lines = [json.loads(line) for line in (out / "predictions.jsonl").read_text().splitlines()]
    assert lines[0] == {
        "sample": 7, "clip": "x/d.mp4", "path": "d.tar", "key": "k3", "class": 'jump, "high"',
        "predicted": [["run", 0.7], ['jump, "high"', 0.2], ["dive", 0.1]],
    }  # fmt: skip
    with open(out / "confusion.csv", newline="") as file:
        assert list(csv.reader(file)) == [
            ["true \\ predicted", *CLASSES], ["dive", "1", "0", "0"], ['jump, "high"', "0", "1", "1"],
            ["run", "0", "0", "0"],
        ]  # fmt: skip
    with open(out / "per_class.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert rows[1] == {
        "class": 'jump, "high"', "samples": "2", "right": "1", "accuracy": "0.5000", "precision": "1.0000",
        "taken_for": "run", "taken_for_count": "1",
    }  # fmt: skip
    assert rows[2]["samples"] == "0" and rows[2]["accuracy"] == "" and rows[2]["precision"] == "0.0000"
    with open(out / "pairs.csv", newline="") as file:
        assert list(csv.reader(file))[1:] == [
            ["both", 'jump, "high"', "run", "1", "0.5000"], ["taken for", 'jump, "high"', "run", "1", "0.5000"],
        ]  # fmt: skip
    with open(out / "reliability.csv", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["clips"] != "0"]
    assert [(row["confidence"], row["accuracy"]) for row in rows] == [
        ("0.5000", "1.0000"), ("0.6000", "1.0000"), ("0.7000", "0.0000"),
    ]  # fmt: skip
    for name in ("confusion.png", "per_class.png", "reliability.png"):
        with Image.open(out / name) as picture:
            assert min(picture.size) > 150 and len(np.unique(np.asarray(picture))) > 10


def test_what_cannot_be_written_is_named_and_leaves_no_half_file(tmp_path):
    out = tmp_path / "out"
    table = score_table(SCORED, ROWS, {}, {"split": "test"})
    (out / "confusion.png").mkdir(parents=True)
    with pytest.raises(WorldError, match=r"confusion\.png could not be written"):
        write_results(out, table, figures_of(table))
    assert not (out / "metrics.json").exists() and not list(out.glob("*.part")) + list(out.glob(".*"))
    (tmp_path / "file").write_text("")
    with pytest.raises(WorldError, match="could not be written"):
        write_results(tmp_path / "file" / "out", table, figures_of(table))


def test_two_processes_that_write_the_same_scores_do_not_disturb_each_other(tmp_path):
    spawn = get_context("spawn")
    start = spawn.Barrier(2)
    writers = [spawn.Process(target=write_often, args=(tmp_path / "predictions.parquet", start)) for _ in range(2)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert [writer.exitcode for writer in writers] == [0, 0]
    assert len(read_scores(tmp_path)) == 3 and [path.name for path in tmp_path.iterdir()] == ["predictions.parquet"]


def test_the_failure_of_another_file_is_not_put_down_to_the_one_that_is_written(tmp_path):
    with pytest.raises(FileNotFoundError, match="elsewhere"), whole_file(tmp_path / "out" / "a.csv"):
        (tmp_path / "elsewhere").read_text()
    assert not list((tmp_path / "out").iterdir())
    with pytest.raises(WorldError, match=r"a\.csv could not be written"), whole_file(tmp_path / "out" / "a.csv"):
        raise OSError(errno.ENOSPC, "No space left on device")


def write_often(path, start):
    table = score_table(SCORED, ROWS, {}, {"split": "test"})
    start.wait()
    for _ in range(50):
        write_scores(table, path)


def test_plots_of_four_hundred_classes_stay_within_a_page(tmp_path):
    rng = np.random.default_rng(0)
    matrix = rng.integers(0, 3, (400, 400)) + np.diag(rng.integers(0, 50, 400))
    classes = [f"a class with a rather long name {k}" for k in range(400)]
    plot_confusion(matrix, classes, tmp_path / "c.png")
    plot_per_class(np.diag(matrix) / matrix.sum(1), classes, tmp_path / "p.png")
    for name in ("c.png", "p.png"):
        with Image.open(tmp_path / name) as picture:
            assert max(picture.size) < 2200
