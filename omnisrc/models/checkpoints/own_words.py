"""What the metadata of our own files must be, where they say anything."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from omnisrc.errors import UserError

COUNTED = ("clip_len", "frame_interval", "num_segments", "crop_size", "short_side")


def _number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


def _text(value: object) -> bool:
    return isinstance(value, str)


def _texts(value: object) -> bool:
    return isinstance(value, list) and all(map(_text, value))


def _scaling(value: object) -> bool:
    return isinstance(value, list) and len(value) > 0 and all(map(_number, value))


def _deviations(value: object) -> bool:
    return _scaling(value) and isinstance(value, list) and min(value) > 0


def _named(value: object) -> bool:
    return isinstance(value, dict)


def _sampling(value: object) -> bool:
    return isinstance(value, dict) and all(value.get(key) is None or _number(value[key]) for key in COUNTED)


def _heads(value: object) -> bool:
    return isinstance(value, dict) and all(map(_named, value.values()))


KINDS: Mapping[str, Callable[[object], bool]] = {
    "model": _text,
    "model_args": _named,
    "num_classes": _count,
    "classes": _texts,
    "class_list": _text,
    "class_list_sha256": _text,
    "mean": _scaling,
    "std": _deviations,
    "sampling": _sampling,
    "modality": _text,
    "heads": _heads,
}


def checked(path: Path, meta: Mapping[str, Any]) -> dict[str, Any]:
    """The metadata, without what is null. Raises UserError for what is of another kind than `save_weights` writes."""
    said = {key: value for key, value in meta.items() if value is not None}
    for key, fits in KINDS.items():
        if key in said and not fits(said[key]):
            raise UserError(f"{path} has damaged metadata ({key} is {_shown(said[key])}): write or fetch it again")
    return said


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:60]}..."
