"""The dispatcher of a cluster: rings for open jobs, adds jobs that are needed, takes back what dead workers held.

All that it knows is in SQL, so it may be killed and started again, and several at once only do the same thing twice.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from sqlalchemy.exc import DBAPIError

from db import ledger
from omnisrc.engine.doorbell import Doorbell
from omnisrc.engine.interrupting import interruptible
from omnisrc.engine.owner import is_dead
from omnisrc.engine.patience import Patience
from omnisrc.engine.registry import STAGES
from omnisrc.errors import WorldError
from omnisrc.study import Study

TICK_S = 0.5
REAP_S = 5.0


class Dispatcher:
    """One dispatcher of one study.

    Args:
        keep_going: adds the jobs that are needed; called about once a second.
        say: told when a server is away, and when it is back.
    """

    def __init__(self, study: Study, keep_going: Callable[[], object], say: Callable[[str], None]) -> None:
        self._study, self._keep_going = study, keep_going
        self._bell = Doorbell(study)
        self._database = Patience(say, DBAPIError)
        self._broker = Patience(say, WorldError)
        self._reaped = self._topped = float("-inf")

    def round(self) -> bool:
        """One look at everything; whether both servers answered."""
        done = self._database.attempt("The database", self._see_to_jobs)
        return done and self._broker.attempt("The broker", self._ring)

    def run(self) -> None:
        """Goes on until Ctrl-C or SIGTERM."""
        with interruptible("Stopping; workers go on with what they hold.") as asked:
            while not asked():
                self.round()
                time.sleep(TICK_S)

    def _see_to_jobs(self) -> None:
        moment = time.monotonic()
        if moment - self._reaped > REAP_S:
            ledger.reap(self._study.database(), is_dead)
            self._reaped = moment
        if moment - self._topped > 2 * TICK_S:
            self._keep_going()
            self._topped = moment

    def _ring(self) -> None:
        self._bell.ring(list(STAGES), self._study.database())
