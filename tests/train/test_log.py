import json

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from omnisrc.train.log import RunLog, read_log


def write(tmp_path, first, last):
    with RunLog(tmp_path / "log.jsonl", tmp_path / "board", first) as log:
        for step in range(first + 1, last + 1):
            log.write(step, "train", {"loss": 10.0 - step, "target": {"top1": step / 10, "skips": 0}})
            log.write_once(step, "skip", {"path": "a.mp4"}, key="a")


def test_lines_from_beyond_the_step_of_a_resumed_run_go(tmp_path):
    write(tmp_path, 0, 5)
    with open(tmp_path / "log.jsonl", "a") as file:
        file.write('{"step": 6, "ki')  # the kill came here
    write(tmp_path, 3, 7)
    lines = read_log(tmp_path / "log.jsonl")
    assert [line["step"] for line in lines if line["kind"] == "train"] == [1, 2, 3, 4, 5, 6, 7]
    assert lines[0] == {"step": 1, "kind": "train", "loss": 9.0, "target": {"top1": 0.1, "skips": 0}}
    assert all(json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines())
    assert [line["step"] for line in lines if line["kind"] == "skip"] == [1, 4]


def test_tensorboard_has_the_same_figures(tmp_path):
    write(tmp_path, 0, 5)
    board = EventAccumulator(str(tmp_path / "board"))
    board.Reload()
    assert set(board.Tags()["scalars"]) == {"train/loss", "train/target/top1", "train/target/skips"}
    assert [(e.step, e.value) for e in board.Scalars("train/loss")] == [(k, 10.0 - k) for k in range(1, 6)]


def test_a_silent_log_writes_nothing(tmp_path):
    with RunLog(tmp_path / "log.jsonl", tmp_path / "board", 0, silent=True) as log:
        log.write(1, "train", {"loss": 1.0})
        log.write_once(1, "skip", {}, key=1)
    assert not list(tmp_path.iterdir())
