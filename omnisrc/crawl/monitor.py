"""A crawl in numbers, from what SQL knows: queues, leases, rates, failures, hosts, and the time to finish."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from db import catalogue, frontier, host_work
from db.controls import Controls, read_controls
from db.ledger import now
from db.models import Host, HostSlot, Job
from omnisrc.crawl import breaker, budgets
from omnisrc.crawl.finds import LOCAL_SITE
from omnisrc.crawl.jobs import DISCOVER, FETCH
from omnisrc.crawl.pace import SEARCH, Limits
from omnisrc.crawl.settings import CrawlSettings

WINDOW_S = 60.0


@dataclass(frozen=True)
class HostState:
    """One host. `until` is in seconds from now (None: until a person resumes it), `why` says who wants that."""

    host: str
    waiting: int  # assets, those in hand too
    in_hand: int  # of these, held by jobs
    slots: int  # requests that jobs may send at the moment
    rate: float  # a second; 0: no pacing
    concurrency: int
    until: float | None
    why: str
    streak_429: int
    breaker: str  # closed | open | probing


def crawl_state(
    session: Session, settings: CrawlSettings, landing: Path, counts: catalogue.AssetCounts | None = None
) -> dict[str, Any]:
    """All of it, as one object of plain values; `counts` are the catalogue's, where somebody has them."""
    controls, moment = read_controls(session), now(session)
    hosts = host_states(session, settings, controls, moment)
    rates, jobs = recent_rates(session, moment), queues(session, moment)
    searches = sum(jobs.get(DISCOVER, {}).get(state, 0) for state in ("waiting", "later", "leased"))
    return {
        "queues": jobs,
        "leases": leases(session, moment),
        "rates": rates,
        "failures": failures(catalogue.asset_counts(session) if counts is None else counts),
        "budgets": _budgets(session, landing),
        "paused": controls.paused,
        "set": {name: asdict(given) for name, given in sorted(controls.by_scope.items())},
        "hosts": [dict(vars(host)) for host in hosts],
        "finish_s": finish_s(hosts, rates["items_per_s"], controls, searches),
    }


def _budgets(session: Session, landing: Path) -> dict[str, dict[str, Any]]:
    """What crawls have used, beside the limits of the newest crawl command."""
    return {
        budget.name: {"used": budget.spent, "limit": budget.limit, "sentence": budget.sentence()}
        for budget in budgets.used(session, None, landing)
        if budget.limit is not None or (budget.spent and budget.name != "free")
    }


def queues(session: Session, moment: float) -> dict[str, dict[str, int]]:
    """Jobs by stage and state; `later` are waiting jobs that may not begin yet."""
    counts: dict[str, Counter[str]] = {}
    later = (Job.state == "waiting") & (Job.not_before > moment)
    rows = session.execute(select(Job.stage, Job.state, later, func.count()).group_by(Job.stage, Job.state, later))
    for stage, state, is_later, count in rows:
        counts.setdefault(stage, Counter())["later" if is_later else state] += count
    return {stage: dict(found) for stage, found in sorted(counts.items())}


def leases(session: Session, moment: float) -> list[dict[str, Any]]:
    """The jobs in hand: who holds each, and for how many seconds more unless it is renewed."""
    rows = session.scalars(select(Job).where(Job.state == "leased").order_by(Job.id))
    return [
        {
            "stage": job.stage,
            "subject": job.subject,
            "owner": _owner(job.lease_owner or ""),
            "ends_s": round((job.lease_until or moment) - moment, 1),
            "done": int(job.result.get("assets", 0)),
        }
        for job in rows
    ]


def _owner(name: str) -> str:
    """`host, process 12` of an owner's name (host, boot, process, start)."""
    parts = name.split("|")
    return f"{parts[0]}, process {parts[2]}" if len(parts) == 4 else name


def recent_rates(session: Session, moment: float) -> dict[str, float]:
    """Items done with and bytes stored a second, over the fetch jobs of the last minute and those that run."""
    ended = select(Job.result).where(Job.stage == FETCH, Job.state == "done", Job.finished > moment - WINDOW_S)
    running = select(Job.result).where(Job.stage == FETCH, Job.state == "leased")
    items = stored = 0.0
    for result in [*session.scalars(ended), *session.scalars(running)]:
        part = min(1.0, WINDOW_S / max(float(result.get("seconds", 0.0)), 1e-9))
        items += part * float(result.get("assets", 0))
        stored += part * float(result.get("bytes", 0))
    return {"items_per_s": round(items / WINDOW_S, 3), "bytes_per_s": round(stored / WINDOW_S, 1)}


def failures(assets: catalogue.AssetCounts) -> dict[str, int]:
    """Assets that failed or were refused, by error class; `... (again)` are those that are tried again."""
    counts: Counter[str] = Counter()
    for (_, _, state, error), count in assets.items():
        if error and state in ("failed", "refused", "waiting"):
            counts[error if state != "waiting" else f"{error} (again)"] += count
    return dict(counts.most_common())


def host_states(session: Session, settings: CrawlSettings, controls: Controls, moment: float) -> list[HostState]:
    """Hosts with assets to fetch, with slots in hand, or left alone; those with the most work first."""
    in_hand = frontier.held_by_host(session)
    waiting = host_work.waiting_by_host(session) + in_hand
    slots: Counter[str] = Counter()
    busy = select(HostSlot.host, func.count()).where(HostSlot.token.is_not(None)).group_by(HostSlot.host)
    for host, count in session.execute(busy):
        slots[host.removeprefix(SEARCH)] += count
    known = {
        row.name: row
        for row in session.execute(
            select(Host.name, Host.not_before, Host.streak_429, Host.openings, Host.breaker_error)
        )
    }
    resting = {name for name, row in known.items() if row.not_before > moment or row.openings}
    found = []
    for name in sorted(waiting.keys() | slots.keys() | resting, key=lambda name: (-waiting[name], name)):
        limits = Limits(16, 0.0) if name == LOCAL_SITE else Limits.of(settings, name, controls)
        row = known.get(name)
        until, why = _rest(row, controls.pause_of(name), moment)
        found.append(
            HostState(
                host=name,
                waiting=waiting[name],
                in_hand=in_hand[name],
                slots=slots[name],
                rate=limits.rate,
                concurrency=limits.concurrency,
                until=until,
                why=why,
                streak_429=row.streak_429 if row else 0,
                breaker=breaker.state(row.openings, row.not_before, moment) if row else "closed",
            )
        )
    return found


def _rest(row: Any, paused: str | None, moment: float) -> tuple[float | None, str]:
    """Until when, in seconds from now, a host is left alone, and why."""
    if paused is not None:
        return None, f"paused: {paused}"
    if row is None or row.not_before <= moment:
        return 0.0, f"probing after {row.breaker_error}" if row is not None and row.openings else ""
    why = f"breaker: {row.breaker_error}" if row.openings else "429" if row.streak_429 else "asked for a pause, or pace"
    return round(row.not_before - moment, 1), why


def finish_s(hosts: list[HostState], items_per_s: float, controls: Controls, searches: int) -> float | None:
    """Seconds until all assets that are known are done with, or None where nobody can tell: nothing is known yet
    while no asset waits but `searches` are open.

    At the rate of the last minute, but no sooner than the slowest host's pace and pause allow; what a person paused
    does not count.
    """
    active = [host for host in hosts if host.waiting and host.until is not None]
    if not active:
        return None if controls.paused or searches else 0.0
    bounds = [(host.until or 0.0) + (host.waiting / host.rate if host.rate else 0.0) for host in active]
    if not items_per_s:
        return round(max(bounds), 1) if all(host.rate for host in active) else None
    return round(max(sum(host.waiting for host in active) / items_per_s, *bounds), 1)
