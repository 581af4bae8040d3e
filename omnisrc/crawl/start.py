"""What a crawl is told to do, checked before anything is asked: classes, providers, kinds and numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy.orm import Session

from omnisrc.classes.model import ClassList
from omnisrc.config import near
from omnisrc.crawl.identity import open_client
from omnisrc.crawl.providers.about import about_of
from omnisrc.crawl.providers.provider import MediaWish, Provider
from omnisrc.crawl.providers.registry import open_provider, provider_class
from omnisrc.crawl.queries import Scope, register_queries
from omnisrc.crawl.settings import CrawlSettings, ProviderSettings
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

    def scope(self, class_list_id: int) -> Scope:
        kinds_of = {
            name: tuple(kind for kind in self.kinds if kind in provider.kinds)
            for name, provider in self.providers.items()
        }
        return Scope(class_list_id, kinds_of, self.per_class)


def parse_kinds(text: str) -> tuple[str, ...]:
    """`image,video` -> its kinds. Raises UserError."""
    kinds = tuple(dict.fromkeys(kind.strip().removesuffix("s") for kind in text.split(",") if kind.strip()))
    for kind in kinds or (text,):
        if kind not in KINDS:
            raise UserError(f"--media {text!r} names no medium.{near(kind, KINDS)}")
    return kinds


def wanted(study: Study, names: Sequence[str], kinds: tuple[str, ...], per_class: int | None) -> Wanted:
    """Opens the providers and checks the settings. Raises UserError."""
    settings, media = study.section(CrawlSettings), study.section(MediaSettings)
    if per_class is not None and per_class < 1:
        raise UserError(f"--per-class {per_class} asks for nothing; give at least 1.")
    for name in names:
        if about_of(provider_class(name)).finds_only:
            raise UserError(
                f"A crawl cannot use the provider `{name}`: it finds pages, and nothing here may download them; "
                f"list what it finds with `omnisrc providers find {name} TEXT`."
            )
    client = open_client(settings, HostGate(Pace(1)))
    wish = MediaWish(media.image_short_side, media.clip_short_side)
    providers = {name: open_provider(name, study.section(ProviderSettings), wish, client) for name in names}
    return Wanted(
        providers, kinds, {kind: settings.per_class(kind) if per_class is None else per_class for kind in kinds}
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
    return scope, queries // max(1, len(scope.pairs))
