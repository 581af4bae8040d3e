"""The guarded client as the crawl's settings want it."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

from omnisrc.crawl.settings import CrawlSettings
from omnisrc.web.addresses import AllowedHosts
from omnisrc.web.client import Client, Patience, user_agent
from omnisrc.web.hosts import Gate


def open_client(settings: CrawlSettings, gate: Gate) -> Client:
    """A client that names the tool and `crawl.contact`. Raises UserError for a malformed `crawl.allow_hosts`."""
    patience = Patience(settings.connect_s, settings.idle_s, settings.image_deadline_s)
    agent = user_agent(_version(), settings.contact)
    return Client(agent, gate, allow=AllowedHosts.parse(settings.allow_hosts), patience=patience)


def _version() -> str:
    try:
        return version("omnisrc")
    except PackageNotFoundError:
        return "0"
