"""The dump of an evaluation: what a recogniser said of every clip, as predictions.parquet."""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from omnisrc.errors import UserError
from omnisrc.evaluate.whole_files import whole_file
from omnisrc.tasks import metrics
from omnisrc.words import counted

FILE = "predictions.parquet"
MEDIA = re.compile(r"\.(mp4|m4v|avi|mkv|webm|mov|mpe?g|wmv|flv|ogv|3gp|gif|jpe?g|png|webp)$", re.IGNORECASE)
NEEDED = ("sample", "path", "key", "probabilities")


@dataclass(frozen=True)
class ScoreTable:
    """Scores of N clips.

    samples  # (N,) ids in the study that scored them
    clips  # N names that mean the same clip in any study: `folder/file`, and `#start-end` of a part of a file
    groups  # N, the video or actor that a clip is one of; empty: it stands alone
    paths, keys  # N, where the clip lies
    labels  # (N,), or (N, classes) multi-hot where a clip may have several classes
    probabilities  # (N, classes) float32
    logits  # (N, classes) float32, the mean of the views'; None where the dump has none
    about: what metrics.json says beside the figures.
    """

    samples: NDArray[np.int64]
    clips: Sequence[str]
    groups: Sequence[str]
    paths: Sequence[str]
    keys: Sequence[str]
    labels: NDArray[np.integer]
    probabilities: NDArray[np.float32]
    logits: NDArray[np.float32] | None
    classes: tuple[str, ...]
    about: Mapping[str, Any] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.samples)

    @property
    def multi_label(self) -> bool:
        """Whether a clip may have several classes."""
        return self.labels.ndim == 2

    @property
    def predicted(self) -> NDArray[np.int64]:
        """(N,) the likeliest class; of equal ones the first."""
        return metrics.ranking(self.probabilities, 1)[:, 0]

    @property
    def right(self) -> NDArray[np.bool_]:
        hits: NDArray[np.bool_] = self.predicted == self.labels
        return hits

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the clips' names with their labels and of the class names: equal for equal test sets anywhere."""
        return data_fingerprint(self.classes, self.clips, self.labels)

    def take(self, rows: NDArray[np.integer]) -> ScoreTable:
        """These rows, in this order."""
        at = rows.tolist()
        return replace(
            self,
            samples=self.samples[rows],
            clips=[self.clips[row] for row in at],
            groups=[self.groups[row] for row in at],
            paths=[self.paths[row] for row in at],
            keys=[self.keys[row] for row in at],
            labels=self.labels[rows],
            probabilities=self.probabilities[rows],
            logits=self.logits[rows] if self.logits is not None else None,
        )

    def retold(self, about: Mapping[str, Any]) -> ScoreTable:
        """The same scores with other facts about them."""
        return replace(self, about=about)


def data_fingerprint(classes: Sequence[str], clips: Sequence[str], labels: NDArray[np.integer]) -> str:
    """SHA-256, in hex, of a labelled set of clips, whatever their order; labels (N,), or (N, classes) multi-hot."""
    digest = hashlib.sha256(json.dumps(list(classes), ensure_ascii=False).encode())
    said = [np.flatnonzero(row).tolist() for row in labels] if labels.ndim == 2 else labels.tolist()
    for line in sorted(f"{clip}\t{label}" for clip, label in zip(clips, said, strict=True)):
        digest.update(line.encode(errors="surrogatepass") + b"\n")
    return digest.hexdigest()


def clip_name(path: str, start: float = 0.0, end: float = 0.0) -> str:
    """The name of a clip in any study: its folder's and its own without suffix, for frames lie in folders of the same
    name; and the window where it is a part of a file."""
    window = f"#{start:g}-{end:g}" if end > start else ""
    return MEDIA.sub("", "/".join(PurePosixPath(path.replace("\\", "/")).parts[-2:])) + window


def write_scores(table: ScoreTable, path: Path) -> None:
    """The dump as Parquet. Raises WorldError where the disk fails."""
    columns: dict[str, Any] = {
        "sample": pa.array(table.samples, pa.int64()),
        "clip": list(table.clips),
        "group": list(table.groups),
        "path": list(table.paths),
        "key": list(table.keys),
        **_label_columns(table),
        "probabilities": _rows(table.probabilities),
    }
    if table.logits is not None:
        columns["logits"] = _rows(table.logits)
    about = {**table.about, "classes": list(table.classes)}
    plain = pa.table(columns).replace_schema_metadata({"omnisrc": json.dumps(about, default=str)})
    with whole_file(path, "wb") as file:
        pq.write_table(plain, file)


def _label_columns(table: ScoreTable) -> dict[str, Any]:
    if table.multi_label:
        flat = pa.array(table.labels.astype(np.int8).reshape(-1))
        return {"labels": pa.FixedSizeListArray.from_arrays(flat, len(table.classes))}
    return {"label": pa.array(table.labels, pa.int32()), "predicted": pa.array(table.predicted, pa.int32())}


def read_scores(place: Path) -> ScoreTable:
    """The dump in a file, or in the folder of an evaluation.

    Raises:
        UserError: there is none, or the file is no dump, or a damaged one.
    """
    path = place / FILE if place.is_dir() else place
    if not path.is_file():
        raise UserError(f"There are no scores in {place}; `omnisrc eval` writes them as {FILE}.")
    try:
        table = pq.read_table(path)
    except (OSError, pa.ArrowInvalid) as error:
        raise UserError(f"The file {path} cannot be read as Parquet; score the checkpoint again.") from error
    try:
        about = dict(json.loads((table.schema.metadata or {}).get(b"omnisrc", b"{}")))
    except (TypeError, ValueError):
        about = {}
    there = set(table.column_names)
    if "classes" not in about or not there.issuperset(NEEDED) or there.isdisjoint(("label", "labels")):
        raise UserError(f"The file {path} holds no scores of omnisrc; `omnisrc eval` writes them as {FILE}.")
    try:
        found = _table(table, tuple(map(str, about.pop("classes"))), about)
    except (pa.ArrowException, AttributeError, TypeError, ValueError) as error:
        raise UserError(f"The scores in {path} are damaged ({error}); score the checkpoint again.") from error
    return found


def _table(table: pa.Table, classes: tuple[str, ...], about: Mapping[str, Any]) -> ScoreTable:
    """Raises ValueError for labels or scores that are not of these classes."""
    paths, keys = table["path"].to_pylist(), table["key"].to_pylist()
    named = "clip" in table.column_names
    labels = _labels(table, len(classes))
    return ScoreTable(
        samples=table["sample"].to_numpy(),
        clips=table["clip"].to_pylist() if named else [f"{p}#{k}" for p, k in zip(paths, keys, strict=True)],
        groups=table["group"].to_pylist() if "group" in table.column_names else [""] * len(paths),
        paths=paths,
        keys=keys,
        labels=labels,
        probabilities=_matrix(table, "probabilities", len(classes)),
        logits=_matrix(table, "logits", len(classes)) if "logits" in table.column_names else None,
        classes=classes,
        about=about,
    )


def _labels(table: pa.Table, count: int) -> NDArray[np.int64] | NDArray[np.int8]:
    """The class of each row, or whether it has each class. ValueError: labels of other classes."""
    if "labels" not in table.column_names:
        labels: NDArray[np.int64] = table["label"].to_numpy().astype(np.int64)
        if labels.size and not 0 <= labels.min() <= labels.max() < count:
            raise ValueError(f"a label is none of {count} classes")
        return labels
    has = _matrix(table, "labels", count).astype(np.int8)
    if not np.isin(has, (0, 1)).all():
        raise ValueError("labels that are neither 0 nor 1")
    return has


def aligned(tables: Sequence[ScoreTable], names: Sequence[str], among: bool = False) -> list[ScoreTable]:
    """The tables over the same clips in the order of the first's.

    Clips are the same that have the same name; where names repeat, the same sample of the same manifest.

    Args:
        names: what a message calls the tables.
        among: take the clips that all have, instead of refusing what one of them lacks.

    Raises:
        UserError: the class lists differ, a clip is missing (it is named) or labelled otherwise.
    """
    first = tables[0]
    for table, name in zip(tables[1:], names[1:], strict=True):
        if table.multi_label != first.multi_label:
            one, other = (("one class", "several classes")[each.multi_label] for each in (first, table))
            raise UserError(f"{names[0]} was scored with {one} a clip and {name} with {other}; score both alike.")
        if table.classes != first.classes:
            raise UserError(f"{names[0]} and {name} have different class lists; score both with the same one.")
    ids = _identities(tables, names)
    common = set(ids[0]).intersection(*ids[1:])
    if not among:
        _refuse_missing(ids, names)
    if not common:
        raise UserError(f"{names[0]} and {names[1]} have no clip in common; score both on the same split.")
    wanted = [one for one in ids[0] if one in common]
    found = []
    for table, own, name in zip(tables, ids, names, strict=True):
        place = {one: at for at, one in enumerate(own)}
        found.append(table.take(np.array([place[one] for one in wanted], dtype=np.int64)))
        unlike = (found[-1].labels != found[0].labels).reshape(len(wanted), -1).any(axis=1)
        if unlike.any():
            at = int(unlike.argmax())
            count = counted(int(unlike.sum()), "clip")
            raise UserError(
                f"{name} labels {count} otherwise than {names[0]}, such as {found[0].clips[at]}"
                f" ({named_labels(found[-1], at)}, not {named_labels(found[0], at)}); score both on the same labels."
            )
    return found


def named_labels(table: ScoreTable, row: int) -> str:
    """What a clip shows, by name."""
    labels = np.flatnonzero(table.labels[row]) if table.multi_label else table.labels[row : row + 1]
    return " + ".join(table.classes[label] for label in labels) or "nothing"


def _identities(tables: Sequence[ScoreTable], names: Sequence[str]) -> list[list[Any]]:
    """What tells the clips of each table apart, by the same measure in all."""
    if all(len(set(table.clips)) == len(table) for table in tables):
        return [list(table.clips) for table in tables]
    manifests = {table.about.get("manifest_sha256") for table in tables}
    if len(manifests) == 1 and None not in manifests:
        return [table.samples.tolist() for table in tables]
    for table, name in zip(tables, names, strict=True):
        clip, count = Counter(table.clips).most_common(1)[0]
        if count > 1:
            raise UserError(f"{name} holds {count} clips by the name of {clip}; score all in one study to match them.")
    raise AssertionError("unreachable: some table repeats a name")


def _refuse_missing(ids: Sequence[Sequence[Any]], names: Sequence[str]) -> None:
    for own, name in zip(ids, names, strict=True):
        for other, theirs in zip(ids, names, strict=True):
            missing = sorted(set(other) - set(own), key=str)
            if missing:
                some = ", ".join(map(str, missing[:3])) + (", ..." if len(missing) > 3 else "")
                raise UserError(
                    f"{name} lacks {len(missing)} of the {len(other)} clips of {theirs} ({some}); score it on them too,"
                    " or take only the clips that all have with --common."
                )


def _rows(matrix: NDArray[np.floating]) -> pa.FixedSizeListArray:
    return pa.FixedSizeListArray.from_arrays(pa.array(matrix.astype(np.float32).reshape(-1)), matrix.shape[1])


def _matrix(table: pa.Table, name: str, classes: int) -> NDArray[np.float32]:
    flat = table[name].combine_chunks().flatten().to_numpy(zero_copy_only=False)
    scores = np.asarray(flat, dtype=np.float32).reshape(len(table), classes)
    if not np.isfinite(scores).all():
        raise ValueError(f"{name} that are not numbers")
    return scores
