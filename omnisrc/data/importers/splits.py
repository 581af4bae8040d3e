"""Takes a validation part out of train, group by group, and looks for what more than one split holds."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

from omnisrc.data.importers.listing import TargetRow


def split_by_group(rows: Sequence[TargetRow], val_share: float = 0.1, seed: int = 0) -> list[TargetRow]:
    """The rows with a split each: of those in train (or in none), about `val_share` of every class go to val.

    A group goes as a whole. Which groups go depends on the seed and the groups' names alone, not on the order of the
    rows. A class keeps at least one row in train, and gets at least one in val if it has two groups and a share is
    asked for. Rows that already have val are given back as they are, None as train.
    """
    rows = [replace(row, split="train") if row.split is None else row for row in rows]
    if val_share <= 0 or any(row.split == "val" for row in rows):
        return rows
    chosen = _val_groups([row for row in rows if row.split == "train"], val_share, seed)
    return [replace(row, split="val") if row.split == "train" and row.group in chosen else row for row in rows]


def _val_groups(train: list[TargetRow], val_share: float, seed: int) -> set[str]:
    """Groups for val, chosen class by class in the order of a seeded hash of their names."""
    sizes: dict[str, Counter[int]] = defaultdict(Counter)  # group -> rows by class
    for row in train:
        sizes[row.group].update(row.indices or (row.index,))
    left = Counter(index for row in train for index in row.indices or (row.index,))
    total, val = Counter(left), Counter[int]()
    of_class: dict[int, list[str]] = defaultdict(list)  # groups in the order of the hash
    for group in sorted(sizes, key=lambda group: hashlib.sha256(f"{seed}\0{group}".encode()).digest()):
        for index in sizes[group]:
            of_class[index].append(group)
    chosen: set[str] = set()

    def take(group: str) -> None:
        chosen.add(group)
        left.subtract(sizes[group])
        val.update(sizes[group])

    def off(group: str) -> float:
        """How much farther from its share val would be with this group, over the group's classes; below 0: nearer."""
        goals = {index: val_share * total[index] for index in sizes[group]}
        return sum(abs(val[i] + n - goals[i]) - abs(val[i] - goals[i]) for i, n in sorted(sizes[group].items()))

    def leaves_train(group: str) -> bool:
        return all(left[index] > count for index, count in sizes[group].items())

    for index in sorted(total):
        free = [group for group in of_class[index] if group not in chosen]
        for group in free:
            if off(group) <= 0 and leaves_train(group):
                take(group)
        if not val[index]:
            spare = [group for group in free if leaves_train(group)]
            if spare:
                take(min(spare, key=off))
    return chosen


@dataclass(frozen=True)
class GroupLeak:
    """One group in more than one split, with its rows by split. `same_class`: two splits share a class of it too."""

    group: str
    splits: dict[str, int]
    same_class: bool


@dataclass(frozen=True)
class FileLeak:
    """Files of equal bytes in more than one split."""

    sha256: str
    files: tuple[tuple[str, Path], ...]  # (split, path)


@dataclass(frozen=True)
class LeakReport:
    """What more than one split holds. `shares[(a, b)]`: the share of b's rows whose group is in a too."""

    groups: list[GroupLeak]
    files: list[FileLeak]
    shares: dict[tuple[str, str], float]

    @property
    def clean(self) -> bool:
        return not self.groups and not self.files


def leaks_between(rows: Sequence[TargetRow]) -> LeakReport:
    """Groups and identical files in more than one split. Reads only files that another split has one as large as."""
    by_group: dict[str, Counter[str]] = defaultdict(Counter)
    classes: dict[str, set[tuple[str, int]]] = defaultdict(set)
    total: Counter[str] = Counter()
    for row in rows:
        split = row.split or "train"
        by_group[row.group][split] += 1
        classes[row.group].add((split, row.index))
        total[split] += 1
    groups = [
        GroupLeak(name, dict(splits), len(classes[name]) > len({index for _, index in classes[name]}))
        for name, splits in sorted(by_group.items())
        if len(splits) > 1
    ]
    names = [split for split in ("train", "val", "test") if split in total]
    pairs = {*pairwise(names), *([("train", "test")] if {"train", "test"} <= total.keys() else [])}
    shares = {
        (a, b): sum(leak.splits[b] for leak in groups if a in leak.splits and b in leak.splits) / total[b]
        for a, b in sorted(pairs, key=lambda pair: [names.index(split) for split in pair])
    }
    return LeakReport(groups, _equal_files(rows), shares)


def _equal_files(rows: Iterable[TargetRow]) -> list[FileLeak]:
    by_size: dict[int, set[tuple[str, Path]]] = defaultdict(set)
    for row in rows:
        if row.path.is_file():
            by_size[row.path.stat().st_size].add((row.split or "train", row.path))
    by_bytes: dict[str, list[tuple[str, Path]]] = defaultdict(list)
    for files in by_size.values():
        if len({split for split, _ in files}) > 1:
            for split, path in sorted(files):
                with path.open("rb") as stream:
                    by_bytes[hashlib.file_digest(stream, "sha256").hexdigest()].append((split, path))
    found = [(sha256, files) for sha256, files in by_bytes.items() if len({split for split, _ in files}) > 1]
    return [FileLeak(sha256, tuple(files)) for sha256, files in sorted(found, key=lambda leak: leak[1])]
