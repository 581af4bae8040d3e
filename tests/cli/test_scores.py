import json
import pickle
import re

import numpy as np
import pytest

from omnisrc.cli.main import run
from omnisrc.evaluate.scores import read_scores, write_scores
from tests.evaluate.dumps import dump

LABELS = [at % 4 for at in range(40)]
SHIFTED = [(label + 1) % 4 for label in LABELS]


@pytest.fixture
def study(tmp_path):
    """A workspace with the scores of two runs, the second of which is right on 16 more of 40 clips."""
    for name, right in (("base", 12), ("omni", 28)):
        folder = tmp_path / "runs" / name / "eval" / "test"
        folder.mkdir(parents=True)
        write_scores(dump(LABELS[:right] + SHIFTED[right:], LABELS), folder / "predictions.parquet")
    return tmp_path


def scores(capsys, study, *arguments):
    code = run(["scores", *map(str, arguments), "--workspace", str(study), "--json"])
    said = capsys.readouterr()
    return code, json.loads(said.out), " ".join(said.err.split())


def test_two_runs_are_compared_in_a_sentence(study, capsys):
    code, answer, said = scores(capsys, study, "compare", "base", "omni")
    assert code == 0 and "omni is better than base: 70.00 % against 30.00 % top-1 over 40 clips" in said
    assert answer["difference"] == pytest.approx(0.4) and answer["mcnemar_exact"] == pytest.approx(2 / 2**16)
    assert f"Data set {answer['data_sha256'][:12]}, 40 of 40 clips" in said and "omni gains most" in said
    assert (study / "reports" / "compared-base+omni" / "by_class.csv").is_file()
    assert answer["answer"] in said


def test_scores_of_different_protocols_are_compared_with_a_warning(study, capsys):
    for name, clips in (("base", 1), ("omni", 10)):
        file = study / "runs" / name / "eval" / "test" / "predictions.parquet"
        table = read_scores(file)
        write_scores(table.retold({**table.about, "protocol": {"clips": clips, "crops": 3}}), file)
    code, answer, said = scores(capsys, study, "compare", "base", "omni")
    assert code == 0 and answer["protocols_differ"] == ["clips 1 and 10"]
    assert "Warning: their protocols differ: clips 1 and 10." in said


def test_scores_are_fused_and_written_like_an_evaluation(study, capsys):
    code, answer, said = scores(capsys, study, "fuse", "base", "omni", "--weights", "1,1.5", "-o", study / "both")
    assert code == 0 and answer["weights"] == [1, 1.5] and answer["top1"] == 0.7
    assert re.search(r"Fused: top-1 70.00 % \(95 % interval .* over 40 of 40 clips of the data set", said)
    one = read_scores(study / "both")
    wanted = [
        (read_scores(study / "runs" / name / "eval" / "test").probabilities, w)
        for name, w in (("base", 0.4), ("omni", 0.6))
    ]
    assert np.allclose(one.probabilities, sum(p * w for p, w in wanted), atol=1e-6)
    assert one.about["fused"] == ["base", "omni"]
    assert {"metrics.json", "confusion.png", "reliability.png", "pairs.csv"} <= {
        f.name for f in (study / "both").iterdir()
    }
    code, answer, said = scores(capsys, study, "compare", "base", study / "both")
    assert code == 0 and "both is better than base" in said
    code, answer, _ = scores(capsys, study, "fuse", "base", "omni", "--softmax", "last")
    assert code == 0 and read_scores(study / "reports" / "fused-base+omni").logits is not None


def test_one_evaluation_is_shown(study, capsys):
    code, answer, said = scores(capsys, study, "show", study / "runs/omni/eval/test", "--top", "2")
    assert code == 0 and answer["name"] == "omni" and answer["top1"] == 0.7 and len(answer["pairs"]) == 2
    assert answer["pairs"][0][2] == 3 and "most confused pairs" in said and "over 40 of 40 clips" in said


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["compare", "base", "omny"], "no scores at 'omny': no file, folder or run. Did you mean omni?"),
        (["compare", "base", "omni", "--split", "val"], "no scores on val; make them with `omnisrc eval --run base"),
        (["fuse", "base"], "Fusion takes two or more scores"),
        (["fuse", "base", "omni", "--weights", "1,x"], "--weights is '1,x'"),
        (["fuse", "base", "omni", "--weights", "1,2,3"], "2 dumps and 3 weights"),
        (["fuse", "base", "omni", "--softmax", "no"], "write first or last"),
    ],
)
def test_mistakes_are_one_sentence(study, capsys, arguments, said):
    code, answer, _ = scores(capsys, study, *arguments)
    assert code == 2 and said in answer["error"]


def test_clips_that_are_missing_are_named_and_may_be_left_out(study, capsys):
    file = study / "runs/omni/eval/test/predictions.parquet"
    write_scores(read_scores(file).take(np.arange(1, 40)), file)
    code, answer, _ = scores(capsys, study, "compare", "base", "omni")
    assert code == 2 and "omni lacks 1 of the 40 clips of base (class/0)" in answer["error"]
    code, answer, _ = scores(capsys, study, "compare", "base", "omni", "--common")
    assert code == 0 and answer["samples"] == 39


def test_results_of_mmaction2_come_in_and_are_compared(study, capsys, tmp_path):
    dumped = [{"pred_score": np.eye(4, dtype=np.float32)[label], "gt_label": np.array([label])} for label in LABELS]
    (tmp_path / "theirs.pkl").write_bytes(pickle.dumps(dumped))
    (tmp_path / "val.txt").write_text("".join(f"class/{at}.mp4 {label}\n" for at, label in enumerate(LABELS)))
    (tmp_path / "classes.txt").write_text("dive\njump\nrun\nswing\n")
    code, answer, said = scores(
        capsys, study, "import", tmp_path / "theirs.pkl", "--list", tmp_path / "val.txt", "--classes",
        tmp_path / "classes.txt", "-o", tmp_path / "theirs",
    )  # fmt: skip
    assert code == 0 and answer["top1"] == 1.0 and "over 40 of 40 clips" in said
    code, answer, said = scores(capsys, study, "compare", "omni", tmp_path / "theirs")
    assert code == 0 and "theirs is better than omni: 100.00 % against 70.00 %" in said
