"""A study: one workspace, its settings, its folders and its database."""

from __future__ import annotations

import importlib
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

from db.session import Database
from omnisrc import config
from omnisrc.errors import UserError

T = TypeVar("T")

SETTINGS_FILE = "omnisrc.yaml"
FOLDERS = ("landing", "curated", "target", "models", "runs", "reports")

SECTIONS = {
    "database": "omnisrc.study:DatabaseSettings",
    "licences": "omnisrc.licences:LicenceRules",
    "storage": "omnisrc.shards.settings:StorageSettings",
    "media": "omnisrc.media.settings:MediaSettings",
    "crawl": "omnisrc.crawl.settings:CrawlSettings",
    "providers": "omnisrc.crawl.settings:ProviderSettings",
    "filter": "omnisrc.filter.settings:FilterSettings",
    "target": "omnisrc.data.settings:TargetSettings",
    "models": "omnisrc.models.settings:ModelSettings",
    "flow": "omnisrc.flow.settings:FlowSettings",
    "train": "omnisrc.train.settings:TrainSettings",
    "eval": "omnisrc.evaluate.settings:EvalSettings",
    "engine": "omnisrc.engine.settings:EngineSettings",
}
"""Section of the settings -> the data class that its component declares (loaded when asked for)."""


@dataclass(frozen=True)
class DatabaseSettings:
    """Where the study's tables live."""

    url: str = ""  # SQLAlchemy URL; empty: OMNISRC_DATABASE_URL, else catalog.db in the workspace


def section_class(name: str) -> type[Any]:
    """The data class of one section of the settings."""
    if name not in SECTIONS:
        raise UserError(f"There is no section of settings {name}.{config.near(name, list(SECTIONS))}")
    module, _, attribute = SECTIONS[name].partition(":")
    found: type[Any] = getattr(importlib.import_module(module), attribute)
    return found


@dataclass(frozen=True)
class Study:
    """One workspace: `root` holds the settings file, the catalogue and the folders of DESIGN's storage section."""

    root: Path
    settings: dict[str, Any] = field(default_factory=dict)
    overrides: tuple[str, ...] = ()

    @classmethod
    def open(cls, workspace: Path | None = None, overrides: Sequence[str] = ()) -> Study:
        """The study in `workspace` (or OMNISRC_HOME, or ./omnisrc-data), with `--set` overrides validated.

        The folder need not exist yet: `prepare` makes it.

        Raises:
            UserError: the settings do not validate, or the workspace is a file.
        """
        root = Path(workspace or os.environ.get("OMNISRC_HOME") or "omnisrc-data").expanduser().resolve()
        if root.exists() and not root.is_dir():
            raise UserError(f"The workspace {root} is a file; name a folder with --workspace.")
        file = root / SETTINGS_FILE
        settings = config.load_yaml(file) if file.exists() else {}
        for override in overrides:
            settings = config.merge(settings, config.parse_override(override))
        study = cls(root, settings, tuple(overrides))
        for name in settings:
            study.named(str(name))
        return study

    def named(self, name: str) -> Any:
        """The settings of one section, validated."""
        cls = section_class(name)
        values = self.settings.get(name) or {}
        if not isinstance(values, dict):
            raise UserError(f"The settings {name} must be a mapping, not {values!r}.")
        return config.build(cls, values, name)

    def section(self, cls: type[T]) -> T:
        """The settings that `cls` declares, validated."""
        place = f"{cls.__module__}:{cls.__name__}"
        name = next(name for name, at in SECTIONS.items() if at == place)
        values: T = self.named(name)
        return values

    def prepare(self) -> None:
        """Makes the workspace's folders."""
        for name in FOLDERS:
            (self.root / name).mkdir(parents=True, exist_ok=True)

    @property
    def landing(self) -> Path:
        return self.root / "landing"

    @property
    def curated(self) -> Path:
        return self.root / "curated"

    @property
    def target(self) -> Path:
        return self.root / "target"

    @property
    def models(self) -> Path:
        return self.root / "models"

    @property
    def runs(self) -> Path:
        return self.root / "runs"

    @property
    def reports(self) -> Path:
        return self.root / "reports"

    @property
    def database_url(self) -> str:
        """SQLAlchemy URL of the catalogue; SQLite in the workspace where nothing else is set."""
        named = self.section(DatabaseSettings).url or os.environ.get("OMNISRC_DATABASE_URL", "")
        return named or f"sqlite:///{self.root / 'catalog.db'}"

    @cached_property
    def _database(self) -> Database:
        return Database(self.database_url)

    def database(self) -> Database:
        """The catalogue. One connection pool a study and process."""
        return self._database

    def told(self, place: str) -> str:
        """The path in a row of a shard as a message names it: absolute, or the URL of an object."""
        return place if "://" in place else str(self.root / place)

    def relative(self, path: Path) -> str:
        """A path inside the workspace as SQL and manifests record it."""
        return path.resolve().relative_to(self.root).as_posix()
