import json

import pytest

from omnisrc.cli.main import run
from tests.data.importers.mini import touch


@pytest.fixture(autouse=True)
def workspace(tmp_path, monkeypatch):
    monkeypatch.setenv("OMNISRC_HOME", str(tmp_path / "none"))
    monkeypatch.setenv("COLUMNS", "200")


def test_list_names_every_list_and_needs_no_workspace(capsys, tmp_path):
    assert run(["classes", "list", "--json"]) == 0
    lists = json.loads(capsys.readouterr().out)["lists"]
    assert {found["name"]: found["count"] for found in lists}["kinetics400"] == 400
    assert len(lists) == 12
    assert not (tmp_path / "none").exists()


def test_show_gives_classes_with_queries_tags_and_parents(capsys):
    assert run(["classes", "show", "kinetics400", "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["sha256"] == "e9f2806fe9109b851a80a74841244f6f8c9d10917fa0229cd82bab67f2f8e28f"
    bees = next(action for action in shown["classes"] if action["name"] == "bee keeping")
    assert bees["tags"] == ["beekeeping", "keepbee", "keepingbee"]
    assert run(["classes", "show", "gym99", "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["classes"][98]["parents"] == {"event": "uneven bars", "set": "UB dismounts"}


def test_show_prints_queries_and_tags_only_when_asked(capsys):
    assert run(["classes", "show", "ucf101"]) == 0
    assert "handstand pushups" not in capsys.readouterr().out
    assert run(["classes", "show", "ucf101", "--queries", "--tags"]) == 0
    out = capsys.readouterr().out
    assert "handstand pushups" in out
    assert "handstandpushups" in out


def test_a_name_with_brackets_is_shown_as_it_is(capsys, tmp_path):
    path = touch(tmp_path / "mine.txt", "Putting [bold]something[/] down\n")
    assert run(["classes", "show", str(path)]) == 0
    assert "Putting [bold]something[/] down" in capsys.readouterr().out


def test_an_unknown_list_is_one_sentence_and_exit_code_2(capsys):
    assert run(["classes", "show", "kinetics40", "--json"]) == 2
    said = capsys.readouterr()
    assert "did you mean kinetics400" in json.loads(said.out)["error"]
    assert "Traceback" not in said.err
