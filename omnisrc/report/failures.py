"""What could not be had or was not wanted, by error class, with examples."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from db.models import Asset, Job, Sample, TargetItem
from omnisrc.errors import REFUSED, ErrorClass, retry_rule

MEANING = {
    ErrorClass.BAD_URL: "not an address that can be fetched",
    ErrorClass.DNS: "the host's name leads nowhere",
    ErrorClass.CONNECT: "the host took no connection",
    ErrorClass.TLS: "its certificate does not hold",
    ErrorClass.TIMEOUT: "too slow",
    ErrorClass.TRUNCATED: "fewer bytes than promised",
    ErrorClass.HTTP_4XX: "gone, forbidden or never there",
    ErrorClass.HTTP_429: "the host asked for fewer requests, again and again",
    ErrorClass.HTTP_5XX: "the server failed",
    ErrorClass.REDIRECT: "redirected in a circle or to nowhere",
    ErrorClass.ROBOTS: "robots.txt says no",
    ErrorClass.OPT_OUT: "its owner opted out of such use",
    ErrorClass.LICENCE: "its licence was ruled out, or it is shown to members only",
    ErrorClass.REFUSED_ADDRESS: "a private or local address",
    ErrorClass.TOO_LARGE: "more bytes than allowed, or longer",
    ErrorClass.TOO_SMALL: "fewer pixels than asked for",
    ErrorClass.EMPTY: "no bytes",
    ErrorClass.NOT_MEDIA: "neither image nor video",
    ErrorClass.DECODE: "cannot be decoded",
    ErrorClass.BOMB: "would need too much memory",
    ErrorClass.CONTAMINATED: "shows a val or test item of the target",
    ErrorClass.QUOTA: "the search service's limit",
    ErrorClass.PROVIDER: "the search service or the site's downloader failed",
    ErrorClass.STORAGE: "the disk failed",
    ErrorClass.WORKER_LOST: "killed its worker three times",
    ErrorClass.TAKEN_DOWN: "taken down on request",
}
UNLINKED = {ErrorClass.BAD_URL.value, ErrorClass.REFUSED_ADDRESS.value}
"""Classes whose URLs a reader must not open with a click: they lead into his own network, or are no URLs."""


@dataclass(frozen=True)
class Example:
    url: str
    page_url: str | None
    detail: str | None
    linked: bool


@dataclass
class Failure:
    """One error class: assets that are refused or failed for good, or wait for another try (`waiting`)."""

    error: str
    count: int = 0
    waiting: int = 0
    statuses: list[tuple[int, int]] = field(default_factory=list)  # (HTTP status, assets), most frequent first
    examples: list[Example] = field(default_factory=list)

    @property
    def meaning(self) -> str:
        return MEANING[ErrorClass(self.error)] if self.error in set(ErrorClass) else ""

    @property
    def outcome(self) -> str:
        if not self.count:
            return "waiting"
        return "refused" if self.error in REFUSED else "failed"

    @property
    def tries(self) -> int:
        return retry_rule(ErrorClass(self.error)).attempts if self.error in set(ErrorClass) else 1


def read_failures(session: Session, examples: int = 3) -> list[Failure]:
    """Error classes of assets, most frequent first, with up to `examples` URLs each."""
    found: dict[str, Failure] = {}
    statuses: dict[str, Counter[int]] = defaultdict(Counter)
    columns = (Asset.error, Asset.state, Asset.http_status)
    rows = session.execute(select(*columns, func.count()).where(Asset.error.is_not(None)).group_by(*columns))
    for name, state, status, count in rows:
        error = str(name)
        failure = found.setdefault(error, Failure(error))
        if state == "waiting":
            failure.waiting += count
        elif state in ("refused", "failed"):
            failure.count += count
            if status is not None and status >= 300:
                statuses[error][status] += count
    for failure in found.values():
        failure.statuses = statuses[failure.error].most_common(4)
        failure.examples = _examples(session, failure.error, examples)
    wanted = [failure for failure in found.values() if failure.count or failure.waiting]
    return sorted(wanted, key=lambda failure: (-failure.count, -failure.waiting, failure.error))


def _examples(session: Session, error: str, count: int) -> list[Example]:
    rows = session.execute(
        select(Asset.url, Asset.page_url, Asset.error_detail)
        .where(Asset.error == error, Asset.state.in_(("refused", "failed")))
        .order_by(Asset.id)
        .limit(count)
    )
    return [Example(url, page, detail, error not in UNLINKED) for url, page, detail in rows]


@dataclass(frozen=True)
class OtherFailure:
    """Something else that failed: a target item, a sample set aside, a job."""

    what: str
    name: str
    error: str
    detail: str


def read_other_failures(session: Session, limit: int = 20) -> tuple[list[OtherFailure], dict[str, int]]:
    """Failed target items, samples set aside and failed jobs: up to `limit` of each, and how many there are."""
    queries: dict[str, Any] = {
        "target item": select(TargetItem.path, TargetItem.error, TargetItem.error_detail).where(
            TargetItem.state == "failed"
        ),
        "sample set aside": select(Sample.id, Sample.error, Sample.kind).where(Sample.error.is_not(None)),
        "job": select(Job.stage + " " + Job.subject, Job.error, Job.error_detail).where(Job.state == "failed"),
    }
    shown: list[OtherFailure] = []
    counts: dict[str, int] = {}
    for what, query in queries.items():
        counts[what] = session.scalar(select(func.count()).select_from(query.subquery())) or 0
        for name, error, detail in session.execute(query.limit(limit)):
            shown.append(OtherFailure(what, str(name), error or "unknown", str(detail or "")))
    return shown, {what: count for what, count in counts.items() if count}
