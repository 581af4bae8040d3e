"""Budgets: what crawls of a study may use of disk, free space, hours and bandwidth, and what they have used.

`download` (bytes of media that came over the network) and `hours` (seconds in which a crawl command or a fetch job was
at work, each second once however many were) are counted in SQL, over all crawls of the study. `disk` is what landing
shards hold, `free` what the workspace's volume has left.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from db.insert import insert_missing
from db.ledger import now
from db.models import Budget, Job, Shard
from omnisrc.crawl.jobs import FETCH, unrecorded
from omnisrc.crawl.settings import CrawlSettings

LONGEST_TICK_S = 60.0
"""What lies between two looks at the clock counts as work, unless it is longer: then nobody was there."""

SETTINGS = {"disk": "max_disk", "free": "min_free_disk", "hours": "max_hours", "download": "max_download"}


@dataclass(frozen=True)
class Used:
    """One budget: `spent` of `limit` (None: no limit), in bytes or seconds; of `free`, what is left and the floor."""

    name: str
    spent: float
    limit: float | None

    @property
    def reached(self) -> bool:
        if self.limit is None:
            return False
        return self.spent < self.limit if self.name == "free" else self.spent >= self.limit

    @property
    def setting(self) -> str:
        return f"crawl.{SETTINGS[self.name]}"

    @property
    def option(self) -> str:
        """How a larger one is asked for on the command line."""
        return "--set crawl.min_free_disk" if self.name == "free" else f"--max-{self.name}"

    def sentence(self) -> str:
        """What is used, in words."""
        if self.limit is None:
            return f"{self._words(self.spent)} used, without a limit"
        if self.name == "free":
            return f"{self._words(self.spent)} are free of the {self._words(self.limit)} that must stay so"
        return f"{self._words(self.spent)} of {self._words(self.limit)} are used"

    def _words(self, amount: float) -> str:
        return f"{amount / 3600:,.2f} hours" if self.name == "hours" else size_words(amount)


def size_words(count: float) -> str:
    """A number of bytes as `--max-disk` reads it too, such as 20.5 GB."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:,.0f} {unit}" if unit == "B" else f"{count:,.1f} {unit}"
        count /= 1000
    return f"{count:,.1f} TB"


class BudgetReached(Exception):
    """A crawl has used up one of its budgets; `used` says which."""

    def __init__(self, used: Used) -> None:
        super().__init__(f"{used.setting}: {used.sentence()}")
        self.used = used


def limits_of(settings: CrawlSettings) -> dict[str, float | None]:
    """Budget -> its limit in bytes or seconds by the settings, where 0 is none."""
    return {
        "disk": settings.max_disk or None,
        "free": settings.min_free_disk or None,
        "hours": settings.max_hours * 3600 or None,
        "download": settings.max_download or None,
    }


def begin(session: Session, settings: CrawlSettings) -> None:
    """A crawl begins: its limits are noted for all to see, and the time since the last one does not count."""
    limits = limits_of(settings)
    _make_rows(session)
    for name, limit in limits.items():
        session.execute(update(Budget).where(Budget.name == name).values(limit=limit))
    session.execute(update(Budget).where(Budget.name == "hours").values(moment=now(session)))


def tick(session: Session) -> None:
    """Somebody is at work: the time since the last tick counts."""
    row = session.get(Budget, "hours", with_for_update=True)
    if row is None:
        _make_rows(session)
        row = session.get_one(Budget, "hours", with_for_update=True)
    moment = now(session)
    if 0 < moment - row.moment <= LONGEST_TICK_S:
        row.spent += moment - row.moment
    row.moment = moment
    session.flush()


def count_download(session: Session, count: int) -> None:
    """So many bytes have come over the network."""
    _make_rows(session)
    session.execute(update(Budget).where(Budget.name == "download").values(spent=Budget.spent + count))


def used(session: Session, settings: CrawlSettings | None, landing: Path) -> list[Used]:
    """All budgets as they are now; what running fetch jobs hold counts. Limits are those of the settings, and those
    of the newest crawl command with None."""
    rows = {row.name: row for row in session.scalars(select(Budget))}
    if settings is not None:
        limits = limits_of(settings)
    else:
        limits = {name: rows[name].limit if name in rows else None for name in SETTINGS}
    running = running_drains(session)
    spent = {name: row.spent for name, row in rows.items()}
    return [
        Used("disk", stored_bytes(session) + sum(unrecorded(result, "bytes") for result in running), limits["disk"]),
        Used("free", free_bytes(landing), limits["free"]),
        Used("hours", spent.get("hours", 0.0), limits["hours"]),
        Used("download", spent.get("download", 0.0), limits["download"]),
    ]


def reached(session: Session, settings: CrawlSettings, landing: Path) -> Used | None:
    """The first budget that is used up, or None. Costs nothing where no budget is set."""
    if not any(limits_of(settings).values()):
        return None
    return next((budget for budget in used(session, settings, landing) if budget.reached), None)


def stored_bytes(session: Session) -> int:
    """What landing shards hold."""
    total = select(func.sum(Shard.bytes)).where(Shard.kind == "landing", Shard.freed.is_(False))
    return int(session.scalar(total) or 0)


def running_drains(session: Session, but: int = 0) -> list[dict[str, Any]]:
    """What running fetch jobs other than `but` tell of themselves."""
    rows = session.scalars(select(Job.result).where(Job.stage == FETCH, Job.state == "leased", Job.id != but))
    return list(rows)


def free_bytes(folder: Path) -> int:
    """Free space of the volume that a folder is on, or will be."""
    while not folder.exists():
        folder = folder.parent
    return shutil.disk_usage(folder).free


def _make_rows(session: Session) -> None:
    insert_missing(session, Budget, [{"name": name, "spent": 0.0, "moment": 0.0} for name in SETTINGS])
