"""What becomes of a job by the way its stage function ends."""

from __future__ import annotations

import errno
import subprocess
import sys
from collections.abc import Callable

import pytest
from sqlalchemy import select, update

from db import ledger
from db.ledger import LeaseLost
from db.models import Job as JobRow
from db.models import Tombstone
from omnisrc.engine import owner
from omnisrc.engine.registry import STAGES, Stage
from omnisrc.engine.stage import Job, PutBack
from omnisrc.engine.work import work_once
from omnisrc.errors import ErrorClass, ItemError, UserError
from omnisrc.study import Study


@pytest.fixture
def stage(monkeypatch: pytest.MonkeyPatch, study: Study) -> Callable[[Callable[[Job], None]], None]:
    """Puts a function in the place of the stage `segment` and adds one job for it."""

    def put(function: Callable[[Job], None]) -> None:
        module = type(sys)("a_stage")
        module.run = function  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, "a_stage", module)
        monkeypatch.setitem(STAGES, "segment", Stage("segment", "cpu", "a_stage:run"))
        study.database().write(lambda session: ledger.enqueue(session, "segment", "shard-1", overrides=study.overrides))

    return put


def row(study: Study) -> JobRow:
    return study.database().read(lambda session: session.scalars(select(JobRow)).one())


def again(study: Study) -> bool:
    study.database().write(lambda session: session.execute(update(JobRow).values(not_before=0.0)) and None)
    return work_once(study, ["segment"])


def test_a_commit_writes_and_ends_the_job_in_one_transaction(study: Study, stage: Callable[..., None]) -> None:
    def run(job: Job) -> None:
        job.commit(lambda s: s.add(Tombstone(kind="test", value=job.subject, created=0.0)), {"n": 1})

    stage(run)
    assert work_once(study, ["segment"])
    assert not work_once(study, ["segment"])
    assert (row(study).state, row(study).result, row(study).lease_token) == ("done", {"n": 1}, None)
    assert study.database().read(lambda s: s.scalars(select(Tombstone.value)).all()) == ["shard-1"]


def test_a_commit_that_fails_leaves_nothing_and_the_job_open(study: Study, stage: Callable[..., None]) -> None:
    def run(job: Job) -> None:
        def write(session: object) -> None:
            session.add(Tombstone(kind="test", value="half", created=0.0))  # type: ignore[attr-defined]
            raise RuntimeError("in the middle")

        job.commit(write)

    stage(run)
    work_once(study, ["segment"])
    assert (row(study).state, row(study).attempts) == ("waiting", 1)
    assert study.database().read(lambda s: s.scalars(select(Tombstone)).all()) == []


def test_put_back_is_no_blame(study: Study, stage: Callable[..., None]) -> None:
    def run(job: Job) -> None:
        raise PutBack(0.0)

    stage(run)
    for _ in range(10):
        assert work_once(study, ["segment"])
    assert (row(study).state, row(study).attempts) == ("waiting", 0)


@pytest.mark.parametrize(
    ("error", "runs", "named"),
    [
        (ItemError(ErrorClass.CONNECT, "refused"), 3, "connect"),
        (ItemError(ErrorClass.ROBOTS), 1, "robots"),
        (UserError("The teacher does not fit."), 1, "user"),
        (OSError(errno.ENOSPC, "No space left on device"), 3, "storage"),
        (ZeroDivisionError("division by zero"), 3, "bug"),
    ],
)
def test_an_error_is_tried_again_by_its_rule_and_then_given_up(
    study: Study, stage: Callable[..., None], error: Exception, runs: int, named: str
) -> None:
    calls: list[int] = []

    def run(job: Job) -> None:
        calls.append(1)
        raise error

    stage(run)
    while again(study):
        assert len(calls) < 20
    assert len(calls) == runs
    assert (row(study).state, row(study).error) == ("failed", named)
    assert str(error).split(": ")[-1] in (row(study).error_detail or "") or named == "robots"


def test_a_retry_after_is_waited_for(study: Study, stage: Callable[..., None]) -> None:
    def run(job: Job) -> None:
        raise ItemError(ErrorClass.HTTP_429, "slow down", retry_after=3600.0)

    stage(run)
    assert work_once(study, ["segment"])
    assert not work_once(study, ["segment"])
    moment = study.database().read(ledger.now)
    assert 3500 < row(study).not_before - moment < 3700


def test_a_worker_that_lost_its_lease_writes_nothing(study: Study, stage: Callable[..., None]) -> None:
    lost: list[bool] = []

    def run(job: Job) -> None:
        ledger.reap(job.database, lambda owner: True)
        with pytest.raises(LeaseLost):
            job.commit(lambda s: s.add(Tombstone(kind="test", value="late", created=0.0)))
        lost.append(True)
        raise LeaseLost

    stage(run)
    work_once(study, ["segment"])
    assert lost and row(study).state == "waiting"
    assert study.database().read(lambda s: s.scalars(select(Tombstone)).all()) == []


def test_the_overrides_of_the_command_reach_the_stage(study: Study, stage: Callable[..., None]) -> None:
    seen: list[float] = []

    def run(job: Job) -> None:
        seen.append(job.study.named("engine").lease_s)
        job.commit(lambda s: None)

    stage(run)
    study.database().write(lambda s: s.execute(update(JobRow).values(overrides=["engine.lease_s=7"])) and None)
    work_once(study, ["segment"])
    assert seen == [7.0]


def test_a_living_process_is_not_dead_and_a_killed_one_is() -> None:
    code = "from omnisrc.engine.owner import this_process; print(this_process(), flush=True); input()"
    child = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    name = child.stdout.readline().strip()
    assert not owner.is_dead(name)
    child.kill()
    child.wait()
    assert owner.is_dead(name)
    assert not owner.is_dead(owner.this_process())


def test_a_process_number_used_again_is_another_process() -> None:
    machine, _, _ = owner.this_process().rpartition("|")
    assert owner.is_dead(f"{machine}|1")


@pytest.mark.parametrize("name", ["", "elsewhere|boot|1|2", "celery@host", "elsewhere|x|1|0"])
def test_a_process_that_cannot_be_seen_is_not_called_dead(name: str) -> None:
    assert not owner.is_dead(name)
