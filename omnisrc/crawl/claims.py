"""What a drain takes from the frontier: hosts with slots, and assets of theirs in small batches."""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field

from sqlalchemy import update
from sqlalchemy.orm import Session

from db import frontier
from db.ledger import now
from db.models import Asset, Host
from db.session import Database
from omnisrc.crawl.finds import LOCAL_SITE
from omnisrc.crawl.pace import Limits, host_row
from omnisrc.crawl.settings import CrawlSettings
from omnisrc.crawl.site_store import HostTableStore
from omnisrc.web.hosts import Pace

MOST_AT_ONCE = 256
NOTICED_S = 2.0
LOCAL = Limits(concurrency=16, rate=0.0)


@dataclass
class HostShare:
    """A host that a drain works on: its share of slots, and assets of it in hand."""

    site: str
    pace: Pace
    wait_s: float
    streak_429: int
    batch: int
    assets: deque[Asset] = field(default_factory=deque)
    empty: bool = False
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


class Claims:
    """Claims under one job's token. Its methods block: run them in a thread.

    `drains` is how many drains share each host's slots. An asset that workers died on comes in a small batch, and
    alone in the end: with such a one in hand nothing more is claimed (`fragile`).
    """

    def __init__(
        self, database: Database, token: str, settings: CrawlSettings, site_files: HostTableStore, drains: int
    ) -> None:
        self._database = database
        self._token = token
        self._settings = settings
        self._site_files = site_files
        self._drains = max(1, drains)
        self._claimed = 0
        self.fragile = False

    def hosts(self, room: int, skip: Iterable[str]) -> list[HostShare]:
        """Hosts with work and free slots, not among `skip`, until `room` slots are taken; with a first batch each."""
        if self.fragile or room <= 0:
            return []
        seen = frozenset(skip)
        waiting = self._database.read(frontier.waiting_hosts)
        if not any(host.name not in seen for host in waiting):
            return []
        return self._database.write(lambda session: self._take_hosts(session, waiting, seen, room))

    def _take_hosts(
        self, session: Session, waiting: list[frontier.WaitingHost], seen: frozenset[str], room: int
    ) -> list[HostShare]:
        shares: list[HostShare] = []
        claimed, fragile = 0, False
        for host in waiting:
            if host.name in seen or room <= 0 or fragile:
                continue
            limits = self._limits(host)
            wanted = min(room, math.ceil(limits.concurrency / self._drains), host.waiting)
            slots = frontier.take_slots(session, host.name, self._token, wanted, limits.concurrency)
            if not slots:
                continue
            pace = limits.share(slots)
            share = HostShare(host.name, pace, *self._remembered(session, host.name), self._batch(pace))
            rows = frontier.claim_assets(session, host.name, self._token, share.batch)
            kept, fragile = self._bearable(session, rows, self._claimed + claimed)
            share.assets.extend(kept)
            if not kept:
                frontier.free_slots(session, host.name, self._token)
                continue
            shares.append(share)
            claimed += len(kept)
            room -= slots
        self._site_files.read(session, [share.site for share in shares])
        self._claimed, self.fragile = self._claimed + claimed, fragile
        return shares

    def more(self, share: HostShare) -> list[Asset]:
        """The next batch of a host's assets; its slots are given back where there is none."""

        def take(session: Session) -> tuple[list[Asset], bool]:
            rows = frontier.claim_assets(session, share.site, self._token, share.batch)
            return self._bearable(session, rows, self._claimed)

        if self.fragile:
            return []
        kept, self.fragile = self._database.write(take)
        self._claimed += len(kept)
        return kept

    def _bearable(self, session: Session, rows: list[Asset], in_hand: int) -> tuple[list[Asset], bool]:
        """The claimed assets that may be worked on beside what is in hand, and whether they are the last."""
        losses = max((asset.losses for asset in rows), default=0)
        if losses >= 2 and in_hand:
            ids = [asset.id for asset in rows]
            session.execute(update(Asset).where(Asset.id.in_(ids)).values(lease_token=None))
            return [], False
        return rows, losses >= 1

    def let_go(self, site: str, next_start_s: float) -> None:
        """Gives a host's slots back; the next to hold them begins no sooner than in `next_start_s`."""

        def give(session: Session) -> None:
            if next_start_s > 0:
                row, start = host_row(session, site), now(session) + next_start_s
                row.next_start = max(row.next_start, start)
                if next_start_s > NOTICED_S:  # so long a wait keeps drains from choosing the host
                    row.not_before = max(row.not_before, start)
            frontier.free_slots(session, site, self._token)

        self._database.write(give)

    def one_slot(self, site: str) -> Pace | float:
        """A slot of a site that a redirect led to: its pace, or the seconds after which to ask again."""

        def take(session: Session) -> Pace | float:
            row, moment = host_row(session, site), now(session)
            if row.not_before > moment:
                return row.not_before - moment
            limits = Limits.of(self._settings, site, row.rate, row.concurrency)
            slots = frontier.take_slots(session, site, self._token, 1, limits.concurrency)
            self._site_files.read(session, [site])
            return limits.share(slots) if slots else 1.0

        return self._database.write(take)

    def pause(self, site: str, seconds: float) -> None:
        """No worker asks the host for anything for so long: it said so."""
        self._database.write(lambda session: frontier.pause_host(session, site, seconds))

    def _limits(self, host: frontier.WaitingHost) -> Limits:
        if host.name == LOCAL_SITE:
            return LOCAL
        return Limits.of(self._settings, host.name, host.rate, host.concurrency)

    def _batch(self, pace: Pace) -> int:
        """Enough for a few seconds: what a dead worker held comes back with a stain."""
        if pace.interval_s:
            return max(pace.concurrency, min(MOST_AT_ONCE, math.ceil(4.0 / pace.interval_s)))
        return min(MOST_AT_ONCE, 8 * pace.concurrency)

    @staticmethod
    def _remembered(session: Session, site: str) -> tuple[float, int]:
        """Seconds until the host's pace lets a request begin, and how often in a row it answered 429."""
        row = session.get(Host, site)
        return (max(0.0, row.next_start - now(session)), row.streak_429) if row is not None else (0.0, 0)
