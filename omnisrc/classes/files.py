"""Readers of class list files: txt, csv, yaml. Each gives the entries as the file has them; `load` makes classes."""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from omnisrc.errors import UserError

NAME_COLUMNS = ("name", "class", "label", "action")
LIST_KEYS = ("name", "title", "first_id", "levels", "classes")
ENTRY_KEYS = ("name", "id", "query", "tags", "parents")
NUMBERED = re.compile(r"(\d+)\s*[:,\t ]\s*(\S.*)")


@dataclass
class Entry:
    """One class as a file gives it; what is None or empty is derived."""

    where: str
    name: str
    id: int | None = None
    query: str | None = None
    tags: tuple[str, ...] | None = None
    parents: dict[str, str] = field(default_factory=dict)


@dataclass
class FileContent:
    """A whole file: entries in order; `levels` maps a level to its members' ids by name."""

    entries: list[Entry]
    name: str | None = None
    title: str = ""
    first_id: int = 0
    levels: dict[str, dict[str, int]] = field(default_factory=dict)


def read_class_file(path: Path) -> FileContent:
    """The content of a txt, csv, yaml or yml file.

    Raises:
        UserError: the file cannot be read, is of another kind, or says something that no class list can mean.
    """
    readers = {".txt": _read_txt, ".csv": _read_csv, ".yaml": _read_yaml, ".yml": _read_yaml}
    reader = readers.get(path.suffix.lower())
    if reader is None:
        raise UserError(f"The class list {path} is not a .txt, .csv or .yaml file; write one class name per line.")
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise UserError(f"The class list {path} cannot be read ({error.strerror}); check the path.") from error
    except UnicodeDecodeError as error:
        raise UserError(f"The class list {path} is not UTF-8 text; save it as UTF-8.") from error
    return reader(path, text)


def _read_txt(path: Path, text: str) -> FileContent:
    """One name per line; `#` starts a comment line. If every line begins with a number of its own, it is the id."""
    lines = [(number, line.strip()) for number, line in enumerate(text.split("\n"), 1)]
    lines = [(number, line) for number, line in lines if line and not line.startswith("#")]
    numbered = [NUMBERED.fullmatch(line) for _, line in lines]
    ids = [int(match.group(1)) for match in numbered if match]
    if lines and len(ids) == len(lines) and len(set(ids)) == len(ids) and len(ids) > 1:
        found = [(number, match) for (number, _), match in zip(lines, numbered, strict=True) if match]
        return FileContent([Entry(f"{path}:{n}", match.group(2), int(match.group(1))) for n, match in found])
    return FileContent([Entry(f"{path}:{number}", line) for number, line in lines])


def _read_csv(path: Path, text: str) -> FileContent:
    """Columns name (or class, label, action) and, if wanted, id, query, tags (with spaces between them)."""
    rows = csv.reader(text.splitlines())
    try:
        header = [column.strip().lower() for column in next(rows, [])]
        column = next((name for name in NAME_COLUMNS if name in header), None)
        if column is None:
            raise UserError(f"The class list {path} has no column `name`; its first line must be like name,query,tags.")
        entries = []
        for row in rows:
            cells = dict(zip(header, (cell.strip() for cell in row), strict=False))
            if not any(cells.values()):
                continue
            where = f"{path}:{rows.line_num}"
            number = _whole_number(cells["id"], where) if cells.get("id") else None
            tags = tuple(cells["tags"].split()) if cells.get("tags") else None
            entries.append(Entry(where, cells.get(column, ""), number, cells.get("query") or None, tags))
    except csv.Error as error:
        raise UserError(f"The class list {path} is not valid CSV at line {rows.line_num} ({error}).") from error
    return FileContent(entries)


def _read_yaml(path: Path, text: str) -> FileContent:
    """A list of names or of mappings, or a mapping with `classes` (and name, title, first_id, levels)."""
    try:
        content = yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f" at line {mark.line + 1}" if mark else ""
        raise UserError(
            f"The class list {path} is not valid YAML{place}; quote names that hold `: ` or `#`."
        ) from error
    head: Mapping[str, Any] = content if isinstance(content, dict) else {"classes": content}
    _refuse_unknown(head, LIST_KEYS, str(path))
    classes = head.get("classes")
    if not isinstance(classes, list):
        raise UserError(f"The class list {path} has no list `classes`; write `classes:` and one `- name` per line.")
    name, title = head.get("name"), head.get("title", "")
    if not isinstance(name, str | None) or not isinstance(title, str):
        raise UserError(f"`name` and `title` in {path} must be text; put them in quotes.")
    return FileContent(
        [_yaml_entry(item, f"{path}: class {i}") for i, item in enumerate(classes)],
        name=name,
        title=title,
        first_id=_whole_number(head.get("first_id", 0), f"first_id in {path}"),
        levels=_yaml_levels(head.get("levels", {}), path),
    )


def _yaml_entry(item: object, where: str) -> Entry:
    if not isinstance(item, dict):
        return Entry(where, _text(item, where))
    _refuse_unknown(item, ENTRY_KEYS, where)
    tags, parents = item.get("tags"), item.get("parents") or {}
    if isinstance(parents, str):
        parents = {"parent": parents}
    if not isinstance(tags, list | None) or not isinstance(parents, dict):
        raise UserError(
            f"{where}: `tags` must be a list such as [abseil], `parents` a mapping such as {{event: vault}}."
        )
    return Entry(
        where,
        _text(item.get("name"), where),
        None if item.get("id") is None else _whole_number(item["id"], where),
        None if item.get("query") is None else _text(item["query"], where),
        None if tags is None else tuple(_text(tag, where) for tag in tags),
        {_text(level, where): _text(parent, where) for level, parent in parents.items()},
    )


def _yaml_levels(levels: object, path: Path) -> dict[str, dict[str, int]]:
    if not isinstance(levels, dict) or not all(isinstance(members, dict) for members in levels.values()):
        raise UserError(f"`levels` in {path} must map each level to its members' ids: `event: {{vault: 1}}`.")
    where = f"levels in {path}"
    return {
        _text(level, where): {_text(name, where): _whole_number(number, where) for name, number in members.items()}
        for level, members in levels.items()
    }


def _text(value: object, where: str) -> str:
    if isinstance(value, str):
        return value
    raise UserError(f"{where} is {value!r}, not text; put the name in quotes.")


def _whole_number(value: object, where: str) -> int:
    if isinstance(value, str) and value.isdecimal():
        return int(value)
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    raise UserError(f"{where}: the id {value!r} is not a whole number from 0 on.")


def _refuse_unknown(mapping: Mapping[str, Any], known: tuple[str, ...], where: str) -> None:
    unknown = [str(key) for key in mapping if key not in known]
    if unknown:
        raise UserError(f"{where}: `{unknown[0]}` is not known here; use {', '.join(known)}.")
