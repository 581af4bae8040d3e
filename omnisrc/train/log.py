"""The log of a run: one JSON object a line, and the same figures for TensorBoard."""

from __future__ import annotations

import json
from collections.abc import Hashable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from torch.utils.tensorboard import SummaryWriter


class RunLog:
    """Appends to log.jsonl and the TensorBoard folder. Lines from beyond `step`, where a resumed run begins, go.

    A line is `{"step", "kind": "train" | "val" | "skip", ...figures}`; figures of one source are under its name.
    A `silent` log writes nothing (the ranks beside the first).
    """

    def __init__(self, file: Path, tensorboard: Path, step: int, silent: bool = False) -> None:
        self.silent = silent
        self._said: set[Hashable] = set()
        if silent:
            return
        kept = [line for line in read_log(file) if line["step"] <= step]
        part = file.with_name(file.name + ".part")
        part.write_text("".join(json.dumps(line) + "\n" for line in kept), encoding="utf-8")
        part.replace(file)
        self._file = open(file, "a", encoding="utf-8", buffering=1)  # noqa: SIM115 - closed by __exit__
        self._board = SummaryWriter(str(tensorboard), purge_step=step + 1 if step else None)

    def write(self, step: int, kind: str, figures: Mapping[str, Any]) -> None:
        """One line. Numbers go to TensorBoard as `kind/name`, those of a source as `kind/source/name`."""
        if self.silent:
            return
        self._file.write(json.dumps({"step": step, "kind": kind, **figures}) + "\n")
        for name, value in _numbers(figures):
            self._board.add_scalar(f"{kind}/{name}", value, step)

    def write_once(self, step: int, kind: str, figures: Mapping[str, Any], key: Hashable) -> None:
        """A line that is not for TensorBoard and is said once for each `key`."""
        if self.silent or key in self._said:
            return
        self._said.add(key)
        self._file.write(json.dumps({"step": step, "kind": kind, **figures}) + "\n")

    def __enter__(self) -> RunLog:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        if not self.silent:
            self._file.close()
            self._board.close()


def read_log(file: Path) -> list[dict[str, Any]]:
    """The lines of a log; a last line that a kill cut short is left out."""
    if not file.exists():
        return []
    lines = []
    for text in file.read_text(encoding="utf-8").splitlines():
        try:
            lines.append(json.loads(text))
        except json.JSONDecodeError:
            continue
    return lines


def _numbers(figures: Mapping[str, Any], at: str = "") -> list[tuple[str, float]]:
    found: list[tuple[str, float]] = []
    for name, value in figures.items():
        if isinstance(value, Mapping):
            found += _numbers(value, f"{at}{name}/")
        elif isinstance(value, int | float) and not isinstance(value, bool):
            found.append((at + name, float(value)))
    return found
