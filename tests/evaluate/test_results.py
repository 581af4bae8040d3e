import csv
import json

import numpy as np
import pyarrow.parquet as pq
from PIL import Image

from omnisrc.data.batch import Skip
from omnisrc.data.manifest import manifest_of
from omnisrc.evaluate.plots import plot_confusion, plot_per_class
from omnisrc.evaluate.results import write_results
from omnisrc.evaluate.scoring import Scored
from omnisrc.tasks.recognition import Recognition

TASK = Recognition(("dive", 'jump, "high"', "run"))
ROWS = manifest_of(
    {"sample": [9, 8, 7, 6], "source": ["target"] * 4, "split": ["test"] * 4, "label": [0, 1, 1, 2],
     "path": ["a.tar", "b c.mp4", "d.tar", "e.tar"], "key": ["k1", "", "k3", "k4"]},
    TASK.classes, "toy", "0" * 64,
)  # fmt: skip
SCORED = Scored(
    np.array([7, 8, 9]), np.array([1, 1, 0]),
    np.array([[0.1, 0.2, 0.7], [0.2, 0.6, 0.2], [0.5, 0.3, 0.2]], np.float32), (Skip(6, "e.tar", "decode"),),
)  # fmt: skip


def test_an_evaluation_leaves_figures_predictions_tables_and_plots(tmp_path):
    write_results(tmp_path / "out", SCORED, TASK, ROWS, {"split": "test"})
    out = tmp_path / "out"
    figures = json.loads((out / "metrics.json").read_text())
    assert figures["top1"] == 2 / 3 and figures["samples"] == 3 and figures["split"] == "test"
    assert figures["mean_class_accuracy"] == (1 + 1 / 2) / 2
    assert figures["unreadable"] == [{"sample": 6, "path": "e.tar", "error": "decode"}]
    table = pq.read_table(out / "predictions.parquet")
    assert table["sample"].to_pylist() == [7, 8, 9] and table["path"].to_pylist() == ["d.tar", "b c.mp4", "a.tar"]
    assert table["key"].to_pylist() == ["k3", "", "k1"] and table["predicted"].to_pylist() == [2, 1, 0]
    assert np.allclose(np.stack(table["probabilities"].to_numpy()), SCORED.scores)
    lines = [json.loads(line) for line in (out / "predictions.jsonl").read_text().splitlines()]
    assert lines[0] == {
        "sample": 7, "path": "d.tar", "key": "k3", "class": 'jump, "high"',
        "predicted": [["run", 0.7], ['jump, "high"', 0.2], ["dive", 0.1]],
    }  # fmt: skip
    with open(out / "confusion.csv", newline="") as file:
        assert list(csv.reader(file)) == [
            ["true \\ predicted", *TASK.classes], ["dive", "1", "0", "0"], ['jump, "high"', "0", "1", "1"],
            ["run", "0", "0", "0"],
        ]  # fmt: skip
    with open(out / "per_class.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert rows[1] == {
        "class": 'jump, "high"', "samples": "2", "right": "1", "accuracy": "0.5000", "precision": "1.0000",
        "taken_for": "run", "taken_for_count": "1",
    }  # fmt: skip
    assert rows[2]["samples"] == "0" and rows[2]["accuracy"] == "" and rows[2]["precision"] == "0.0000"
    for name in ("confusion.png", "per_class.png"):
        with Image.open(out / name) as picture:
            assert min(picture.size) > 150 and len(np.unique(np.asarray(picture))) > 10


def test_plots_of_four_hundred_classes_stay_within_a_page(tmp_path):
    rng = np.random.default_rng(0)
    matrix = rng.integers(0, 3, (400, 400)) + np.diag(rng.integers(0, 50, 400))
    classes = [f"a class with a rather long name {k}" for k in range(400)]
    plot_confusion(matrix, classes, tmp_path / "c.png")
    plot_per_class(np.diag(matrix) / matrix.sum(1), classes, tmp_path / "p.png")
    for name in ("c.png", "p.png"):
        with Image.open(tmp_path / name) as picture:
            assert max(picture.size) < 2200
