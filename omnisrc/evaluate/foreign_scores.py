"""MMAction2's dumped results (`tools/test.py --dump`, 0.x: `--out`) as scores of ours."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from omnisrc.errors import UserError
from omnisrc.evaluate.fusion import softmax
from omnisrc.evaluate.plain_pickle import read_plain_pickle
from omnisrc.evaluate.scores import ScoreTable, clip_name

LINE = re.compile(r"(?P<path>.+?)(?:\s+\d+)?\s+(?P<label>\d+)\s*")  # `path label`, or `folder frames label`


def import_scores(path: Path, listing: Path, classes: Sequence[str]) -> ScoreTable:
    """The results in a file, clip by clip in the order of the annotation list that was tested.

    Rows that are distributions are taken as probabilities, others as logits.

    Args:
        path: .pkl (1.x: dictionaries with `pred_score`; 0.x: arrays) or .json (lists of numbers).

    Raises:
        UserError: a file is missing or holds something else, or they do not belong together.
    """
    results = _results(path)
    clips, labels = read_listing(listing)
    if len(results) != len(clips):
        raise UserError(
            f"{path} holds {len(results)} results, but {listing} lists {len(clips)} clips; name its own list."
        )
    scores = _scores(results, path, len(classes))
    if labels.max(initial=0) >= len(classes):
        raise UserError(f"{listing} holds the label {labels.max()}, but the class list has {len(classes)} classes.")
    said = [_label(each) for each in results]
    for at, (own, label) in enumerate(zip(said, labels.tolist(), strict=True)):
        if own is not None and own != label:
            raise UserError(
                f"{path} says label {own} of clip {at + 1}, but {listing} says {label} ({clips[at]}); the list is"
                " another one, or in another order."
            )
    likely = bool((scores >= 0).all() and np.allclose(scores.sum(axis=1), 1, atol=1e-3))
    return ScoreTable(
        samples=np.arange(len(clips)),
        clips=[clip_name(clip) for clip in clips],
        groups=[""] * len(clips),
        paths=clips,
        keys=[""] * len(clips),
        labels=labels,
        probabilities=(scores if likely else softmax(scores)).astype(np.float32),
        logits=None if likely else scores.astype(np.float32),
        classes=tuple(classes),
        about={"imported": str(path), "expected": len(clips)},
    )


def read_listing(path: Path) -> tuple[list[str], NDArray[np.int64]]:
    """Paths and labels (N,) of MMAction2's annotation list."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"The annotation list {path} cannot be read.") from error
    found = [(number, LINE.fullmatch(line)) for number, line in enumerate(lines, 1) if line.strip()]
    for number, match in found:
        if match is None:
            raise UserError(f"Line {number} of {path} is not `path label`, nor `folder frames label`.")
    matches = [match for _, match in found if match is not None]
    return [match["path"] for match in matches], np.array([int(match["label"]) for match in matches], np.int64)


def _results(path: Path) -> list[Any]:
    if path.suffix == ".json":
        try:
            content = json.loads(path.read_bytes())
        except OSError as error:
            raise UserError(f"The file {path} cannot be read: {error.strerror}.") from error
        except ValueError as error:
            raise UserError(f"The file {path} is not whole JSON.") from error
    else:
        content = read_plain_pickle(path)
    if not isinstance(content, list) or not content:
        raise UserError(f"The file {path} holds no list of results, as MMAction2's test.py writes with --dump.")
    return content


def _scores(results: Sequence[Any], path: Path, classes: int) -> NDArray[np.float64]:
    rows = []
    for at, result in enumerate(results):
        try:
            found = _item(result, "pred_score", "pred_scores")
            row = np.asarray([] if found is None else found, dtype=np.float64).reshape(-1)
        except (TypeError, ValueError) as error:
            raise UserError(f"Result {at + 1} of {path} holds no scores (`pred_score`).") from error
        if len(row) != classes or not np.isfinite(row).all():
            raise UserError(
                f"Result {at + 1} of {path} holds {len(row)} scores{'' if len(row) != classes else ', not all finite'};"
                f" the class list has {classes} classes."
            )
        rows.append(row)
    return np.stack(rows)


def _label(result: Any) -> int | None:
    if not isinstance(result, Mapping):
        return None
    label = _item(result, "gt_label", "gt_labels")
    values = np.asarray(label if label is not None else []).reshape(-1)
    return int(values[0]) if len(values) == 1 else None


def _item(result: Any, *names: str) -> Any:
    """A field by any of its names; 1.0 wrapped it in another `item`."""
    if not isinstance(result, Mapping):
        return result
    found = next((result[name] for name in names if name in result), None)
    return found.get("item") if isinstance(found, Mapping) else found
