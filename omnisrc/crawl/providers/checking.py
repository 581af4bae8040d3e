"""Whether providers can be used: one tiny call of each."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace

from omnisrc.crawl.identity import open_client
from omnisrc.crawl.providers.about import about_of
from omnisrc.crawl.providers.keys import KeyRefusedError
from omnisrc.crawl.providers.provider import MediaWish, Provider, Question
from omnisrc.crawl.providers.registry import PROVIDERS, open_provider, provider_class
from omnisrc.crawl.settings import CrawlSettings, ProviderSettings
from omnisrc.errors import ErrorClass, ItemError, UserError
from omnisrc.media.settings import MediaSettings
from omnisrc.study import Study
from omnisrc.web.client import Client
from omnisrc.web.hosts import HostGate, Pace

UNREACHED = frozenset(
    {
        ErrorClass.DNS,
        ErrorClass.CONNECT,
        ErrorClass.TLS,
        ErrorClass.TIMEOUT,
        ErrorClass.TRUNCATED,
        ErrorClass.REFUSED_ADDRESS,
        ErrorClass.BAD_URL,
    }
)
SPENT = (ErrorClass.QUOTA, ErrorClass.HTTP_429)
WORDS = "dog"


@dataclass(frozen=True)
class Standing:
    """How a provider stands. None: not asked, or nothing to ask for; `quota` is what is left, in words."""

    name: str
    configured: bool = True
    reachable: bool | None = None
    key_accepted: bool | None = None
    quota: str | None = None
    problem: str = ""
    pause_s: float | None = None
    """What the service wants to be left alone for."""
    note: str = ""
    """What the provider says of this machine."""

    @property
    def failed(self) -> bool:
        return self.configured and bool(self.problem)


def check_providers(study: Study, names: list[str]) -> list[Standing]:
    """Asks each of `names` once; without names, each that is configured, and says what the others lack.

    Raises UserError where one that was named is not configured; then nobody is asked.
    """
    client = study_client(study)
    opened: dict[str, Provider] = {}
    lacking: dict[str, str] = {}
    for name in names or list(PROVIDERS):
        try:
            opened[name] = open_for(study, name, client)
        except UserError as error:
            if names:
                raise
            lacking[name] = str(error)
    asked = asyncio.run(_check_all(client, opened))
    return [
        Standing(name, configured=False, problem=lacking[name])
        if name in lacking
        else replace(asked[name], note=str(getattr(opened[name], "note", "")))
        for name in names or list(PROVIDERS)
    ]


def study_client(study: Study) -> Client:
    """A client for a few calls of one process."""
    return open_client(study.section(CrawlSettings), HostGate(Pace(1)))


def open_for(study: Study, name: str, client: Client) -> Provider:
    """A provider with the study's settings. Raises UserError."""
    media = study.section(MediaSettings)
    wish = MediaWish(media.image_short_side, media.clip_short_side)
    return open_provider(name, study.section(ProviderSettings), wish, client)


async def _check_all(client: Client, opened: dict[str, Provider]) -> dict[str, Standing]:
    async with client:
        return {name: await _check(name, provider) for name, provider in opened.items()}


async def _check(name: str, provider: Provider) -> Standing:
    if provider.site is None:
        return Standing(name)
    keyed = True if about_of(provider_class(name)).needs_key else None
    try:
        return Standing(name, reachable=True, key_accepted=keyed, quota=await _smallest_call(provider))
    except KeyRefusedError as error:
        return Standing(name, reachable=True, key_accepted=False, problem=str(error))
    except ItemError as error:
        if error.error in UNREACHED:
            return Standing(name, reachable=False, problem=str(error))
        if error.error in SPENT:
            return Standing(name, True, True, keyed, "none", str(error), error.retry_after)
        return Standing(name, reachable=True, problem=str(error))


async def _smallest_call(provider: Provider) -> str | None:
    check = getattr(provider, "check", None)
    if check is None:
        await provider.find(Question(WORDS, provider.kinds[0], WORDS), "", 1)
        return None
    left: str | None = await check()
    return left
