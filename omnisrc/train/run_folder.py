"""The folder of one run: its recipe, its lock, its files."""

from __future__ import annotations

import fcntl
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import yaml

from omnisrc.config import load_yaml, near
from omnisrc.errors import UserError
from omnisrc.models.released import run_weights
from omnisrc.shards.attribution import JSON_LINES, TEXT
from omnisrc.train.settings import TrainSettings

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,99}")

INDIFFERENT = ("device", "workers", "threads", "cache_mb", "log_every")
"""Settings that decide how a run goes, not what it learns; a resumed run may have others."""


@dataclass(frozen=True)
class Recipe:
    """All that decides what a run learns.

    init  # {"path", "sha256"} of the weights it begins with; empty: none
    """

    settings: TrainSettings
    mix: dict[str, float]
    seed: int
    class_list_sha256: str
    manifest_sha256: str
    init: dict[str, str]

    def as_dict(self) -> dict[str, Any]:
        plain: dict[str, Any] = yaml.safe_load(yaml.safe_dump(_plain(asdict(self))))
        return plain


@dataclass(frozen=True)
class RunFolder:
    """The files of run `name` under the workspace's runs/."""

    path: Path

    @classmethod
    def of(cls, runs: Path, name: str) -> RunFolder:
        """The folder of a name.

        Raises:
            UserError: the name cannot be a folder's.
        """
        if not NAME.fullmatch(name):
            raise UserError(f"{name!r} cannot name a run; use letters, digits and . _ + - (at most 100).")
        return cls(runs / name)

    @property
    def name(self) -> str:
        return self.path.name

    @property
    def recipe(self) -> Path:
        return self.path / "run.yaml"

    @property
    def manifest(self) -> Path:
        return self.path / "manifest.parquet"

    @property
    def attribution(self) -> tuple[Path, Path]:
        """Who made the web samples that it is trained on: JSON lines and a list to read."""
        return self.path / JSON_LINES, self.path / TEXT

    @property
    def state(self) -> Path:
        """Model, optimiser and place of the last checkpoint."""
        return self.path / "last.pt"

    @property
    def last(self) -> Path:
        """Weights of the last checkpoint."""
        return self.path / "last.safetensors"

    @property
    def best(self) -> Path:
        """Weights that scored best on val."""
        return self.path / "best.safetensors"

    @property
    def log(self) -> Path:
        return self.path / "log.jsonl"

    @property
    def tensorboard(self) -> Path:
        return self.path / "tensorboard"

    def write_recipe(self, recipe: Recipe, about: Mapping[str, Any]) -> None:
        """run.yaml: the recipe, and `about`, which is for the reader."""
        part = self.recipe.with_suffix(".part")
        content = {"about": _plain(dict(about)), "recipe": recipe.as_dict()}
        part.write_text(yaml.safe_dump(content, sort_keys=False, allow_unicode=True), encoding="utf-8")
        part.replace(self.recipe)

    def read_recipe(self) -> dict[str, Any]:
        """The recipe in run.yaml."""
        content = load_yaml(self.recipe).get("recipe")
        if not isinstance(content, dict):
            raise UserError(f"The file {self.recipe} is no run's; choose another --name.")
        return content

    def check_same(self, recipe: Recipe) -> None:
        """Refuses to go on with a run that was begun by another recipe, and names what differs."""
        there, here = _flat(self.read_recipe()), _flat(recipe.as_dict())
        skipped = {f"settings.{name}" for name in INDIFFERENT} | {"init.path"}
        for key in sorted(there.keys() | here.keys()):
            if key in skipped or key in ("manifest_sha256", "class_list_sha256") or there.get(key) == here.get(key):
                continue
            name = key.replace("settings.", "train.", 1)
            raise UserError(
                f"The run {self.name} was begun with another {name} ({there.get(key)!r}, now {here.get(key)!r});"
                " train under another --name, or set it back to go on."
            )
        if there["manifest_sha256"] != here["manifest_sha256"]:
            raise UserError(
                f"The run {self.name} was begun on other data than the study holds now; go on with its own by"
                f" `omnisrc train --resume --name {self.name}`, or train under another --name."
            )

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keeps other processes from training the same run; the lock ends with the process, however it ends.

        Raises:
            UserError: one does already.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        with open(self.path / "lock", "a+") as file:
            try:
                fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # a record lock: loader processes do not inherit it
            except OSError as error:
                file.seek(0)
                holder = file.read().strip() or "another process"
                raise UserError(
                    f"The run {self.name} is being trained already ({holder}); wait for it, or give another --name."
                ) from error
            file.truncate(0)
            file.write(f"process {os.getpid()} on {os.uname().nodename}")
            file.flush()
            yield


def weights_of(runs: Path, name: str) -> Path:
    """The weights of a run: the best on val, or the last where there was no val.

    Raises:
        UserError: there is no such run, or it has no weights yet.
    """
    folder = RunFolder.of(runs, name)
    if not folder.recipe.exists():
        there = sorted(file.parent.name for file in runs.glob("*/run.yaml"))
        hint = near(name, there) if there else " Train one with `omnisrc train`."
        raise UserError(f"There is no run {name!r}.{hint}")
    return run_weights(runs / name)


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return str(value) if isinstance(value, Path) else value


def _flat(value: Any, at: str = "") -> dict[str, Any]:
    if isinstance(value, Mapping) and value:
        flat: dict[str, Any] = {}
        for key, item in value.items():
            flat |= _flat(item, f"{at}.{key}" if at else str(key))
        return flat
    return {at: value}
