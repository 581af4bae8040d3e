"""robots.txt and tdmrep.json of sites in the host table: read once a day by all workers together."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from sqlalchemy import or_, select, update
from sqlalchemy.orm import Session

from db.frontier import host_row
from db.models import Host
from omnisrc.errors import ItemError
from omnisrc.web import optout, tdmrep
from omnisrc.web.site_files import SiteFile
from omnisrc.web.urls import parse_url

COLUMNS = {
    optout.ROBOTS: ("robots_status", "robots_body", "robots_read", "robots_trouble"),
    tdmrep.PATH: ("tdm_status", "tdm_body", "tdm_read", "tdm_trouble"),
}
"""Where the host table keeps the file of each path: status, body, when it was read, since when it is not to be had."""


class HostTableStore:
    """A SiteFileStore over rows that were read before; what is new is written by `write`, in a transaction of the
    caller's. A file read elsewhere meanwhile costs one request more, no more than that."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str], SiteFile] = {}
        self._new: dict[tuple[str, str], SiteFile] = {}

    def load(self, origin: str, path: str) -> SiteFile | None:
        known = self._known.get((_site(origin), path))
        return replace(known, origin=origin) if known is not None else None

    def save(self, file: SiteFile) -> None:
        self._known[_site(file.origin), file.path] = self._new[_site(file.origin), file.path] = file

    def read(self, session: Session, sites: Iterable[str]) -> None:
        """Makes the files of these sites known."""
        any_file = or_(Host.robots_status.is_not(None), Host.tdm_status.is_not(None))
        for host in session.scalars(select(Host).where(Host.name.in_(list(sites)), any_file)):
            for path, columns in COLUMNS.items():
                status, body, moment, trouble = (getattr(host, column) for column in columns)
                if status is not None:
                    file = SiteFile(host.name, path, status, body or "", moment or 0.0, trouble)
                    self._known.setdefault((host.name, path), file)

    def write(self, session: Session) -> None:
        """Writes the files that this store was told of."""
        changes: dict[str, dict[str, Any]] = {}
        for (site, path), file in sorted(self._new.items(), key=lambda item: item[0]):
            values = (file.status, file.body, file.read, file.trouble_since)
            changes.setdefault(site, {}).update(zip(COLUMNS[path], values, strict=True))
        for site, change in changes.items():
            host_row(session, site)
            session.execute(update(Host).where(Host.name == site).values(**change))


def _site(origin: str) -> str:
    try:
        return parse_url(origin).site
    except ItemError:
        return origin
