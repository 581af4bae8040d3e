"""`omnisrc target` and `omnisrc filter` as a user runs them, with worker processes."""

import json
from pathlib import Path

import pytest

from omnisrc.cli.main import run
from omnisrc.study import Study
from tests.filter.stages import tiny_teacher
from tests.filter.web import CLASSES, Item, land
from tests.media_files import headless_mp4, image_bytes, video_bytes


def command(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, dict, str]:
    """(exit code, the JSON object, what was said)."""
    code = run([str(argument) for argument in arguments] + ["--json"])
    out, err = capsys.readouterr()
    return code, json.loads(out.splitlines()[-1]), err


@pytest.fixture
def target(tmp_path: Path) -> Path:
    """A CSV as spreadsheets write it: a mark before the first byte, carriage returns, quotes, spaces, commas."""
    folder = tmp_path / "my clips"
    folder.mkdir()
    rows = []
    for number, split in enumerate(("train", "train", "val", "test")):
        (folder / f"a, {number}.mp4").write_bytes(video_bytes(8, width=96, height=72, seed=number))
        rows.append(f'"a, {number}.mp4",{CLASSES[number % 3]},g{number},{split}')
    (folder / "broken.mp4").write_bytes(headless_mp4(video_bytes(8)))
    rows += ["broken.mp4,golf,g9,train", "gone.mp4,golf,g8,train", "gone.mp4,golf,g8,train", rows[0],
             "broken.mp4,swim,g7,train"]  # fmt: skip
    (folder / "list.csv").write_bytes(("\ufeffpath,label,group,split\r\n" + "\r\n".join(rows) + "\r\n").encode())
    (tmp_path / "classes.txt").write_text("".join(f"{name}\n" for name in CLASSES))
    return folder / "list.csv"


def test_a_target_is_added_shown_and_checked(tmp_path: Path, target: Path, capsys: pytest.CaptureFixture[str]) -> None:
    place = ("--workspace", tmp_path / "study")
    add = ("target", "add", target, "--format", "csv", "--classes", tmp_path / "classes.txt", *place)
    code, first, said = command(capsys, *add)
    assert code == 0 and first["new"] == 5
    assert first["problems"] == {"missing-file": 2, "duplicate-row": 1, "unknown-label": 1}
    assert {split: row["stored"] for split, row in first["splits"].items()} == {"train": 2, "val": 1, "test": 1}
    assert first["errors"] == {"decode": 1, "storage": 1} and first["failed"][0][0].endswith("broken.mp4")
    assert first["splits"]["train"]["items"] == 4  # a file that is missing is expected all the same
    assert "gone.mp4" in said and "'swim'" in said
    code, again, _ = command(capsys, *add)
    assert code == 0 and again["new"] == 0 and again["splits"] == first["splits"]
    assert command(capsys, "target", "show", *place)[1]["splits"] == first["splits"]
    code, check, said = command(capsys, "target", "check", *place)
    assert code == 0 and check["clean"] is True and "No leak found" in said


def test_filter_judges_selects_packs_and_says_what_it_did(
    tmp_path: Path, target: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = ("--workspace", tmp_path / "study")
    command(capsys, "target", "add", target, "--format", "csv", "--classes", tmp_path / "classes.txt", *place)
    study = Study.open(tmp_path / "study")
    found = dict.fromkeys(CLASSES, 0)
    land(study, [Item(f"{n}.jpg", found, image_bytes(96, 72, seed=n)) for n in range(3)])
    land(study, [Item("a.mp4", found, video_bytes(8, width=96, height=72, seed=3), medium="video")], name="landing-2")
    tiny_teacher(study.models / "tiny.safetensors")
    code, answer, said = command(capsys, "filter", "--teacher", "tiny", *place, "--set", "filter.leak_checks=2")
    assert code == 0, answer
    assert answer["members"] == {"image": {"found": 3, "kept": 3}, "clip": {"found": 1, "kept": 0, "contaminated": 1}}
    assert answer["packed"] and answer["decontaminated"] and answer["planted_leaks"]["planted"] == 2
    assert "Packed into 1 curated shards" in said and "dropped: contaminated" in said
    code, none, said = command(capsys, "filter", "--redo", "select", "--min-probability", "1", *place)
    assert code == 0 and none["members"]["image"]["probability"] == 3 and none["packed"]
    study.database().dispose()


@pytest.mark.parametrize("arguments", [("--teacher", "slowonly"), ("--redo", "select"), ("--rule", "all")])
def test_an_empty_workspace_names_the_command_that_comes_first(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...]
) -> None:
    code, answer, _ = command(capsys, "filter", *arguments, "--workspace", tmp_path / "none")
    assert code == 2 and "omnisrc crawl --classes" in answer["error"] and answer["error"].count(". ") == 0
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("target", "add", "{folder}/nowhere", "--format", "csv"), "nowhere"),
        (("target", "add", "{folder}", "--format", "cvs"), "Did you mean csv"),
        (("target", "add", "{folder}", "--format", "csv", "--split", "trian=x.csv"), "SPLIT=FILE"),
        (("target", "add", "{folder}", "--format", "folder"), "not one usable item"),
        (("target", "check"), "no target to check"),
        (("filter", "--min-probability", "2"), "min_probability must lie between 0 and 1"),
    ],
)
def test_mistakes_are_one_sentence_and_exit_code_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], sentence: str
) -> None:
    (tmp_path / "data" / "golf").mkdir(parents=True)
    (tmp_path / "data" / "golf" / "x.mp4").write_bytes(b"")
    assert run(["init", "--workspace", str(tmp_path / "study")]) == 0
    capsys.readouterr()
    given = [argument.format(folder=tmp_path / "data") for argument in arguments]
    code, answer, _ = command(capsys, *given, "--workspace", tmp_path / "study")
    assert (code, answer["exit_code"]) == (2, 2) and sentence in answer["error"]
