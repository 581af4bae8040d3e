"""How much of the budgets and of the bandwidth one fetch job may use: a grant that it renews about once a second.

The grants of all running fetch jobs and what is used together never exceed a budget. A job begins an item only while
what it has used and what its items under way are expected to take is less than its grant, so that a budget is overshot
by no more than the items under way take beyond what was expected of them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy.orm import Session

from db.controls import read_controls
from db.models import Asset, Budget, Job
from omnisrc.crawl import budgets
from omnisrc.crawl.jobs import unrecorded
from omnisrc.crawl.plan import KEPT_BYTES, MEDIA_BYTES
from omnisrc.crawl.settings import CrawlSettings
from omnisrc.web.bandwidth import Bandwidth

SMALL = 4 * 10**6
"""What is left is granted to one job alone when it is no more than this."""


@dataclass
class Meter:
    """One fetch job's use of the budgets, in bytes. Without `settings` there are none.

    Args:
        landing: the folder on whose volume space is to stay free.
        drains: how many fetch jobs share what is left.
    """

    settings: CrawlSettings | None = None
    landing: Path = Path()
    drains: int = 1
    downloaded: int = 0
    may_download: float = math.inf
    may_store: float = math.inf
    out_of_time: bool = False
    bandwidth: Bandwidth = field(default_factory=Bandwidth)
    _counted: int = 0
    _under_way: dict[int, tuple[int, int]] = field(default_factory=dict)
    _media: int = 0
    _kept: int = 0

    def count(self, length: int) -> None:
        """So many more bytes came over the network."""
        self.downloaded += length

    def begin(self, asset: Asset) -> None:
        self.end(asset)
        media, kept = asset.found_bytes or MEDIA_BYTES.get(asset.kind, 0), KEPT_BYTES.get(asset.kind, 0)
        self._under_way[asset.id] = (media, media if asset.kind == "video" else min(media, kept))
        self._add(self._under_way[asset.id], 1)

    def end(self, asset: Asset) -> None:
        self._add(self._under_way.pop(asset.id, (0, 0)), -1)

    def _add(self, expected: tuple[int, int], sign: int) -> None:
        self._media += sign * expected[0]
        self._kept += sign * expected[1]

    def has_room(self, stored: int) -> bool:
        """Whether another item may begin, with `stored` bytes in this job's shards since it began."""
        fits = self.downloaded + self._media < self.may_download and stored + self._kept < self.may_store
        return fits and not self.out_of_time

    def renew(self, session: Session, job_id: int, stored: int) -> dict[str, Any]:
        """Tells what this job has used, and grants it its share of what is left; what its row should tell others."""
        assert self.settings is not None
        row = session.get_one(Job, job_id, populate_existing=True, with_for_update=True)
        new = max(0, stored - _recorded(row.result))  # no shard's row counts these yet
        limits = budgets.limits_of(self.settings)
        budgets.tick(session)  # holds the lock under which grants are made
        downloaded = self.downloaded
        budgets.count_download(session, downloaded - self._counted)
        others = budgets.running_drains(session, but=job_id)
        told: dict[str, Any] = {"downloaded": downloaded}
        self.bandwidth.rate = self._speed(session) / (1 + len(others))
        may_download = may_store = math.inf
        if limits["download"] is not None:
            spent = session.get_one(Budget, "download", populate_existing=True).spent
            promised = sum(max(0, _number(job, "may_download") - _number(job, "downloaded")) for job in others)
            may_download = told["may_download"] = downloaded + self._share(limits["download"] - spent - promised)
        if limits["disk"] is not None:
            promised = sum(max(_number(job, "may_store") - _recorded(job), unrecorded(job, "bytes")) for job in others)
            left = limits["disk"] - budgets.stored_bytes(session) - promised - new
            may_store = told["may_store"] = stored + self._share(left)
        if limits["free"] is not None:
            may_store = min(may_store, stored + self._share(budgets.free_bytes(self.landing) - limits["free"]))
        hours = session.get_one(Budget, "hours")
        self.out_of_time = limits["hours"] is not None and hours.spent >= limits["hours"]
        self.may_download, self.may_store = may_download, may_store
        return told

    def _speed(self, session: Session) -> float:
        """Bytes a second that all fetch jobs together may read: what a person set while the crawl runs, or the
        settings."""
        assert self.settings is not None
        set_now = read_controls(session).bandwidth
        return (self.settings.max_bytes_per_second if set_now is None else set_now) or math.inf

    def settled(self, told: Mapping[str, Any]) -> None:
        """The transaction of `renew` went through."""
        self._counted = int(told["downloaded"])

    def _share(self, left: float) -> int:
        left = max(0.0, left)
        return int(left if left <= SMALL else max(SMALL, left / self.drains))


def _number(told: Mapping[str, Any], name: str) -> int:
    return int(told.get(name, 0))


def _recorded(told: Mapping[str, Any]) -> int:
    return _number(told.get("recorded", {}), "bytes")
