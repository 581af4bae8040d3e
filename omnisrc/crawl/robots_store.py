"""robots.txt files in the host table: read once a day by all workers together."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from db.models import Host
from omnisrc.crawl.pace import host_row
from omnisrc.errors import ItemError
from omnisrc.web.robots import RobotsFile
from omnisrc.web.urls import parse_url


class HostTableStore:
    """A RobotsStore over rows that were read before; what is new is written by `write`, in a transaction of the
    caller's. A file read elsewhere meanwhile costs one request more, no more than that."""

    def __init__(self) -> None:
        self._known: dict[str, RobotsFile] = {}
        self._new: dict[str, RobotsFile] = {}

    def load(self, origin: str) -> RobotsFile | None:
        known = self._known.get(_site(origin))
        return replace(known, origin=origin) if known is not None else None

    def save(self, file: RobotsFile) -> None:
        self._known[_site(file.origin)] = self._new[_site(file.origin)] = file

    def read(self, session: Session, sites: Iterable[str]) -> None:
        """Makes the files of these sites known."""
        rows = session.execute(
            select(Host.name, Host.robots_status, Host.robots_body, Host.robots_read).where(
                Host.name.in_(list(sites)), Host.robots_status.is_not(None)
            )
        )
        for site, status, body, moment in rows:
            self._known.setdefault(site, RobotsFile(site, status or 0, body or "", moment or 0.0))

    def write(self, session: Session) -> None:
        """Writes the files that this store was told of."""
        for site, file in sorted(self._new.items()):
            host_row(session, site)
            session.execute(
                update(Host)
                .where(Host.name == site)
                .values(robots_status=file.status, robots_body=file.body, robots_read=file.read)
            )


def _site(origin: str) -> str:
    try:
        return parse_url(origin).site
    except ItemError:
        return origin
