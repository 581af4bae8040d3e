"""Say what is wrong with a shard, without trusting anything that it says of itself."""

from __future__ import annotations

import hashlib
from itertools import groupby
from pathlib import Path

from omnisrc.errors import ItemError
from omnisrc.shards.read import read_index, scan_members
from omnisrc.shards.write import BLOCK, Member


def verify_shard(
    path: Path, *, count: int | None = None, bytes: int | None = None, sha256: str | None = None
) -> list[str]:
    """The problems of one shard, as sentences; an empty list means that it is sound.

    `count`, `bytes` and `sha256` are what the catalogue holds. Without them too, a tar that was cut (even exactly
    between two members), that lost its index or disagrees with it, or whose samples are torn apart is found out.
    """
    if not path.is_file():
        return [f"{path.name} is missing"]
    problems = []
    size = path.stat().st_size
    if bytes is not None and size != bytes:
        problems.append(f"{path.name} has {size} bytes instead of {bytes}")
    if sha256 is not None and file_sha256(path) != sha256:
        problems.append(f"{path.name} does not have the SHA-256 it was written with")
    try:
        members = scan_members(path)
    except ItemError as error:
        return [*problems, error.detail]
    problems += ending_problems(path, size, members)
    problems += sample_problems(path, members, count)
    try:
        indexed = read_index(path)
    except ItemError as error:
        return [*problems, error.detail]
    if indexed != members:
        problems.append(f"{path.name} holds {len(members)} members, its index names {len(indexed)} or other ones")
    return problems


def file_sha256(path: Path) -> str:
    """SHA-256 of a file, in hex."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def ending_problems(path: Path, size: int, members: list[Member]) -> list[str]:
    """A tar ends in two blocks of zeros after its last member; a cut one does not, wherever it was cut."""
    end = 0
    if members:
        last = members[-1]
        end = last.offset + last.length + -last.length % BLOCK
    with open(path, "rb") as file:
        file.seek(end)
        rest = file.read(64 * BLOCK)
    if size < end or len(rest) < 2 * BLOCK or any(rest[: 2 * BLOCK]):
        return [f"{path.name} is cut off after {len(members)} members"]
    return []


def sample_problems(path: Path, members: list[Member], count: int | None) -> list[str]:
    """Samples must be as many as recorded, whole (all members adjacent) and have the same fields."""
    samples = [(key, [m.ext for m in group]) for key, group in groupby(members, key=lambda m: m.key)]
    problems = []
    if count is not None and len(samples) != count:
        problems.append(f"{path.name} holds {len(samples)} samples instead of {count}")
    if len({key for key, _ in samples}) != len(samples):
        problems.append(f"{path.name} holds a sample whose members are not adjacent")
    if len({tuple(sorted(fields)) for _, fields in samples}) > 1:
        problems.append(f"{path.name} holds samples with different fields")
    return problems
