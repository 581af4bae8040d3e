"""What a crawl is told to do, checked before anything is asked: classes, providers, kinds and numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy.orm import Session

from omnisrc.classes.model import ClassList
from omnisrc.config import near
from omnisrc.crawl.identity import open_client
from omnisrc.crawl.newer import register_newer
from omnisrc.crawl.providers.about import about_of
from omnisrc.crawl.providers.provider import MediaWish, Provider
from omnisrc.crawl.providers.registry import PROVIDERS, open_provider, provider_class
from omnisrc.crawl.queries import Scope, register_queries
from omnisrc.crawl.settings import CrawlSettings, ProviderSettings
from omnisrc.crawl.windows import ALL_TIME, Window
from omnisrc.data.catalogue import record_class_list, study_class_list
from omnisrc.errors import UserError
from omnisrc.media.settings import MediaSettings
from omnisrc.study import Study
from omnisrc.web.hosts import HostGate, Pace

KINDS = ("image", "video")


@dataclass(frozen=True)
class Wanted:
    """What the user asked for."""

    providers: Mapping[str, Provider]
    kinds: tuple[str, ...]
    per_class: Mapping[str, int]
    window: Window = ALL_TIME
    newer: bool = False

    def scope(self, class_list_id: int) -> Scope:
        kinds_of = {
            name: tuple(kind for kind in self.kinds if kind in provider.kinds)
            for name, provider in self.providers.items()
        }
        windowed = frozenset(name for name, provider in self.providers.items() if about_of(provider).windows)
        return Scope(class_list_id, kinds_of, self.per_class, windowed, self.window, self.newer)


def parse_kinds(text: str) -> tuple[str, ...]:
    """`image,video` -> its kinds. Raises UserError."""
    kinds = tuple(dict.fromkeys(kind.strip().removesuffix("s") for kind in text.split(",") if kind.strip()))
    for kind in kinds or (text,):
        if kind not in KINDS:
            raise UserError(f"--media {text!r} names no medium.{near(kind, KINDS)}")
    return kinds


def wanted(
    study: Study,
    names: Sequence[str],
    kinds: tuple[str, ...],
    per_class: int | None,
    window: Window = ALL_TIME,
    newer: bool = False,
) -> Wanted:
    """Opens the providers and checks the settings. Raises UserError."""
    if window and newer:
        raise UserError("--newer chooses the window by itself; leave out --since and --until, or --newer.")
    settings, media = study.section(CrawlSettings), study.section(MediaSettings)
    if per_class is not None and per_class < 1:
        raise UserError(f"--per-class {per_class} asks for nothing; give at least 1.")
    for name in names:
        if about_of(provider_class(name)).finds_only:
            raise UserError(
                f"A crawl cannot use the provider `{name}`: it finds pages, and nothing here may download them; "
                f"list what it finds with `omnisrc providers find {name} TEXT`."
            )
    if window:
        _refuse_windowless(names)
    client = open_client(settings, HostGate(Pace(1)))
    wish = MediaWish(media.image_short_side, media.clip_short_side)
    providers = {name: open_provider(name, study.section(ProviderSettings), wish, client) for name in names}
    of_kind = {kind: settings.per_class(kind) if per_class is None else per_class for kind in kinds}
    return Wanted(providers, kinds, of_kind, window, newer)


def _refuse_windowless(names: Sequence[str]) -> None:
    able = [name for name in PROVIDERS if (about := about_of(provider_class(name))).windows or about.dated]
    without = [name for name in names if name not in able]
    if without:
        raise UserError(
            f"{', '.join(without)} cannot be asked for a time window (--since, --until); {', '.join(able)} can: name "
            "them with --provider."
        )


def register(session: Session, class_list: ClassList | None, wish: Wanted) -> tuple[Scope, int]:
    """Writes the class list (None: the study's newest) and its queries; the scope, and the number of classes.

    Raises UserError where the study has no class list yet.
    """
    if class_list is not None:
        list_id = record_class_list(session, class_list)
    elif (row := study_class_list(session)) is not None:
        list_id = row.id
    else:
        raise UserError("This study has no class list yet; name one with --classes, such as --classes kinetics400.")
    scope = wish.scope(list_id)
    queries = register_queries(session, scope)
    register_newer(session, scope)
    return scope, queries // max(1, len(scope.pairs))
