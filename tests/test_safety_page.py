"""docs/safety.md tells the truth about its tests: each exists, and none of those against hostile things is left out."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs/safety.md"
NAMED = re.compile(r"`(tests/[\w/]+\.py)`|`(test_\w+)(\[[^`]+\])?`|`(\[[^`]+\])`")
HOSTILE = ("tests/web/test_hostile_servers.py", "tests/crawl/test_hostile_media.py")


def named(text: str) -> list[str]:
    """The tests that a page names, as pytest does: a name belongs to the file named last, `[case]` to the name last."""
    found, file, name = [], "", ""
    for path, test, case, further in NAMED.findall(text):
        file = path or file
        name = test or name
        if test or further:
            found.append(f"{file}::{name}{case or further}")
    return found


@pytest.fixture(scope="module")
def collected() -> set[str]:
    """Every test of the files that the page names, with its cases and without."""
    files = sorted({path for path, *_ in NAMED.findall(PAGE.read_text()) if path != "tests/test_safety_page.py"})
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:xdist", *files],
        cwd=ROOT, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    tests = {line for line in done.stdout.splitlines() if "::" in line}
    return tests | {test.partition("[")[0] for test in tests}


def test_every_test_that_the_page_names_exists(collected: set[str]) -> None:
    names = named(PAGE.read_text())
    assert len(names) > 100 and set(names) - collected == set()


def test_every_hostile_case_is_on_the_page(collected: set[str]) -> None:
    names = set(named(PAGE.read_text()))
    whole = {name for name in names if "[" not in name}
    ours = {test for test in collected if test.startswith(HOSTILE) and "[" in test}
    ours |= {test for test in collected if test.startswith(HOSTILE) and not any(t.startswith(f"{test}[") for t in ours)}
    assert {test for test in ours if test not in names and test.partition("[")[0] not in whole} == set()


def test_a_name_that_is_wrong_would_be_found() -> None:
    text = "`tests/a/test_b.py` | `test_c[d]`, `[e]` | `test_f` in `tests/g.py`: `test_h`"
    assert named(text) == [
        "tests/a/test_b.py::test_c[d]", "tests/a/test_b.py::test_c[e]", "tests/a/test_b.py::test_f",
        "tests/g.py::test_h",
    ]  # fmt: skip
