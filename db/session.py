"""Connections: one wrapper over SQLite and PostgreSQL that retries what is worth retrying, a restart of the server too.

SQLite runs in WAL mode; writers begin with BEGIN IMMEDIATE, so that two of them never deadlock on an upgrade of a read
lock. A transaction is given as a function and may be run again, so it must have no effect but on the database. It is
run again too where the connection broke during the commit, and nobody knows whether that went through: a function must
find out for itself whether its work is done (a job's commit does so by its token).
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine, FunctionElement, create_engine, event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, OperationalError
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.orm import Session
from sqlalchemy.types import Float

T = TypeVar("T")

BUSY_TIMEOUT_S = 60.0
RETRY_FOR_S = 120.0
CACHE_KB = 32768
CHECKPOINT_PAGES = 8192  # of 4 KB
RETRIED_STATES = {"40001", "40P01", "55P03", "57P01", "57P02", "57P03", "08000", "08003", "08006", "08001", "08004"}
AWAY = (  # what libpq says, without a code, where no connection could be made or kept
    "connection refused",
    "connection reset",
    "the connection is lost",
    "connection is bad",
    "connection timeout expired",
    "server closed the connection",
    "terminating connection",
    "no such file or directory",  # the socket's
    "the database system is starting up",
    "the database system is shutting down",
    "the database system is in recovery mode",
    "the database system is not yet accepting connections",
    "remaining connection slots are reserved",
    "too many clients already",
)


class DatabaseError(Exception):
    """The setting that names the database names none that can be used, as one sentence."""


class epoch(FunctionElement[float]):  # named as a SQL function
    """Now, by the database's clock: seconds since 1970."""

    inherit_cache = True
    type = Float(53)


@compiles(epoch, "sqlite")
def _sqlite_epoch(element: Any, compiler: Any, **options: Any) -> str:
    return "((julianday('now') - 2440587.5) * 86400.0)"


@compiles(epoch, "postgresql")
def _postgresql_epoch(element: Any, compiler: Any, **options: Any) -> str:
    return "extract(epoch from clock_timestamp())::float8"


def connect_url(url: str) -> Engine:
    """An engine for `url` with the settings that the rest of the code relies on.

    Raises:
        DatabaseError: not a URL, a database that is not supported, or a driver that is not installed.
    """
    try:
        parsed = make_url(url)
        if parsed.drivername in ("postgresql", "postgres"):
            parsed = parsed.set(drivername="postgresql+psycopg")
        backend = parsed.get_backend_name()
        if backend not in ("sqlite", "postgresql"):
            raise DatabaseError(f"The database {backend} is not supported; use sqlite or postgresql.")
        if backend == "sqlite":
            engine = create_engine(parsed, connect_args={"timeout": BUSY_TIMEOUT_S})
            event.listen(engine, "connect", _prepare_sqlite)
            event.listen(engine, "begin", _begin_sqlite)
            return engine
        how = {"connect_timeout": 10, "client_encoding": "UTF8"}  # of a SQL_ASCII database text would come as bytes
        return create_engine(parsed, pool_pre_ping=True, connect_args=how)
    except ArgumentError as error:
        raise DatabaseError(
            "What names the database is not a database URL; write sqlite:///FILE or postgresql://USER@HOST/NAME."
        ) from error
    except ModuleNotFoundError as error:
        raise DatabaseError(f"The driver {error.name} is missing; pip install 'omnisrc[cluster]'.") from error


def _prepare_sqlite(connection: Any, record: Any) -> None:
    connection.isolation_level = None  # BEGIN is ours, not the driver's
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout = {int(BUSY_TIMEOUT_S * 1000)}")
    cursor.execute("PRAGMA journal_mode = WAL")
    cursor.execute("PRAGMA synchronous = NORMAL")
    cursor.execute("PRAGMA foreign_keys = ON")
    # A page of finds touches some thousand pages of the file, in no order: without room for them in memory and between
    # two checkpoints, a million assets make SQLite write fifty times their size.
    cursor.execute(f"PRAGMA cache_size = -{CACHE_KB}")
    cursor.execute(f"PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES}")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    writing = connection.get_execution_options().get("writing", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writing else "BEGIN")


class Database:
    """Transactions on one database.

    Args:
        url: SQLAlchemy URL, `sqlite:///path` or `postgresql://...`.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self.engine = connect_url(url)
        self._writing = self.engine.execution_options(writing=True)

    @property
    def is_sqlite(self) -> bool:
        return self.engine.dialect.name == "sqlite"

    def read(self, query: Callable[[Session], T]) -> T:
        """The answer of `query` in one read transaction."""
        return self._retried(self.engine, query)

    def write(self, change: Callable[[Session], T]) -> T:
        """Runs `change` in one transaction and commits; runs it again after a lock or a lost connection."""
        return self._retried(self._writing, change)

    def _retried(self, engine: Engine, work: Callable[[Session], T]) -> T:
        started, pause = time.monotonic(), 0.05
        while True:
            try:
                with Session(engine, expire_on_commit=False) as session, session.begin():
                    return work(session)
            except DBAPIError as error:
                if not _passing(error) or time.monotonic() - started > RETRY_FOR_S:
                    raise
                time.sleep(pause * random.random())
                pause = min(2 * pause, 2.0)

    def dispose(self) -> None:
        """Closes the pooled connections (before a fork, at the end)."""
        self.engine.dispose()


def _passing(error: DBAPIError) -> bool:
    """Whether the same transaction may go through when it is run again."""
    if error.connection_invalidated:
        return True
    state = getattr(error.orig, "sqlstate", None)
    if state in RETRIED_STATES:
        return True
    text = str(error.orig).lower()
    if any(words in text for words in AWAY):
        return isinstance(error, OperationalError)
    locked = "database is locked" in text or "database table is locked" in text or "database schema is locked" in text
    return isinstance(error, OperationalError) and locked
