"""Doorbells, Celery workers and what is told of a broker, each by itself."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from db import ledger, schema, session
from omnisrc import resources
from omnisrc.engine import celery_workers, doorbell, run
from omnisrc.engine.broker import LENGTH, celery_settings, kind_of, shown
from omnisrc.engine.broker_state import LIMIT_S, broker_state
from omnisrc.engine.celery_workers import Post, posts
from omnisrc.engine.dispatch import Dispatcher
from omnisrc.engine.doorbell import Doorbell
from omnisrc.engine.patience import Patience
from omnisrc.engine.settings import EngineSettings
from omnisrc.errors import UserError, WorldError
from omnisrc.study import Study
from tests import services


@pytest.fixture(scope="module")
def redis() -> Iterator[str]:
    with services.redis() as (_, url):
        yield url


@pytest.fixture
def clustered(study: Study, redis: str) -> Study:
    found = Study.open(study.root, (f"engine.broker={redis}",))
    for number in range(3 * LENGTH):
        found.database().write(lambda session, at=number: ledger.enqueue(session, "segment", f"shard-{at}"))
    return found


def test_doorbells_never_pile_up_where_nobody_answers(clustered: Study, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doorbell, "RING_S", 0.0)
    bells = [Doorbell(clustered), Doorbell(clustered)]
    for _ in range(3):
        for bell in bells:
            bell.ring(["segment", "predict"], clustered.database())
    assert bells[0].waiting() == {"io": 0, "cpu": LENGTH, "gpu": 0}


def test_it_is_said_once_that_nobody_works_and_not_where_somebody_does(
    clustered: Study, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(run, "NOBODY_S", 0.0)
    with run._Celery(clustered, ["segment"]) as crew:
        crew.work(5)
        crew.work(5)
    assert capsys.readouterr().err.count("No worker has taken a job") == 1
    assert ledger.claim(clustered.database(), ["segment"], "me", 60.0)
    with run._Celery(clustered, ["segment"]) as crew:
        crew.work(5)
    assert capsys.readouterr().err == ""


def test_jobs_that_may_not_run_yet_are_not_rung_for(clustered: Study) -> None:
    bell = Doorbell(clustered)
    bell.app.connection_for_write().default_channel.queue_purge("cpu")
    taken = [ledger.claim(clustered.database(), ["segment"], "me", 60.0) for _ in range(3 * LENGTH)]
    for lease in filter(None, taken):
        clustered.database().write(lambda session, held=lease: ledger.put_back(session, held, 600.0))
    bell.ring(["segment"], clustered.database())
    assert bell.waiting()["cpu"] == 0


def test_the_state_of_a_broker_is_told_in_time_whatever_it_does(clustered: Study) -> None:
    state = broker_state(clustered)
    assert state["reachable"] and state["workers"] == {} and set(state["doorbells"]) == {"io", "cpu", "gpu"}
    away = Study.open(clustered.root, (f"engine.broker=redis://:secret@127.0.0.1:{services.free_port()}/0",))
    state = broker_state(away)
    assert not state["reachable"] and "secret" not in str(state)
    with services.silent_server() as port:
        began = time.monotonic()
        state = broker_state(Study.open(clustered.root, (f"engine.broker=amqp://guest:guest@127.0.0.1:{port}//",)))
        assert not state["reachable"] and time.monotonic() - began < LIMIT_S + 5


def test_a_broker_of_another_kind_is_one_sentence() -> None:
    assert kind_of("amqp://a:b@c//") == "rabbitmq" and kind_of("redis://c/0") == "redis"
    with pytest.raises(UserError, match=r"sqs.* is not supported"):
        celery_settings("sqs://key:secret@")
    assert "secret" not in shown("amqp://user:secret@host:5672//")


def test_rabbitmq_confirms_and_bounds_and_redis_has_time_limits() -> None:
    settings = celery_settings("amqp://guest@localhost//")
    assert settings["broker_transport_options"] == {"confirm_publish": True}
    bound = {"x-queue-type": "quorum", "x-max-length": LENGTH, "x-overflow": "drop-head"}
    assert [queue.queue_arguments for queue in settings["task_queues"]] == [bound] * 3
    options = celery_settings("redis://localhost")["broker_transport_options"]
    assert {"visibility_timeout", "socket_timeout", "socket_connect_timeout", "health_check_interval"} <= set(options)


def test_each_gpu_gets_a_process_of_its_own() -> None:
    found = posts(["io", "cpu", "gpu"], EngineSettings(io_workers=3), ["0", "2"], cores=16)
    assert [(post.queue, post.pool, post.processes, post.env) for post in found] == [
        ("io", "prefork", 3, {}),
        ("cpu", "prefork", 4, {}),
        ("gpu", "solo", 1, {"CUDA_VISIBLE_DEVICES": "0"}),
        ("gpu", "solo", 1, {"CUDA_VISIBLE_DEVICES": "2"}),
    ]
    assert posts(["gpu"], EngineSettings(), [], cores=2) == [Post("gpu", "gpu", "solo", 1)]


@pytest.mark.parametrize(("named", "found"), [("", []), ("-1", []), ("1,3", ["1", "3"])])
def test_the_gpus_that_were_named_are_used(named: str, found: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", named)
    assert celery_workers.cuda_devices() == found


HANG = """
import ctypes
from workers.deadline import Deadline
with Deadline(60):
    pass
print("one job", flush=True)
with Deadline(0.5):
    ctypes.PyDLL(None).sleep(120)  # holds the interpreter, as a library that hangs does
"""


def test_a_job_that_hangs_in_a_library_ends_its_process() -> None:
    done = subprocess.run([sys.executable, "-c", HANG], capture_output=True, text=True, timeout=60)
    assert done.returncode == 1 and done.stdout == "one job\n"
    assert "Timeout" in done.stderr and "line 8" in done.stderr


def test_a_server_that_is_away_is_told_once_and_its_return_once() -> None:
    said: list[str] = []
    patience = Patience(said.append, WorldError)

    def away() -> None:
        raise WorldError("The broker is away.")

    assert patience.attempt("The broker", lambda: None) and said == []
    assert not patience.attempt("The broker", away) and not patience.attempt("The broker", away)
    assert patience.attempt("The broker", lambda: None) and patience.attempt("The broker", lambda: None)
    assert len(said) == 2 and "can be used again" in said[1]
    with pytest.raises(KeyError):
        patience.attempt("The broker", lambda: {}["a bug"])


def test_a_dispatcher_outlives_a_database_that_is_away_for_long(
    redis: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session, "RETRY_FOR_S", 0.2)
    said: list[str] = []
    with services.postgresql() as (server, url):
        study = Study.open(tmp_path / "study", (f"database.url={url}", f"engine.broker={redis}"))
        schema.upgrade(study.database(), resources.migrations())
        kept: list[int] = []
        dispatcher = Dispatcher(study, lambda: kept.append(ledger.reap(study.database())), said.append)
        assert dispatcher.round() and kept == [0] and said == []
        server.kill(signal.SIGQUIT)
        time.sleep(1.1)  # until jobs are seen to again
        assert not dispatcher.round() and not dispatcher.round()
        assert len(said) == 1 and "The database cannot be used" in said[0]
        server.start()
        monkeypatch.setattr(session, "RETRY_FOR_S", 60.0)
        assert dispatcher.round() and len(said) == 2 and len(kept) == 2
        study.database().dispose()
