"""Pausing, resuming and pacing a crawl that runs. What is set lies in SQL; all workers heed it within seconds."""

from __future__ import annotations

import re

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from db import controls
from db.controls import ALL, PROVIDER, Controls, read_controls
from db.models import Asset, Host, Job
from omnisrc.config import near
from omnisrc.crawl.jobs import DISCOVER
from omnisrc.crawl.providers.registry import PROVIDERS
from omnisrc.errors import UserError
from omnisrc.web.registrable import unit_of_name

HOST = re.compile(r"[a-z0-9_.-]+(:\d{1,5})?|\[[0-9a-f:.]+\](:\d{1,5})?|file:")


def parse_scope(text: str, *, providers: bool = True) -> str:
    """`all`, `provider:NAME`, or the host that a name belongs to, checked: all hosts of one registrable domain share
    one pace, so `img1.example.org` is `example.org`. Raises UserError."""
    scope = text.strip().lower()
    if scope.startswith(PROVIDER) and not providers:
        raise UserError(f"A rate is set for a host or for all, not for {text!r}; `omnisrc status` names the hosts.")
    name = scope.removeprefix(PROVIDER)
    if scope.startswith(PROVIDER) and name not in PROVIDERS:
        raise UserError(f"There is no provider {name!r}.{near(name, list(PROVIDERS))}")
    if not scope.startswith(PROVIDER) and not HOST.fullmatch(scope):
        raise UserError(f"{text!r} is no host; give `all`, `provider:NAME`, or a host such as example.org.")
    return scope if scope == ALL or scope.startswith(PROVIDER) else _unit(text, scope)


def _unit(text: str, scope: str) -> str:
    try:
        return unit_of_name(scope)
    except ValueError as error:  # a number that is no address
        raise UserError(f"{text!r} is no host; give a host such as example.org.") from error


def pause(session: Session, scope: str) -> Controls:
    """Nothing new is begun there until `resume`; what is under way is finished. All that is set now."""
    controls.set_paused(session, scope, True)
    return read_controls(session)


def resume(session: Session, scope: str) -> Controls:
    """Lifts the pause of a scope; of every scope for `all`. All that is set now."""
    if scope == ALL:
        controls.resume_all(session)
    else:
        controls.set_paused(session, scope, False)
    # Searches that a pause put back wait for nothing else; a service's own pause is checked again before it is asked.
    session.execute(
        update(Job).where(Job.stage == DISCOVER, Job.state == "waiting", Job.attempts == 0).values(not_before=0.0)
    )
    return read_controls(session)


def set_rate(session: Session, scope: str, rate: float | None, concurrency: int | None) -> Controls:
    """Sets requests a second (0: no pacing) and requests at a time; None leaves what is set. Raises UserError."""
    if rate is not None and not 0 <= rate < float("inf"):
        raise UserError(f"--rate {rate} makes no sense; give requests a second, or 0 for no pacing.")
    if concurrency is not None and concurrency < 1:
        raise UserError(f"--concurrency {concurrency} would stop it; to stop it, use `omnisrc crawl pause {scope}`.")
    before = read_controls(session).by_scope.get(scope, controls.Setting())
    controls.set_pace(
        session,
        scope,
        before.rate if rate is None else rate,
        before.concurrency if concurrency is None else concurrency,
    )
    return read_controls(session)


def set_bandwidth(session: Session, bytes_per_s: int) -> Controls:
    """Sets bytes of media a second, over all workers (0: without a limit)."""
    controls.set_pace(session, controls.BANDWIDTH, float(bytes_per_s), None)
    return read_controls(session)


def clear_rate(session: Session, scope: str) -> Controls:
    """Forgets rate and concurrency of a scope; of every scope, and the bandwidth, for `all`."""
    scopes = list(read_controls(session).by_scope) if scope == ALL else [scope]
    controls.forget_paces(session, scopes)
    return read_controls(session)


def is_known(session: Session, scope: str) -> bool:
    """Whether the study has met the host; everything else is known."""
    if scope == ALL or scope.startswith(PROVIDER):
        return True
    port = f"{scope}:"
    found = select(Asset.id).where((Asset.host == scope) | Asset.host.startswith(port, autoescape=True)).limit(1)
    known = select(Host.name).where((Host.name == scope) | Host.name.startswith(port, autoescape=True)).limit(1)
    return session.scalar(found) is not None or session.scalar(known) is not None
