"""docs/safety.md tells the truth about its tests: each exists, and none of those against hostile things is left out."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

from tests.crawl import test_hostile_media
from tests.web import test_hostile_servers

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs/safety.md"
NAMED = re.compile(r"`(tests/[\w/]+\.py)`|`(test_\w+)(\[[^`]+\])?`|`(\[[^`]+\])`")
HOSTILE = (test_hostile_media, test_hostile_servers)


def named(text: str) -> set[str]:
    """The tests that a page names, as pytest does: a name belongs to the file named last, `[case]` alone to the last
    name with a case."""
    found, file, cased = set(), "", ""
    for path, test, case, further in NAMED.findall(text):
        file = path or file
        cased = test if case else cased
        if test or further:
            found.add(f"{file}::{test or cased}{case or further}")
    return found


def functions(path: str) -> set[str]:
    """The tests of a file."""
    tree = ast.parse((ROOT / path).read_text())
    return {f"{path}::{node.name}" for node in tree.body if isinstance(node, ast.FunctionDef)}


def cases(module: ModuleType) -> Iterator[str]:
    """The tests of a module, those whose only parameter has names with each of them."""
    path = Path(str(module.__file__)).relative_to(ROOT)
    for name, function in vars(module).items():
        if name.startswith("test_") and callable(function):
            marks = [mark for mark in getattr(function, "pytestmark", []) if mark.name == "parametrize"]
            ids = list(marks[0].kwargs.get("ids") or marks[0].args[1]) if len(marks) == 1 else []
            named_ids = ids if all(isinstance(one, str) and re.fullmatch(r"[\w.-]+", one) for one in ids) else []
            yield from (f"{path}::{name}[{one}]" for one in named_ids) if named_ids else (f"{path}::{name}",)


def test_every_test_that_the_page_names_exists() -> None:
    names = named(PAGE.read_text())
    known = {case for module in HOSTILE for case in cases(module)}
    for path in {name.partition("::")[0] for name in names}:
        known |= functions(path)
    assert len(names) > 100 and names - known == set()


def test_every_hostile_case_is_on_the_page() -> None:
    names = named(PAGE.read_text())
    ours = {case for module in HOSTILE for case in cases(module)}
    assert len(ours) > 100
    assert {case for case in ours if case not in names and case.partition("[")[0] not in names} == set()


def test_names_are_read_as_they_are_meant() -> None:
    text = "`tests/a/test_b.py` | `test_c[d]`, `[e]`, `test_f`, `[g]` in `tests/g.py`: `test_h`"
    assert named(text) == {
        "tests/a/test_b.py::test_c[d]", "tests/a/test_b.py::test_c[e]", "tests/a/test_b.py::test_f",
        "tests/a/test_b.py::test_c[g]", "tests/g.py::test_h",
    }  # fmt: skip
