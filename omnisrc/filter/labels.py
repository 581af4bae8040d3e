"""Labels by hand: a CSV `url,label[,start,end]` becomes annotations of the samples that its URLs led to."""

from __future__ import annotations

import csv
import hashlib
import io
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import insert, select
from sqlalchemy.orm import Session

from db.models import Annotation, Asset, Sample
from omnisrc.classes import ClassList
from omnisrc.config import near
from omnisrc.errors import ItemError, UserError
from omnisrc.filter.candidates import TASK
from omnisrc.web.urls import parse_url


@dataclass(frozen=True)
class HandLabel:
    """The label of a URL's media, or of the part from `start` to `end` seconds; -1: none of the classes."""

    label: int
    start: float = 0.0
    end: float = float("inf")


@dataclass(frozen=True)
class HandLabels:
    """A file of labels: by URL, with the SHA-256 of the file."""

    sha256: str
    by_url: dict[str, list[HandLabel]]


def read_labels(path: Path, class_list: ClassList) -> HandLabels:
    """The labels of a file.

    Raises:
        UserError: it cannot be read, lacks a column, or names a class that the study does not have.
    """
    try:
        data = path.read_bytes()
        text = data.decode("utf-8-sig")
    except OSError as error:
        raise UserError(f"The file of labels {path} cannot be read ({error.strerror}); check the path.") from error
    except UnicodeDecodeError as error:
        raise UserError(f"The file of labels {path} is not UTF-8 text; save it as CSV in UTF-8.") from error
    rows = csv.DictReader(io.StringIO(text, newline=""), skipinitialspace=True)
    columns = [name.strip() for name in rows.fieldnames or []]
    rows.fieldnames = columns
    if not {"url", "label"} <= set(columns):
        raise UserError(f"The file of labels {path} needs the columns url and label in its first line.")
    by_url: dict[str, list[HandLabel]] = defaultdict(list)
    for number, row in enumerate(rows, start=2):
        if (row["url"] or "").strip():
            by_url[_spelled(row["url"].strip())].append(_label(row, class_list, f"{path}, line {number}"))
    if not by_url:
        raise UserError(f"The file of labels {path} holds no row; write one `url,label` a line.")
    return HandLabels(hashlib.sha256(data).hexdigest(), dict(by_url))


def _spelled(url: str) -> str:
    """The URL in the spelling that the crawl gives it."""
    try:
        return str(parse_url(url))
    except ItemError:
        return url


def _label(row: dict[str, Any], class_list: ClassList, where: str) -> HandLabel:
    given = (row.get("label") or "").strip()
    found = class_list.find(given)
    if given and found is None:
        raise UserError(f"{where}: {given!r} is no class of {class_list.name}.{near(given, list(class_list.names))}")
    try:
        start, end = ((row.get(name) or "").strip() for name in ("start", "end"))
        span = float(start or 0.0), float(end or "inf")
    except ValueError:
        raise UserError(f"{where}: start and end are seconds, such as 2.5.") from None
    return HandLabel(-1 if found is None else found.index, *span)


def record_labels(session: Session, labels: HandLabels, class_list: ClassList) -> int:
    """Annotates every sample that the file speaks of; how many it speaks of. What was annotated from it stays.

    A clip takes the label of the part that covers most of it, if that is more than half.
    """
    spoken = _samples(session, labels)
    done = {
        sample
        for sample, payload in session.execute(
            select(Annotation.sample_id, Annotation.payload).where(Annotation.task == TASK)
        )
        if payload.get("file") == labels.sha256
    }
    rows = []
    for sample, found in spoken.items():
        if sample.id not in done:
            label = _best(sample, found)
            name = class_list.classes[label].name if label >= 0 else None
            payload = {"label": label, "class": name, "file": labels.sha256}
            rows.append({"sample_id": sample.id, "task": TASK, "payload": payload})
    if rows:
        session.execute(insert(Annotation), rows)
    return len(spoken)


def _samples(session: Session, labels: HandLabels) -> dict[Sample, Sequence[HandLabel]]:
    rows = session.execute(
        select(Asset.url, Sample).join(Sample, Sample.blob_id == Asset.blob_id).order_by(Asset.id, Sample.id)
    )
    found: dict[Sample, Sequence[HandLabel]] = {}
    for url, sample in rows:
        if url in labels.by_url:
            found.setdefault(sample, labels.by_url[url])
    return found


def _best(sample: Sample, labels: Sequence[HandLabel]) -> int:
    if sample.kind == "image" or sample.end <= sample.start:
        return labels[0].label
    covered: dict[int, float] = defaultdict(float)
    for label in labels:
        covered[label.label] += max(0.0, min(sample.end, label.end) - max(sample.start, label.start))
    best = max(covered, key=lambda label: covered[label])
    return best if covered[best] > (sample.end - sample.start) / 2 else -1
