"""What a drain takes from the frontier: hosts with slots, and assets of theirs in small batches."""

from __future__ import annotations

import asyncio
import math
import time
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import partial
from typing import NamedTuple

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from db import frontier, host_work
from db.controls import Controls, read_controls
from db.frontier import host_row
from db.ledger import now
from db.models import Asset, Host, Job
from db.session import Database
from omnisrc.crawl import breaker
from omnisrc.crawl.finds import LOCAL_SITE
from omnisrc.crawl.jobs import FETCH
from omnisrc.crawl.pace import Limits
from omnisrc.crawl.settings import CrawlSettings
from omnisrc.crawl.site_store import HostTableStore
from omnisrc.errors import ErrorClass
from omnisrc.web.hosts import Pace

MOST_AT_ONCE = 256
NOTICED_S = 2.0
HEEDED_S = 0.5
PAUSED_S = 30.0  # what led to a host that a person has paused is tried again then
LOCAL = Limits(concurrency=16, rate=0.0)


@dataclass
class HostShare:
    """A host that a drain works on: its share of slots, and assets of it in hand.

    `troubled`: its last requests failed; `empty`: there is nothing more to claim.
    """

    site: str
    pace: Pace
    wait_s: float
    streak_429: int
    batch: int
    troubled: bool = False
    assets: deque[Asset] = field(default_factory=deque)
    empty: bool = False
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


class Revision(NamedTuple):
    """What changed for a drain: new paces of hosts, hosts that nobody may ask now, providers that are paused."""

    paces: dict[str, Pace]
    shut: frozenset[str]
    paused_providers: frozenset[str]


class Claims:
    """Claims under one job's token. Its methods block: run them in a thread.

    `drains` is how many drains share each host's slots at least; where more are running, these count. An asset that
    workers died on comes in a small batch, and alone in the end: with such a one in hand nothing more is claimed
    (`fragile`).
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
        self._waiting: deque[frontier.WaitingHost] = deque()
        self._look_at = self._heed_at = 0.0
        self._controls = frontier.NOTHING_SET
        self._limits_of: dict[str, Limits] = {}
        self._probing: set[str] = set()
        self.fragile = False

    def hosts(self, room: int, skip: Iterable[str]) -> list[HostShare]:
        """Hosts with work and free slots, not among `skip`, until `room` slots are taken; with a first batch each."""
        self._look_for_hosts(frozenset(skip))
        shares: list[HostShare] = []
        sharers = self._database.read(self._sharers) if self._waiting else 1
        while self._waiting and room > 0 and not self.fragile:
            take = partial(self._take_host, self._waiting.popleft(), room, sharers, self._heeded())
            share = self._database.write(take)  # one host a transaction: others wait for its slots, or all of SQLite
            if share is not None:
                self._claimed += len(share.assets)
                self.fragile = any(asset.losses for asset in share.assets)
                room -= share.pace.concurrency
                shares.append(share)
        self._make_known(asset for share in shares for asset in share.assets)
        return shares

    def _look_for_hosts(self, but: frozenset[str]) -> None:
        """Looks which hosts have work, the most first. What was found is worked off before the next look."""
        if time.monotonic() >= self._look_at:
            began = time.monotonic()
            self._waiting = deque(host_work.busiest(self._database, self._heeded()))
            self._look_at = time.monotonic() + (time.monotonic() - began) / host_work.SHARE
        self._waiting = deque(host for host in self._waiting if host.name not in but)

    def _take_host(
        self, host: frontier.WaitingHost, room: int, sharers: int, controls: Controls, session: Session
    ) -> HostShare | None:
        """Up to `room` slots of a host, with a first batch of its assets; None where there is none of either."""
        row = session.get(Host, host.name)
        probe = self._is_probe(host.name, row)
        limits = self._limits(host.name, controls)
        wanted = min(room, math.ceil(limits.concurrency / sharers), host.waiting)
        slots = frontier.take_slots(session, host.name, self._token, wanted, limits.concurrency)
        if not slots:
            return None
        pace = limits.share(slots)
        wait_s, streak = self._remembered(session, row)
        share = HostShare(host.name, pace, wait_s, streak, 1 if probe else self._batch(pace), empty=probe)
        share.troubled = row is not None and row.openings + row.failures > 0
        rows = frontier.claim_assets(session, host.name, self._token, share.batch, controls)
        share.assets.extend(self._bearable(session, rows))
        if not share.assets:
            frontier.free_slots(session, host.name, self._token)
            return None
        self._limits_of[host.name] = limits
        return share

    def _heeded(self) -> Controls:
        """What people have set, as of half a second ago at the latest. Read by itself, for all of SQLite waits for a
        transaction that claims."""
        if time.monotonic() >= self._heed_at:
            self._controls, self._heed_at = self._database.read(read_controls), time.monotonic() + HEEDED_S
        return self._controls

    def _make_known(self, assets: Iterable[Asset]) -> None:
        """Reads what is known of these assets' sites."""
        taken = list(assets)
        if self._site_files.unknown(taken):
            self._database.read(lambda session: self._site_files.read_for(session, taken))

    def _sharers(self, session: Session) -> int:
        """How many drains share the slots of each host."""
        running = select(func.count()).select_from(Job).where(Job.stage == FETCH, Job.state == "leased")
        return max(self._drains, session.scalar(running) or 0)

    def more(self, share: HostShare) -> list[Asset]:
        """The next batch of a host's assets; its slots are given back where there is none."""

        def take(session: Session) -> list[Asset]:
            rows = frontier.claim_assets(session, share.site, self._token, share.batch, controls)
            return self._bearable(session, rows)

        if self.fragile:
            return []
        controls = self._heeded()
        kept = self._database.write(take)
        self._make_known(kept)
        self.fragile = any(asset.losses for asset in kept)
        self._claimed += len(kept)
        return kept

    def _bearable(self, session: Session, rows: list[Asset]) -> list[Asset]:
        """The claimed assets that may be worked on beside what is in hand."""
        losses = max((asset.losses for asset in rows), default=0)
        if losses >= 2 and self._claimed:
            ids = [asset.id for asset in rows]
            session.execute(update(Asset).where(Asset.id.in_(ids)).values(lease_token=None))
            return []
        return rows

    def put_back(self, assets: Iterable[Asset]) -> None:
        """Gives back assets that nobody has asked for, without blame."""
        ids = [asset.id for asset in assets]
        change = update(Asset).where(Asset.id.in_(ids), Asset.lease_token == self._token).values(lease_token=None)
        if ids:
            self._database.write(lambda session: session.execute(change) and None)

    def revise(self, sites: Iterable[str]) -> Revision:
        """What people and other workers have changed for the hosts whose slots this job holds."""
        held = list(sites)

        def look(session: Session) -> tuple[Controls, set[str]]:
            later = now(session) + NOTICED_S
            resting = select(Host.name).where(Host.name.in_(held), Host.not_before > later)
            return read_controls(session), set(session.scalars(resting))

        controls, shut = self._database.read(look)
        shut |= {site for site in held if controls.pause_of(site)}
        paces: dict[str, Pace] = {}
        for site in held:
            limits = self._limits(site, controls)
            if site not in shut and self._limits_of.get(site, limits) != limits:
                pace = self._database.write(partial(self._fit, site, limits))
                if pace is None:
                    shut.add(site)
                else:
                    paces[site] = pace
        return Revision(paces, frozenset(shut), controls.providers)

    def _fit(self, site: str, limits: Limits, session: Session) -> Pace | None:
        """Holds this job's share of a host's new slots; None where none is left for it."""
        held = frontier.trim_slots(session, site, self._token, limits.concurrency)
        more = math.ceil(limits.concurrency / self._sharers(session)) - held
        if more > 0:
            held += frontier.take_slots(session, site, self._token, more, limits.concurrency)
        if not held:
            return None
        self._limits_of[site] = limits
        return limits.share(held)

    def failed(self, site: str, error: ErrorClass) -> float:
        """Counts a failure of a host; for how many seconds its breaker is open now."""
        return self._database.write(lambda session: breaker.note_failure(session, self._settings, site, error))

    def answered(self, site: str) -> None:
        """The host has answered: its failures are forgotten."""
        self._database.write(lambda session: breaker.note_answer(session, site))
        self._probing.discard(site)

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
            row, moment, controls = host_row(session, site), now(session), read_controls(session)
            if controls.pause_of(site):
                return PAUSED_S
            if row.not_before > moment:
                return row.not_before - moment
            self._is_probe(site, row)
            limits = self._limits_of[site] = self._limits(site, controls)
            slots = frontier.take_slots(session, site, self._token, 1, limits.concurrency)
            self._site_files.read_of(session, site)
            return limits.share(slots) if slots else 1.0

        return self._database.write(take)

    def pause(self, site: str, seconds: float) -> None:
        """No worker asks the host for anything for so long: it said so."""
        self._database.write(lambda session: frontier.pause_host(session, site, seconds))

    def _is_probe(self, site: str, row: Host | None) -> bool:
        """Whether only one request may be sent, to see whether the host answers again."""
        probe = row is not None and row.openings > 0
        (self._probing.add if probe else self._probing.discard)(site)
        return probe

    def _limits(self, site: str, controls: Controls) -> Limits:
        if site == LOCAL_SITE:
            return LOCAL
        limits = Limits.of(self._settings, site, controls)
        return Limits(1, limits.rate) if site in self._probing else limits

    def _batch(self, pace: Pace) -> int:
        """Enough for a few seconds: what a dead worker held comes back with a stain."""
        if pace.interval_s:
            return max(pace.concurrency, min(MOST_AT_ONCE, math.ceil(4.0 / pace.interval_s)))
        return min(MOST_AT_ONCE, 8 * pace.concurrency)

    @staticmethod
    def _remembered(session: Session, row: Host | None) -> tuple[float, int]:
        """Seconds until the host's pace lets a request begin, and how often in a row it answered 429."""
        return (max(0.0, row.next_start - now(session)), row.streak_429) if row is not None else (0.0, 0)
