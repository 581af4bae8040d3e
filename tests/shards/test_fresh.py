"""Copies that were looked at when their process was killed go, and those that somebody looks at stay."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from omnisrc.cli.main import run
from omnisrc.study import Study
from tests.carry.test_carry import landed
from tests.object_store import Bucket
from tests.stored_study import line, rows_of

LOOK = """
import sys
from omnisrc.shards.fresh import Fresh
from omnisrc.shards.store import store_of
from omnisrc.study import Study
with Fresh(store_of(Study.open(sys.argv[1], sys.argv[3:])), [sys.argv[2]]):
    print("looking", flush=True)
    sys.stdin.read()
"""


def test_doctor_removes_the_copies_of_killed_processes_alone(
    study: Study, bucket: Bucket, capsys: pytest.CaptureFixture[str]
) -> None:
    landed(study)
    assert run(["shards", "move", bucket.url, *line(study, *bucket.reading())]) == 0
    command = [sys.executable, "-c", LOOK, str(study.root), rows_of(study)[0].path, *bucket.reading()]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    process = subprocess.Popen(command, cwd=Path(__file__).parents[2], **pipes)
    try:
        assert process.stdout.readline() == b"looking\n"
        (copy,) = (study.root / "cache").glob("fresh-*")

        def litter(*more: str) -> list[str]:
            capsys.readouterr()
            assert run(["doctor", *more, "--json", *line(study, *bucket.reading())]) == 0
            return [Path(place).name for place in json.loads(capsys.readouterr().out)["litter"]]

        assert litter("--deep") == [] and list(copy.iterdir())
        process.kill()
        process.wait()
        assert litter("--keep") == [copy.name] and copy.exists()
        assert litter() == [copy.name] and not copy.exists()
        assert litter() == []
    finally:
        process.kill()
        process.communicate()
