"""What `omnisrc crawl` shows: the plan, the progress and the summary."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from omnisrc.crawl.counts import CrawlCounts
from omnisrc.crawl.plan import PlanLine, total_s

LINE_S = 10.0
SHARE = 50
"""Counting takes no more than one part in so many of the time."""


def show_plan(console: Console, classes: int, lines: Sequence[PlanLine]) -> None:
    table = Table(title=f"Plan for {classes:,} classes, at most", title_justify="left", box=None, pad_edge=False)
    for name in ("provider", "medium", "calls", "assets", "download", "kept", "time"):
        table.add_column(name, justify="left" if name in ("provider", "medium") else "right")
    for line in lines:
        table.add_row(
            line.provider,
            line.kind,
            f"{line.calls:,}",
            f"{line.assets:,}",
            in_bytes(line.bytes),
            in_bytes(line.kept_bytes),
            in_time(line.total_s),
        )
    console.print(table)
    for line in lines:
        if line.limit:
            words = f"{line.provider} lets one user make {line.limit}"
            console.print(f"{words}: {line.calls:,} calls for {line.kind}s take {in_time(line.call_s)}.")
    console.print(f"About {in_time(total_s(list(lines)))} in all, at the pace that the settings allow.")


def show_warnings(console: Console, sentences: Sequence[str]) -> None:
    for sentence in sentences:
        console.print(f"[yellow]Note:[/] {sentence}", soft_wrap=True)


def show_summary(console: Console, counts: CrawlCounts, seconds: float | None = None) -> None:
    table = Table(title="Assets", title_justify="left", box=None, pad_edge=False)
    table.add_column("state")
    table.add_column("error")
    table.add_column("count", justify="right")
    for state in ("stored", "duplicate", "waiting"):
        table.add_row(state, "", f"{counts.states[state]:,}")
    for (state, error), count in sorted(counts.errors.items(), key=lambda item: (item[0][0], -item[1])):
        table.add_row(state, error, f"{count:,}")
    console.print(table)
    if seconds is not None:
        console.print(f"{counts.known:,} assets known, {counts.pages:,} pages of answers; {in_time(seconds)}.")


class CrawlView:
    """Progress bars on a terminal, a line now and then elsewhere. `show` may be called as often as one likes."""

    def __init__(self, console: Console, count: Callable[[], CrawlCounts]) -> None:
        self._console = console
        self._count = count
        self._next = 0.0
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[words]}"),
            TimeElapsedColumn(),
            console=console,
            disable=not console.is_terminal,
        )
        self._bar = self._progress.add_task("fetched", total=None, words="")
        self._begun: tuple[float, int] | None = None

    def __enter__(self) -> CrawlView:
        self._progress.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._progress.stop()

    def show(self) -> None:
        began = time.monotonic()
        if began < self._next:
            return
        counts = self._count()
        pause = SHARE * (time.monotonic() - began)
        self._next = began + max(0.5 if self._console.is_terminal else LINE_S, pause)
        self._begun = self._begun or (began, counts.done)
        words = self._words(counts, began)
        self._progress.update(self._bar, completed=counts.done, total=counts.known or None, words=words)
        if not self._console.is_terminal:
            self._console.print(f"fetched {counts.done:,} of {counts.known:,}: {words}")

    def _words(self, counts: CrawlCounts, now: float) -> str:
        assert self._begun is not None
        since, before = self._begun
        rate = (counts.done - before) / (now - since) if now - since > 1 else 0.0
        words = f"{counts.stored:,} stored, {rate:.1f}/s"
        if counts.paused:
            words += f"; paused: {', '.join(counts.paused)}"
        errors = ", ".join(f"{count:,} {error}" for (_, error), count in counts.errors.most_common(3))
        return f"{words}; {errors}" if errors else words


def in_bytes(count: float) -> str:
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit in ("B", "kB") else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"


def in_time(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h" if seconds < 172800 else f"{seconds / 86400:.1f} days"
