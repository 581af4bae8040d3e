"""Loads settings, applies overrides, and validates them into the data classes that the components declare."""

from __future__ import annotations

import dataclasses
import difflib
import math
import re
import types
import typing
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NewType, TypeVar

import yaml

from omnisrc.errors import UserError

T = TypeVar("T")

SHOWN = 20
"""Words that a sentence lists at most."""

Size = NewType("Size", int)
"""A number of bytes; in the settings also as text, such as 20GB (10^9) or 512MiB (2^20)."""

SIZE = re.compile(r"(\d+(?:\.\d+)?|\.\d+)\s*([kmgt]?)(i?)b?", re.IGNORECASE)


def load_yaml(path: Path) -> dict[str, Any]:
    """The mapping in a YAML file; an empty file is an empty mapping.

    Raises:
        UserError: the file is not readable, not YAML, or not a mapping.
    """
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise UserError(f"The settings file {path} cannot be read ({error.strerror}).") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        place = getattr(error, "problem_mark", None)
        where = f", line {place.line + 1}" if place else ""
        raise UserError(f"The settings file {path} is not valid YAML{where}; mend it or remove it.") from error
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise UserError(f"The settings file {path} must hold a mapping such as `crawl: {{host_rate: 2}}`.")
    return content


def merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """`over` laid upon `base`, mapping by mapping; anything that is not a mapping is replaced."""
    merged = dict(base)
    for key, value in over.items():
        below = merged.get(key)
        merged[key] = merge(below, value) if isinstance(below, Mapping) and isinstance(value, Mapping) else value
    return merged


def parse_override(text: str) -> dict[str, Any]:
    """`a.b=value` as a nested mapping; the value is YAML.

    A part of the key that holds dots itself (a host) is put in quotes: `crawl.hosts."example.org".rate=1`.
    """
    key, equals, value = text.partition("=")
    parts = _split_key(key.strip())
    if not equals or not parts or not all(parts):
        raise UserError(f"--set {text!r} is not of the form a.b=value; write for example --set crawl.host_rate=2.")
    try:
        nested: Any = yaml.safe_load(value)
    except yaml.YAMLError as error:
        raise UserError(f"The value of --set {text!r} is not valid YAML; put it in quotes.") from error
    for part in reversed(parts):
        nested = {part: nested}
    return typing.cast(dict[str, Any], nested)


def _split_key(key: str) -> list[str]:
    parts, part, quoted = [], "", False
    for letter in key:
        if letter == '"':
            quoted = not quoted
        elif letter == "." and not quoted:
            parts.append(part)
            part = ""
        else:
            part += letter
    return [*parts, part]


def near(word: str, words: Sequence[str]) -> str:
    """` Did you mean ...?`, or what there is, for a word that is not among `words`."""
    close = difflib.get_close_matches(word, words, n=3, cutoff=0.5)
    if close:
        return " Did you mean " + " or ".join(close) + "?"
    some = " There are: " if len(words) <= SHOWN else " There are, among others: "
    return some + ", ".join(sorted(words)[:SHOWN]) + "." if words else ""


def build(cls: type[T], values: Mapping[str, Any], where: str = "") -> T:
    """The data class `cls` with `values`, each checked against the type of its field.

    Raises:
        UserError: an unknown key (with near matches) or a value of the wrong type.
    """
    assert dataclasses.is_dataclass(cls), cls
    hints = typing.get_type_hints(cls)
    names = [field.name for field in dataclasses.fields(cls) if field.init]
    given = {}
    for key, value in values.items():
        place = f"{where}.{key}" if where else str(key)
        if key not in names:
            raise UserError(f"There is no setting {place}.{near(str(key), names)}")
        given[key] = convert(value, hints[key], place)
    try:
        return cls(**given)
    except ValueError as error:
        raise UserError(f"The settings {where or cls.__name__} do not fit: {error}.") from error


def convert(value: Any, kind: Any, place: str) -> Any:
    """`value` (as YAML gives it) as the type `kind`; `place` names it in the message."""
    origin, args = typing.get_origin(kind), typing.get_args(kind)
    if kind is Any:
        return value
    if kind is Size:
        return parse_size(value, place)
    if origin in (typing.Union, types.UnionType):
        return _convert_union(value, args, place)
    if origin is typing.Literal:
        if value is False and "off" in args:
            return "off"  # as YAML 1.1 reads that word
        if value not in args:
            raise UserError(f"The setting {place} is {value!r}; it must be one of {', '.join(map(str, args))}.")
        return value
    if dataclasses.is_dataclass(kind) and isinstance(kind, type):
        if isinstance(value, Mapping):
            return build(kind, value, place)
        raise _wrong(value, "a mapping", place)
    if origin in (list, tuple) and (origin is list or (len(args) == 2 and args[1] is Ellipsis)):
        items = value if isinstance(value, list | tuple) else [value] if isinstance(value, str | int | float) else None
        if items is None:
            raise _wrong(value, "a list", place)
        return origin(convert(item, args[0], f"{place}[{at}]") for at, item in enumerate(items))
    if origin is tuple:
        if not isinstance(value, list | tuple) or len(value) != len(args):
            raise _wrong(value, f"a list of {len(args)}", place)
        return tuple(
            convert(item, arg, f"{place}[{at}]") for at, (item, arg) in enumerate(zip(value, args, strict=True))
        )
    if origin is dict:
        if not isinstance(value, Mapping):
            raise _wrong(value, "a mapping", place)
        return {str(key): convert(item, args[1], f"{place}.{key}") for key, item in value.items()}
    return _convert_plain(value, kind, place)


def _convert_union(value: Any, args: tuple[Any, ...], place: str) -> Any:
    if value is None and type(None) in args:
        return None
    first: UserError | None = None
    for arg in args:
        if arg is type(None):
            continue
        try:
            return convert(value, arg, place)
        except UserError as error:
            first = first or error
    raise first or _wrong(value, "something else", place)


def parse_size(value: Any, place: str) -> Size:
    """A number of bytes, or text such as `20GB`. Raises UserError."""
    found = SIZE.fullmatch(str(value).strip())
    if found is None or isinstance(value, bool):
        raise _wrong(value, "a number of bytes, or a size such as 20GB", place)
    base = 1024 if found[3] else 1000
    return Size(int(float(found[1]) * base ** " kmgt".index(found[2].lower() or " ")))


def _convert_plain(value: Any, kind: Any, place: str) -> Any:
    if kind is bool and isinstance(value, bool):
        return value
    if kind is int and isinstance(value, int) and not isinstance(value, bool):
        return value
    if kind is float and isinstance(value, int | float | str) and not isinstance(value, bool):
        with suppress(ValueError):
            number = float(value)  # YAML reads 1e-4 as text
            if not math.isnan(number):
                return number
    if kind is str and isinstance(value, str | int | float) and not isinstance(value, bool):
        return str(value)
    if kind is Path and isinstance(value, str):
        return Path(value)
    names = {bool: "true or false", int: "a whole number", float: "a number", str: "a text", Path: "a path"}
    raise _wrong(value, names.get(kind, str(kind)), place)


def _wrong(value: Any, wanted: str, place: str) -> UserError:
    return UserError(f"The setting {place} is {value!r}; it must be {wanted}.")
