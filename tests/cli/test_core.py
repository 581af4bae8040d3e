"""The command line of a study: init, db, status, export, doctor, gc, and how every command ends."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from db import ledger
from db.models import Shard
from omnisrc.cli import main
from omnisrc.cli.app import VERBS
from omnisrc.shards.write import ShardWriter
from omnisrc.study import Study

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    assert main.run(["init", "--workspace", str(tmp_path / "study")]) == 0
    return tmp_path / "study"


def answer(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, Any]:
    """(exit code, the one JSON object on stdout)."""
    capsys.readouterr()
    code = main.run([*arguments, "--json"])
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 1
    return code, json.loads(lines[0])


def add_shard(study: Study, name: str, kind: str = "landing") -> Path:
    with ShardWriter(study.root / kind, name) as writer:
        writer.write("a", {"jpg": b"1" * 600})
        writer.write("b", {"jpg": b"2" * 600})
        made = writer.close()
    row = Shard(
        kind=kind, medium="image", path=study.relative(made.path), count=made.count, bytes=made.bytes,
        sha256=made.sha256, created=0.0,
    )  # fmt: skip
    study.database().write(lambda session: session.add(row))
    return made.path


def test_init_twice_changes_nothing(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (workspace / "omnisrc.yaml").write_text("engine:\n  lease_s: 5\n")
    code, said = answer(capsys, "init", "--workspace", str(workspace))
    assert code == 0 and said["workspace"] == str(workspace)
    assert (workspace / "omnisrc.yaml").read_text() == "engine:\n  lease_s: 5\n"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["crawll"], "No such command 'crawll'"),
        (["status"], "There is no study in"),
        (["init", "--set", "engine.lease=3"], "Did you mean lease_s"),
        (["init", "--set", "nothing"], "not of the form a.b=value"),
        (["worker", "--once", "--queues", "gpus"], "There is no queue 'gpus'. Did you mean gpu"),
        (["filter", "--teacher", "slowonly"], "omnisrc crawl --classes NAME"),
        (["train", "--mix", "web,target"], "omnisrc crawl --classes NAME"),
        (["eval", "--run", "none"], "."),
        (["crawl", "--classes", "kinetics40"], "kinetics400"),
        (["crawl", "--classes", "ucf101", "--provider", "common"], "Did you mean commons"),
        (["target", "add", "nowhere", "--format", "csv"], "nowhere"),
        (["db", "check", "--set", "database.url=nonsense"], "not a database URL"),
        (["db", "check", "--set", "database.url=mysql://a@b/c"], "not supported"),
        (["providers", "find", "commons", " "], "empty text"),
        (["crawl", "--classes", "ucf101", "--max-hours", "nan"], "must be a number"),
    ],
)
def test_a_mistake_is_one_sentence_and_exit_code_2(
    arguments: list[str], says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = [] if arguments == ["crawll"] else ["--workspace", str(tmp_path / "study")]
    assert main.run([*arguments, *place]) == 2
    out, err = capsys.readouterr()
    assert says in " ".join(err.split())
    assert "Traceback" not in err and out == ""
    assert main.run([*arguments, *place, "--json"]) == 2
    assert json.loads(capsys.readouterr().out)["exit_code"] == 2


def test_an_export_to_a_folder_that_is_not_there_is_refused(
    workspace: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for place in (tmp_path / "none" / "rows.jsonl", tmp_path):
        assert main.run(["export", "assets", "--output", str(place), "--workspace", str(workspace)]) == 2
        assert "in a folder that is there" in " ".join(capsys.readouterr().err.split())


def test_help_tells_where_a_study_is_looked_for(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run(["status", "--help"]) == 0
    assert "OMNISRC_HOME" in capsys.readouterr().out


def test_a_workspace_that_is_a_file_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("")
    assert main.run(["init", "--workspace", str(tmp_path / "file")]) == 2
    assert "is a file" in capsys.readouterr().err


def test_a_newer_database_is_refused_by_every_command(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    study = Study.open(workspace)
    study.database().write(lambda s: s.execute(text("update alembic_version set version_num='9999'")) and None)
    for command in (["status"], ["db", "upgrade"], ["doctor"], ["crawl", "--classes", "ucf101"], ["init"]):
        assert main.run([*command, "--workspace", str(workspace)]) == 2
        assert "newer omnisrc" in " ".join(capsys.readouterr().err.split())


def test_status_of_an_empty_study(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, said = answer(capsys, "status", "--workspace", str(workspace))
    assert code == 0
    assert said["assets"] == {} and said["jobs"] == {}


def test_doctor_removes_litter_and_keeps_what_a_row_names(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    study = Study.open(workspace)
    kept = add_shard(study, "landing-kept")
    litter = [
        workspace / "landing" / name for name in ("landing-dead-image.tar", "landing-dead-image.idx", "x.tar.part")
    ]
    for path in litter:
        path.write_bytes(b"left behind")
    code, said = answer(capsys, "doctor", "--deep", "--workspace", str(workspace))
    assert code == 0
    assert sorted(said["litter"]) == sorted(map(str, litter))
    assert not any(path.exists() for path in litter)
    assert kept.exists() and kept.with_suffix(".idx").exists()


def test_a_study_whose_catalogue_lies_elsewhere_is_found(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    elsewhere = ["--workspace", str(tmp_path / "study"), "--set", f"database.url=sqlite:///{tmp_path / 'catalog.db'}"]
    assert main.run(["init", *elsewhere]) == 0
    code, said = answer(capsys, "doctor", *elsewhere)
    assert code == 0 and said["damage"] == []


def test_doctor_removes_the_folders_of_dead_jobs_and_no_others(
    workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    study = Study.open(workspace)
    study.database().write(lambda session: ledger.enqueue(session, "fetch", "drain 1"))
    lease = ledger.claim(study.database(), ["fetch"], "elsewhere|boot|1|1", 600.0)
    assert lease is not None
    empty, full, used, other = (
        workspace / "landing" / name
        for name in ("fetch-0a1b-x", "fetch-0a1b-y", f"fetch-{lease.token}-x", "predictions")
    )
    for folder in (empty, full, used, other):
        folder.mkdir()
    (full / "media").write_bytes(b"half of it")
    code, said = answer(capsys, "doctor", "--workspace", str(workspace))
    assert code == 0
    assert sorted(said["litter"]) == sorted(map(str, (empty, full, full / "media")))
    assert [path.exists() for path in (empty, full, used, other)] == [False, False, True, True]


def test_doctor_reports_damage_with_exit_code_1(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    study = Study.open(workspace)
    gone, cut, changed = (add_shard(study, name) for name in ("gone", "cut", "changed"))
    gone.unlink()
    os.truncate(cut, 1024 + 512)
    data = bytearray(changed.read_bytes())
    data[600] ^= 1
    changed.write_bytes(data)
    code, said = answer(capsys, "doctor", "--deep", "--workspace", str(workspace))
    assert code == said["exit_code"] == 1 and "3 files are damaged" in said["error"] and said["shards"] == 3
    for path in (gone, cut, changed):
        assert any(path.name in line for line in said["damage"]), path


def test_gc_frees_nothing_that_is_not_packed(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shard = add_shard(Study.open(workspace), "landing-a")
    code, said = answer(capsys, "gc", "--workspace", str(workspace))
    assert (code, said["shards"]) == (0, []) and shard.exists()


def test_export_to_a_file_appears_whole(workspace: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "assets.jsonl"
    code, said = answer(capsys, "export", "assets", "--output", str(file), "--workspace", str(workspace))
    assert (code, said["rows"]) == (0, 0)
    assert file.read_text() == ""


def test_a_reader_that_hangs_up_is_no_traceback(workspace: Path) -> None:
    command = f"{sys.executable} -m omnisrc export assets --workspace {workspace} | head -n 0; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], cwd=ROOT, capture_output=True, text=True)
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("words", [["models", "show", "slowonly_r18"], ["classes", "list"]])
def test_a_command_that_went_well_leaves_nothing_on_stderr(words: list[str]) -> None:
    """Not even what torch's libraries say when an interpreter ends otherwise than they like."""
    done = subprocess.run([sys.executable, "-m", "omnisrc", *words], cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "") and done.stdout


def test_help_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run(["--help"]) == 0
    shown = capsys.readouterr().out
    assert all(verb in shown for verb in VERBS)
