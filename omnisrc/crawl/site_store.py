"""robots.txt and tdmrep.json of origins in the table `site_file`: read once a day by all workers together."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from db.insert import insert_missing
from db.models import Asset, SiteFile
from omnisrc.errors import ItemError
from omnisrc.web import site_files
from omnisrc.web.urls import parse_url

CHUNK = 500
MOST_OF_A_HOST = 64


class HostTableStore:
    """A SiteFileStore over rows that were read before; what is new is written by `write`, in a transaction of the
    caller's. A file read elsewhere meanwhile costs one request more, no more than that."""

    def __init__(self) -> None:
        self._asked: set[str] = set()
        self._known: dict[tuple[str, str], site_files.SiteFile] = {}
        self._new: dict[tuple[str, str], site_files.SiteFile] = {}
        self._written: dict[tuple[str, str], site_files.SiteFile] = {}

    def load(self, origin: str, path: str) -> site_files.SiteFile | None:
        return self._known.get((origin, path))

    def save(self, file: site_files.SiteFile) -> None:
        self._known[file.origin, file.path] = self._new[file.origin, file.path] = file

    def unknown(self, assets: Iterable[Asset]) -> set[str]:
        """The origins of these assets whose files were not asked for yet."""
        return {origin for asset in assets if (origin := _origin(asset.url)) is not None} - self._asked

    def read_for(self, session: Session, assets: Iterable[Asset]) -> None:
        """Makes the files of these assets' origins known."""
        self.read(session, self.unknown(assets))

    def read(self, session: Session, origins: Iterable[str]) -> None:
        """Makes the files of these origins known; each is asked for once."""
        wanted = sorted(set(origins) - self._asked)
        for start in range(0, len(wanted), CHUNK):
            part = wanted[start : start + CHUNK]
            self._keep(session.scalars(select(SiteFile).where(SiteFile.origin.in_(part))))
        self._asked.update(wanted)

    def _keep(self, rows: Iterable[SiteFile]) -> None:
        for row in rows:
            file = site_files.SiteFile(row.origin, row.path, row.status, row.body, row.read, row.trouble)
            self._known.setdefault((row.origin, row.path), file)

    def read_of(self, session: Session, host: str) -> None:
        """Makes files of a host's origins known, those that were read last."""
        newest = select(SiteFile).where(SiteFile.host == host).order_by(SiteFile.read.desc()).limit(MOST_OF_A_HOST)
        self._keep(session.scalars(newest))

    def write(self, session: Session) -> None:
        """Writes the files that this store was told of since `settle`; more may come meanwhile, of another thread."""
        self._written = dict(self._new)
        for (origin, path), file in sorted(self._written.items(), key=lambda item: item[0]):
            values = {"status": file.status, "body": file.body, "read": file.read, "trouble": file.trouble_since}
            insert_missing(session, SiteFile, [{"origin": origin, "path": path, "host": _host(origin), **values}])
            session.execute(update(SiteFile).where(SiteFile.origin == origin, SiteFile.path == path).values(**values))

    def settle(self) -> None:
        """The transaction of `write` went through."""
        for key, file in self._written.items():
            if self._new.get(key) is file:
                del self._new[key]


def _host(origin: str) -> str:
    try:
        return parse_url(origin).site
    except ItemError:
        return ""


def _origin(url: str) -> str | None:
    try:
        return None if url.startswith("file:") else parse_url(url).origin
    except ItemError:
        return None
