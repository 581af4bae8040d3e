"""Running one job: claim, beat, call the stage function, settle what came of it. The same for every engine."""

from __future__ import annotations

import errno
import logging
import random
import threading
import traceback
from collections.abc import Callable, Sequence
from types import TracebackType

from db import ledger
from db.ledger import Lease, LeaseLost
from db.session import Database
from omnisrc.engine.owner import this_process
from omnisrc.engine.registry import STAGES
from omnisrc.engine.settings import EngineSettings
from omnisrc.engine.stage import Job, PutBack
from omnisrc.errors import ErrorClass, ItemError, UserError, WorldError, retry_rule
from omnisrc.study import Study

log = logging.getLogger("omnisrc.engine")

FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


class Heart:
    """Renews a lease from a thread while the job runs."""

    def __init__(self, database: Database, lease: Lease, lease_s: float) -> None:
        self.database, self.lease, self.lease_s = database, lease, lease_s
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._beat, name=f"heart-{lease.job_id}", daemon=True)

    def __enter__(self) -> Heart:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._stop.set()
        self._thread.join()

    def _beat(self) -> None:
        while not self._stop.wait(self.lease_s / 3):
            try:
                ledger.renew(self.database, self.lease, self.lease_s)
            except LeaseLost:
                return  # the commit will find out
            except Exception:
                log.exception("the lease of %s %s could not be renewed", self.lease.stage, self.lease.subject)


def work_once(study: Study, stages: Sequence[str], stopping: Callable[[], bool] = lambda: False) -> bool:
    """Claims one job of `stages` and runs it to its end; False when there was none."""
    settings = study.section(EngineSettings)
    database = study.database()
    lease = ledger.claim(database, stages, this_process(), settings.lease_s)
    if lease is None:
        return False
    log.info("%s %s: begun (token %s)", lease.stage, lease.subject, lease.token)
    try:
        with Heart(database, lease, settings.lease_s):
            own = Study.open(study.root, lease.overrides) if lease.overrides != study.overrides else study
            STAGES[lease.stage].load()(Job(own, lease, database, stopping))
        log.info("%s %s: done", lease.stage, lease.subject)
    except LeaseLost:
        log.warning("%s %s: the lease was lost, what it made was thrown away", lease.stage, lease.subject)
    except Exception as error:
        _settle(database, lease, error, settings.attempts)
    return True


def _settle(database: Database, lease: Lease, error: Exception, most: int) -> None:
    """Returns the job or gives it up, unless the lease was lost meanwhile."""
    try:
        if isinstance(error, PutBack):
            _put_back(database, lease, error.delay_s)
        else:
            _after_error(database, lease, error, most)
    except LeaseLost:
        log.warning("%s %s: the lease was lost before it could be returned", lease.stage, lease.subject)


def _put_back(
    database: Database, lease: Lease, delay_s: float, error: str | None = None, detail: str | None = None
) -> None:
    database.write(lambda session: ledger.put_back(session, lease, delay_s, error, detail))


def _after_error(database: Database, lease: Lease, error: Exception, most: int) -> None:
    name, detail, attempts, pause = _verdict(error, most)
    if name == "bug":
        log.error("%s %s failed:\n%s", lease.stage, lease.subject, "".join(traceback.format_exception(error)))
    else:
        log.warning("%s %s: %s: %s", lease.stage, lease.subject, name, detail)
    if lease.attempts + 1 >= attempts:
        database.write(lambda session: ledger.fail(session, lease, name, detail))
        return
    if not isinstance(error, ItemError) or error.retry_after is None:
        pause = pause * 2**lease.attempts * random.random()
    _put_back(database, lease, pause, name, detail)


def _verdict(error: Exception, most: int) -> tuple[str, str, int, float]:
    """(error class, detail, runs in all, pause in seconds before the next)."""
    if isinstance(error, ItemError):
        rule = retry_rule(error.error)
        return error.error.value, error.detail, rule.attempts, error.retry_after or rule.pause_s
    if isinstance(error, UserError):
        return "user", str(error), 1, 0.0
    if isinstance(error, WorldError):
        return "world", str(error), most, 2.0
    if isinstance(error, OSError) and error.errno in FULL:
        return ErrorClass.STORAGE.value, str(error), most, 2.0
    return "bug", f"{type(error).__name__}: {error}", most, 1.0
