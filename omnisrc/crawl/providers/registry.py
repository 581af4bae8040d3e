"""The providers by name: one line each."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence

from omnisrc.config import near
from omnisrc.crawl.providers.provider import MediaWish, Provider
from omnisrc.crawl.settings import ProviderSettings
from omnisrc.errors import UserError
from omnisrc.web.client import Client

PROVIDERS = {
    "commons": "omnisrc.crawl.providers.commons:Commons",
    "table": "omnisrc.crawl.providers.table:Table",
    "folder": "omnisrc.crawl.providers.folder:Folder",
    "openverse": "omnisrc.crawl.providers.openverse:Openverse",
    "archive": "omnisrc.crawl.providers.archive:Archive",
    "flickr": "omnisrc.crawl.providers.flickr:Flickr",
    "youtube": "omnisrc.crawl.providers.youtube:Youtube",
    "pexels": "omnisrc.crawl.providers.pexels:Pexels",
    "pixabay": "omnisrc.crawl.providers.pixabay:Pixabay",
    "ytdlp": "omnisrc.crawl.providers.ytdlp:Ytdlp",
}
"""Name -> `module:class`."""


def provider_names(text: str) -> list[str]:
    """The names in `a,b`, each known. Raises UserError."""
    names = list(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))
    if not names:
        raise UserError(f"--provider {text!r} names no provider; there are: {', '.join(PROVIDERS)}.")
    for name in names:
        _place(name)
    return names


def open_provider(name: str, settings: ProviderSettings, wish: MediaWish, client: Client) -> Provider:
    """The provider of a name. Raises UserError where there is none, or its settings do not do."""
    return provider_class(name)(settings, wish, client)


def provider_class(name: str) -> Callable[[ProviderSettings, MediaWish, Client], Provider]:
    """The class of a provider, which tells its kinds, limits and terms unopened. Raises UserError."""
    module, _, attribute = _place(name).partition(":")
    found: Callable[[ProviderSettings, MediaWish, Client], Provider] = getattr(
        importlib.import_module(module), attribute
    )
    return found


def _place(name: str, known: Sequence[str] = tuple(PROVIDERS)) -> str:
    if name not in PROVIDERS:
        raise UserError(f"There is no provider {name!r}.{near(name, known)}")
    return PROVIDERS[name]
