"""What people have set for a crawl that runs: pauses, rates and concurrency. Workers read it every few seconds."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from sqlalchemy import ColumnElement, delete, false, select
from sqlalchemy.orm import InstrumentedAttribute, Session

from db.insert import insert_missing
from db.models import Asset, Control
from db.session import epoch

ALL = "all"
PROVIDER = "provider:"
BANDWIDTH = "all bandwidth"
"""The scope whose rate is bytes of media a second, over all workers; no host has such a name."""


@dataclass(frozen=True)
class Setting:
    """What is set for one scope; None: nothing."""

    paused: bool = False
    rate: float | None = None
    concurrency: int | None = None
    changed: float = 0.0


@dataclass(frozen=True)
class Controls:
    """All that is set, by scope: `all`, BANDWIDTH, `provider:NAME`, or a host as the host table names it; `HOST` stands
    for every `HOST:PORT`."""

    by_scope: Mapping[str, Setting] = field(default_factory=dict)

    @property
    def paused(self) -> list[str]:
        """The scopes that are paused, `all` first."""
        return sorted((name for name, given in self.by_scope.items() if given.paused), key=lambda n: (n != ALL, n))

    @property
    def providers(self) -> frozenset[str]:
        """The providers that are paused by name."""
        return frozenset(name.removeprefix(PROVIDER) for name in self.paused if name.startswith(PROVIDER))

    def pause_of(self, site: str | None = None, provider: str | None = None) -> str | None:
        """The scope whose pause holds for this host and this provider, or None."""
        scopes = [ALL, *_scopes(site)] + ([PROVIDER + provider] if provider else [])
        return next((scope for scope in scopes if scope in self.by_scope and self.by_scope[scope].paused), None)

    def host(self, site: str) -> Setting:
        """Rate and concurrency that are set for this very host; its port goes before its name."""
        found = [self.by_scope[scope] for scope in _scopes(site) if scope in self.by_scope]
        return Setting(
            rate=next((given.rate for given in found if given.rate is not None), None),
            concurrency=next((given.concurrency for given in found if given.concurrency is not None), None),
        )

    @property
    def bandwidth(self) -> float | None:
        """Bytes of media a second, over all workers; 0: without a limit; None: nothing is set."""
        return self.by_scope.get(BANDWIDTH, Setting()).rate

    @property
    def all(self) -> Setting:
        return self.by_scope.get(ALL, Setting())

    def unpaused(self) -> list[ColumnElement[bool]]:
        """Conditions on assets that no pause holds back."""
        return [*self.unpaused_hosts(Asset.host), *self.unpaused_providers()]

    def unpaused_hosts(self, host: ColumnElement[str] | InstrumentedAttribute[str]) -> list[ColumnElement[bool]]:
        """Conditions on a column of host names that no pause holds back."""
        if self.all.paused:
            return [false()]
        found: list[ColumnElement[bool]] = []
        for scope in self.paused:
            if not scope.startswith(PROVIDER):
                found.append(host != scope)
                found.append(~host.startswith(f"{scope}:", autoescape=True))
        return found

    def unpaused_providers(self) -> list[ColumnElement[bool]]:
        """Conditions on assets whose provider no pause holds back."""
        return [Asset.provider.not_in(self.providers)] if self.providers else []


def _scopes(site: str | None) -> list[str]:
    if not site:
        return []
    name, colon, _ = site.rpartition(":")
    return [site, name] if colon and name else [site]


def read_controls(session: Session) -> Controls:
    rows = session.execute(
        select(Control.scope, Control.paused, Control.rate, Control.concurrency, Control.changed)
    ).all()
    return Controls({row.scope: Setting(row.paused, row.rate, row.concurrency, row.changed) for row in rows})


def set_paused(session: Session, scope: str, paused: bool) -> None:
    row = _row(session, scope)
    row.paused = paused
    _settle(session, row)


def set_pace(session: Session, scope: str, rate: float | None, concurrency: int | None) -> None:
    row = _row(session, scope)
    row.rate, row.concurrency = rate, concurrency
    _settle(session, row)


def resume_all(session: Session) -> list[str]:
    """Lifts every pause; the scopes that were paused."""
    paused = read_controls(session).paused
    for scope in paused:
        set_paused(session, scope, False)
    return paused


def forget_paces(session: Session, scopes: Collection[str]) -> None:
    for scope in scopes:
        set_pace(session, scope, None, None)


def _row(session: Session, scope: str) -> Control:
    insert_missing(session, Control, [{"scope": scope, "paused": False, "changed": 0.0}])
    return session.get_one(Control, scope, with_for_update=True)


def _settle(session: Session, row: Control) -> None:
    row.changed = session.scalar(select(epoch())) or 0.0
    session.flush()
    if not row.paused and row.rate is None and row.concurrency is None:
        session.execute(delete(Control).where(Control.scope == row.scope))
        session.expunge(row)
