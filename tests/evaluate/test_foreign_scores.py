import json
import os
import pickle
import re

import numpy as np
import pytest
import torch

from omnisrc.errors import UserError
from omnisrc.evaluate.foreign_scores import import_scores, read_listing
from omnisrc.evaluate.plain_pickle import read_plain_pickle

CLASSES = ["dive", "jump", "run"]
ROWS = np.array([[0.7, 0.2, 0.1], [0.1, 0.3, 0.6]], np.float32)


@pytest.fixture
def listing(tmp_path):
    (tmp_path / "val.txt").write_text("dive/a b.mp4 0\nrun/c.mp4 1\n")
    return tmp_path / "val.txt"


def dumped(tmp_path, content, protocol=4):
    (tmp_path / "result.pkl").write_bytes(pickle.dumps(content, protocol=protocol))
    return tmp_path / "result.pkl"


def test_results_of_one_point_x_come_in_by_the_order_of_their_list(tmp_path, listing):
    results = [
        {"pred_score": torch.from_numpy(row), "gt_label": torch.tensor([label]), "num_crops": 3, "img_shape": (8, 8)}
        for row, label in zip(ROWS, (0, 1), strict=True)
    ]
    for protocol in (2, 4, 5):
        table = import_scores(dumped(tmp_path, results, protocol), listing, CLASSES)
        assert np.allclose(table.probabilities, ROWS) and table.logits is None
        assert table.labels.tolist() == [0, 1] and table.clips == ["dive/a b", "run/c"]
        assert table.right.tolist() == [True, False]


def test_results_of_the_first_release_are_nested(tmp_path, listing):
    results = [{"pred_scores": {"item": torch.from_numpy(row)}, "gt_labels": {"item": torch.tensor([at])}}
               for at, row in enumerate(ROWS)]  # fmt: skip
    assert np.allclose(import_scores(dumped(tmp_path, results), listing, CLASSES).probabilities, ROWS)


@pytest.mark.parametrize("protocol", [2, 4, 5])
def test_results_of_zero_point_x_are_arrays_and_may_be_logits(tmp_path, listing, protocol):
    logits = np.array([[3.0, -1.0, 0.0], [0.0, 1.0, 2.0]], np.float32)
    table = import_scores(dumped(tmp_path, list(logits), protocol), listing, CLASSES)
    assert np.allclose(table.logits, logits)
    assert np.allclose(table.probabilities, torch.softmax(torch.from_numpy(logits), 1), atol=1e-6)
    (tmp_path / "result.json").write_text(json.dumps(ROWS.tolist()))
    assert np.allclose(import_scores(tmp_path / "result.json", listing, CLASSES).probabilities, ROWS)


def test_a_pickle_that_holds_code_does_not_run_it(tmp_path, listing):
    class Evil:
        def __reduce__(self):
            return os.system, (f"touch {tmp_path}/ran",)

    inner = pickle.dumps(Evil())
    storage = (
        b"\x80\x04\x8c\rtorch.storage\x8c\x10_load_from_bytes\x93" + b"C" + bytes([len(inner)]) + inner + b"\x85R."
    )
    for content in (pickle.dumps([ROWS[0], Evil()]), pickle.dumps({"pred_score": Evil()}), storage):
        (tmp_path / "result.pkl").write_bytes(content)
        with pytest.raises(UserError, match=r"refused|no whole pickle"):
            read_plain_pickle(tmp_path / "result.pkl")
    assert not (tmp_path / "ran").exists()
    with pytest.raises(UserError, match=r"holds pickled code \(posix.system\) and is refused"):
        import_scores(dumped(tmp_path, [Evil()]), listing, CLASSES)


def test_half_a_file_and_other_files_are_refused(tmp_path, listing):
    whole = pickle.dumps(list(ROWS))
    for content in (whole[: len(whole) // 2], b"", b"some text\n", pickle.dumps({"a": 1}), pickle.dumps([])):
        (tmp_path / "result.pkl").write_bytes(content)
        with pytest.raises(UserError, match=r"no whole pickle|no list of results|refused"):
            import_scores(tmp_path / "result.pkl", listing, CLASSES)
    with pytest.raises(UserError, match="cannot be read"):
        import_scores(tmp_path / "none.pkl", listing, CLASSES)


def test_a_list_that_is_not_the_results_own_is_refused(tmp_path, listing):
    file = dumped(tmp_path, [{"pred_score": row, "gt_label": np.array([1])} for row in ROWS])
    with pytest.raises(UserError, match=re.escape("says label 1 of clip 1, but")):
        import_scores(file, listing, CLASSES)
    with pytest.raises(UserError, match=r"holds 3 results, but .* lists 2 clips"):
        import_scores(dumped(tmp_path, [*ROWS, ROWS[0]]), listing, CLASSES)
    with pytest.raises(UserError, match=r"Result 1 of .* holds 3 scores; the class list has 2 classes"):
        import_scores(dumped(tmp_path, list(ROWS)), listing, CLASSES[:2])
    with pytest.raises(UserError, match="not all finite"):
        import_scores(dumped(tmp_path, [ROWS[0], ROWS[1] * np.nan]), listing, CLASSES)
    with pytest.raises(UserError, match=r"Result 1 of .* holds 0 scores"):
        import_scores(dumped(tmp_path, [{"x": 1}, {"x": 2}]), listing, CLASSES)


def test_lists_of_videos_and_of_frame_folders(tmp_path):
    (tmp_path / "frames.txt").write_text("archery/v_a 250 3\n\nplaying chess/v b 12 0\n")
    paths, labels = read_listing(tmp_path / "frames.txt")
    assert paths == ["archery/v_a", "playing chess/v b"] and labels.tolist() == [3, 0]
    (tmp_path / "bad.txt").write_text("archery/v_a 3\nno label\n")
    with pytest.raises(UserError, match=r"Line 2 of .* is not `path label`"):
        read_listing(tmp_path / "bad.txt")
