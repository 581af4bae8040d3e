"""What `omnisrc export workspace` and `omnisrc import workspace` show."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn


@contextmanager
def byte_bar(console: Console, words: str) -> Iterator[Callable[[int, int], None]]:
    """A bar of bytes on a terminal, nothing elsewhere; told (done, total)."""
    with Progress(
        TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn(),
        console=console, disable=not console.is_terminal,
    ) as progress:  # fmt: skip
        bar = progress.add_task(words, total=None)
        yield lambda done, total: progress.update(bar, completed=done, total=total)


def show_notes(console: Console, said: Mapping[str, Any]) -> None:
    """What does not travel, and must be seen to where the study arrives."""
    notes = []
    if said.get("without"):
        notes.append(f"Left behind: {', '.join(map(str, said['without']))}.")
    if said.get("set_again"):
        notes.append(
            f"Keys, logins and servers do not travel; set again, where you need them: {', '.join(said['set_again'])}."
        )
    notes += [f"This setting names a path outside the workspace: {place}." for place in said.get("elsewhere") or []]
    notes += [
        f"{count:,} target items are used in place from {folder}; have that folder there too, or add the target again "
        "without --reference."
        for folder, count in (said.get("in_place") or {}).items()
    ]
    for note in notes:
        console.print(note, soft_wrap=True, markup=False)
