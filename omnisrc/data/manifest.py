"""The manifest: the frozen list of samples that one run trains on, or one evaluation reads, as a Parquet file."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from omnisrc.data.labels import MULTI_LABEL, RECOGNITION
from omnisrc.errors import UserError
from omnisrc.shards.store import name_of

SOURCES = ("target", "web-image", "web-clip")
SPLITS = ("train", "val", "test")

SCHEMA = pa.schema(
    [
        ("sample", pa.int64()),  # id of the sample row (web) or of the target item
        ("source", pa.string()),  # target | web-image | web-clip
        ("split", pa.string()),
        ("label", pa.int32()),
        ("path", pa.string()),  # as in the row of the shard, or absolute for a target used in place
        ("key", pa.string()),
        ("offset", pa.int64()),
        ("length", pa.int64()),  # -1: the whole file
        ("medium", pa.string()),  # image | video
        ("frames", pa.int32()),
        ("duration", pa.float32()),  # seconds
        ("weight", pa.float32()),  # of the sample in its source's loss
        ("start", pa.float32()),  # seconds; start = end = 0: all of the member
        ("end", pa.float32()),
        ("labels", pa.list_(pa.int32())),  # all classes, where a sample may have several; else empty
    ],
)

DEFAULTS: dict[str, Any] = {
    "key": "", "offset": 0, "length": -1, "medium": "video", "frames": 0, "duration": 0.0, "weight": 1.0,
    "start": 0.0, "end": 0.0, "labels": (),
}  # fmt: skip


@dataclass(frozen=True)
class Manifest:
    """Samples (the columns of SCHEMA) and the class list that their labels count.

    `facts` says what the manifest was made from: the selection, its rule, warnings; and its `task`, where a sample may
    have several classes.
    """

    table: pa.Table
    classes: tuple[str, ...]
    class_list: str
    class_list_sha256: str
    facts: Mapping[str, Any] = field(default_factory=dict)

    def __len__(self) -> int:
        return int(self.table.num_rows)

    def rows(self, source: str | None = None, split: str | None = None) -> Manifest:
        """The part of one source, or of one split."""
        table = self.table
        for column, value in (("source", source), ("split", split)):
            if value is not None:
                table = table.filter(pc.equal(table[column], value))
        return replace(self, table=table)

    @property
    def web_samples(self) -> list[int]:
        """Ids of the samples that came from the web."""
        web = [row for source in SOURCES[1:] for row in self.rows(source=source).column("sample").tolist()]
        return sorted(web)

    @property
    def sources(self) -> tuple[str, ...]:
        """Names of the sources that have rows, in the order of SOURCES."""
        there = set(self.table["source"].unique().to_pylist())
        return tuple(name for name in SOURCES if name in there)

    def column(self, name: str) -> NDArray[Any]:
        values: NDArray[Any] = self.table[name].to_numpy()
        return values

    @property
    def task(self) -> str:
        """What a label is: recognition, or multi-label where a sample may have several classes."""
        return str(self.facts.get("task", RECOGNITION))

    @property
    def multi_label(self) -> bool:
        return self.task == MULTI_LABEL

    @property
    def answers(self) -> NDArray[np.int8]:
        """(n, classes) of samples that may have several: 1 has the class, 0 has it not, -1 nobody has said. Of the
        target all is known; a web sample is known to have its class, and no more."""
        target = pc.equal(self.table["source"], "target").to_numpy(zero_copy_only=False)
        found = np.where(target[:, None], np.int8(0), np.int8(-1)).repeat(len(self.classes), 1)
        found[np.arange(len(self)), self.column("label")] = 1
        lists = self.table["labels"].combine_chunks()
        counts = lists.value_lengths().to_numpy(zero_copy_only=False)
        found[np.repeat(np.arange(len(self)), counts), lists.flatten().to_numpy(zero_copy_only=False)] = 1
        return found

    @property
    def sha256(self) -> str:
        """Of the classes and of every column, whatever file or chunks they came from, and wherever the shards lie."""
        digest = hashlib.sha256(json.dumps([self.class_list_sha256, *self.classes]).encode())
        for name in SCHEMA.names:
            column = self.table[name]
            if pa.types.is_string(column.type):
                for text in column.to_pylist():
                    digest.update((name_of(text) if name == "path" else text).encode() + b"\0")
            elif pa.types.is_list(column.type):
                if self.multi_label:
                    digest.update(json.dumps(column.to_pylist()).encode())
            else:
                digest.update(np.ascontiguousarray(column.to_numpy()).tobytes())
        return digest.hexdigest()


def manifest_of(
    columns: Mapping[str, Any],
    classes: tuple[str, ...],
    class_list: str,
    class_list_sha256: str,
    facts: Mapping[str, Any] | None = None,
) -> Manifest:
    """A manifest from columns; those of DEFAULTS may be left out."""
    count = len(columns["sample"])
    arrays = [
        pa.array(columns[name] if name in columns else [DEFAULTS[name]] * count, type=SCHEMA.field(name).type)
        for name in SCHEMA.names
    ]
    manifest = Manifest(pa.table(arrays, schema=SCHEMA), classes, class_list, class_list_sha256, dict(facts or {}))
    check_manifest(manifest)
    return manifest


def check_manifest(manifest: Manifest, name: str = "The manifest") -> None:
    """Refuses labels without a class, and sources and splits that do not exist."""
    several = manifest.table["labels"].combine_chunks().flatten().to_numpy(zero_copy_only=False)
    labels = np.concatenate([manifest.column("label"), several])
    if len(labels) and not (labels.min() >= 0 and labels.max() < len(manifest.classes)):
        raise UserError(
            f"{name} holds labels {labels.min()} to {labels.max()}, but its class list {manifest.class_list} has"
            f" {len(manifest.classes)} classes; make it again with `omnisrc train`."
        )
    for column, known in (("source", SOURCES), ("split", SPLITS), ("medium", ("image", "video"))):
        odd = set(manifest.table[column].unique().to_pylist()) - set(known)
        if odd:
            raise UserError(f"{name} holds the {column} {sorted(map(str, odd))[0]!r}; there are: {', '.join(known)}.")


def write_manifest(manifest: Manifest, path: Path) -> None:
    """Writes `path` under another name first, so that a file of that name is always whole."""
    about = {
        "classes": list(manifest.classes),
        "class_list": manifest.class_list,
        "class_list_sha256": manifest.class_list_sha256,
        "facts": dict(manifest.facts),
    }
    table = manifest.table.replace_schema_metadata({"omnisrc": json.dumps(about)})
    part = path.with_name(path.name + ".part")
    pq.write_table(table, part, compression="zstd")
    part.replace(path)


def read_manifest(path: Path) -> Manifest:
    """The manifest in a file.

    Raises:
        UserError: the file is missing, not Parquet, or not a manifest.
    """
    try:
        table = pq.read_table(path)
    except (OSError, pa.ArrowInvalid) as error:
        raise UserError(f"The manifest {path} cannot be read; remove its folder and train again.") from error
    metadata = table.schema.metadata or {}
    lacking = [name for name in SCHEMA.names if name not in table.column_names]
    missing = [name for name in lacking if name not in DEFAULTS]
    if b"omnisrc" not in metadata or missing:
        raise UserError(f"The file {path} is not a manifest of omnisrc; make one with `omnisrc train`.")
    about = json.loads(metadata[b"omnisrc"])
    for name in lacking:
        table = table.append_column(
            SCHEMA.field(name), pa.array([DEFAULTS[name]] * len(table), SCHEMA.field(name).type)
        )
    table = table.select(SCHEMA.names).cast(SCHEMA).replace_schema_metadata(None)
    manifest = Manifest(
        table, tuple(about["classes"]), about["class_list"], about["class_list_sha256"], dict(about["facts"])
    )
    check_manifest(manifest, f"The manifest {path}")
    return manifest
