"""`omnisrc report`, as a user runs it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from omnisrc.cli.main import run
from omnisrc.study import Study
from tests.report import studies


def test_the_page_is_written_where_it_is_asked_for(
    study: Study, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    studies.crawled(study)
    page = tmp_path / "my page.html"
    assert run(["report", "--workspace", str(study.root), "--output", str(page), "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer == {"file": str(page), "bytes": page.stat().st_size}
    assert page.read_text().startswith("<!doctype html>")


def test_by_default_it_lies_among_the_reports(study: Study) -> None:
    assert run(["report", "--workspace", str(study.root)]) == 0
    assert (study.root / "reports" / "report.html").exists()


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["--output", "{tmp}"], "is a folder"),
        (["--output", "{tmp}/none/x.html"], "does not exist"),
        (["--selection", "none"], "There is no selection 'none'"),
        (["--examples", "-1"], "--examples"),
    ],
)
def test_mistakes_are_one_sentence_and_exit_code_2(
    study: Study, tmp_path: Path, capsys: pytest.CaptureFixture[str], given: list[str], said: str
) -> None:
    arguments = [word.replace("{tmp}", str(tmp_path)) for word in given]
    assert run(["report", "--workspace", str(study.root), *arguments]) == 2
    errors = capsys.readouterr().err
    assert said in errors and "Traceback" not in errors


def test_where_there_is_no_study_the_user_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["report", "--workspace", str(tmp_path / "none")]) == 2
    assert "There is no study" in capsys.readouterr().err
    assert not (tmp_path / "none").exists()
