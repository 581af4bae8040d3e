"""Crawls that go on without the command that started them: SQL knows what each of them needs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from db import ledger
from db.models import CrawlOrder
from omnisrc.crawl.budgets import BudgetReached
from omnisrc.crawl.jobs import STAGES
from omnisrc.crawl.queries import Scope
from omnisrc.crawl.top_up import TopUp
from omnisrc.errors import Interrupted, UserError, WorldError
from omnisrc.study import Study


def record(session: Session, scope: Scope, top_up: TopUp, overrides: tuple[str, ...]) -> int:
    """Writes down a crawl that has just been started; its id. An earlier one of the same scope is replaced."""
    asked = scope.as_plain()
    for earlier in session.scalars(
        select(CrawlOrder).where(CrawlOrder.state == "running", CrawlOrder.class_list_id == scope.class_list_id)
    ):
        if earlier.scope == asked:
            earlier.state, earlier.detail = "stopped", "started anew"
    order = CrawlOrder(
        class_list_id=scope.class_list_id, scope=asked, overrides=list(overrides), state="running", detail="",
        started=ledger.now(session), first_page=top_up.first_page, first_job=top_up.first_job,
    )  # fmt: skip
    session.add(order)
    session.flush()
    return order.id


def end(session: Session, order_id: int, state: str, detail: str = "") -> None:
    """Marks an order `done`, `stopped` or `failed`, unless somebody else has ended it."""
    session.execute(
        update(CrawlOrder)
        .where(CrawlOrder.id == order_id, CrawlOrder.state == "running")
        .values(state=state, detail=detail)
    )


def how_it_ended(error: Exception) -> str:
    """The state of an order that ended with `error`: a budget that is used up is no failure."""
    return "stopped" if isinstance(error, BudgetReached) else "failed"


@contextmanager
def ordered(study: Study, scope: Scope, top_up: TopUp) -> Iterator[int]:
    """The order of a crawl that this command looks after, ended as the block ends.

    Where the process is killed instead, the order stands, and a dispatcher goes on with it.
    """
    database = study.database()
    order_id = database.write(lambda session: record(session, scope, top_up, study.overrides))
    try:
        yield order_id
    except (Interrupted, KeyboardInterrupt):
        database.write(lambda session: end(session, order_id, "stopped", "by the user"))
        raise
    except (UserError, WorldError, BudgetReached) as error:
        state, reason = how_it_ended(error), str(error)
        database.write(lambda session: end(session, order_id, state, reason))
        raise
    database.write(lambda session: end(session, order_id, "done"))


class Keeper:
    """Tops up every crawl that was ordered and has not ended. All it needs is read from SQL each time.

    Args:
        say: told how a crawl ended.
    """

    def __init__(self, study: Study, say: Callable[[str], None]) -> None:
        self._study, self._say = study, say
        self._top_ups: dict[int, TopUp] = {}

    def __call__(self) -> int:
        """Adds jobs where they are needed; how many crawls go on."""
        orders = self._study.database().read(_running)
        self._top_ups = {order.id: self._top_ups.get(order.id) or self._read(order) for order in orders}
        return sum(self._tend(order_id, top_up) for order_id, top_up in self._top_ups.items())

    def _read(self, order: CrawlOrder) -> TopUp:
        scope = Scope.read(order.class_list_id, order.scope)
        top_up = TopUp(scope, Study.open(self._study.root, tuple(order.overrides)))
        top_up.go_on(order.first_page, order.first_job)
        return top_up

    def _tend(self, order_id: int, top_up: TopUp) -> bool:
        database = self._study.database()
        try:
            more = database.write(top_up)
        except (UserError, WorldError, BudgetReached) as error:
            state, reason = how_it_ended(error), str(error)
            database.write(lambda session: end(session, order_id, state, reason))
            self._say(f"Crawl {order_id} {state}: {reason}")
            return False
        if more or database.read(lambda session: ledger.open_jobs(session, STAGES)):
            return True
        database.write(lambda session: end(session, order_id, "done"))
        self._say(f"Crawl {order_id} is done.")
        return False


def _running(session: Session) -> list[CrawlOrder]:
    return list(session.scalars(select(CrawlOrder).where(CrawlOrder.state == "running").order_by(CrawlOrder.id)))


def orders(session: Session) -> list[dict[str, object]]:
    """The crawls that go on, and the last that ended, as plain values."""
    newest = session.scalars(select(CrawlOrder).order_by(CrawlOrder.id.desc()).limit(10)).all()
    shown = [order for place, order in enumerate(newest) if order.state == "running" or place == 0]
    return [{"id": order.id, "state": order.state, "detail": order.detail} for order in reversed(shown)]
