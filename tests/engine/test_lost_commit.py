"""The connection breaks during a commit, after the server has done it: what was written is known to be written."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from sqlalchemy import select
from sqlalchemy.engine import make_url

from db import ledger, schema
from db.ledger import LeaseLost
from db.models import Job as JobRow
from db.models import Tombstone
from db.session import Database
from omnisrc import resources
from omnisrc.engine.stage import Job
from omnisrc.study import Study
from tests.services import until


class Wire:
    """A wire to PostgreSQL that is cut once, when the answer to a COMMIT is on its way back."""

    def __init__(self, port: int) -> None:
        self._server_port = port
        self._door = socket.create_server(("127.0.0.1", 0))
        self.port = self._door.getsockname()[1]
        self.armed = False
        self.cuts = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._door.accept()
                server = socket.create_connection(("127.0.0.1", self._server_port))
                committing = threading.Event()
                for source, sink, ours in ((client, server, True), (server, client, False)):
                    threading.Thread(target=self._carry, args=(source, sink, ours, committing), daemon=True).start()

    def _carry(self, source: socket.socket, sink: socket.socket, ours: bool, committing: threading.Event) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                if ours and self.armed and b"COMMIT" in data:
                    committing.set()
                if not ours and committing.is_set() and self.armed:
                    self.armed, self.cuts = False, self.cuts + 1
                    break  # the server has answered, so it has committed; nobody hears it
                sink.sendall(data)
        for end in (source, sink):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self._door.close()


@contextmanager
def wired(url: str) -> Iterator[tuple[Database, Wire]]:
    direct = make_url(url)
    assert direct.port is not None
    wire = Wire(direct.port)
    database = Database(direct.set(port=wire.port).render_as_string(hide_password=False))
    try:
        yield database, wire
    finally:
        database.dispose()
        wire.close()


@pytest.fixture
def cut(postgresql_url: str, tmp_path: Path) -> Iterator[tuple[Job, Wire]]:
    """A job in hand, on a database behind a wire."""
    with wired(postgresql_url) as (database, wire):
        schema.upgrade(database, resources.migrations())
        database.write(lambda session: ledger.enqueue(session, "segment", "shard-1"))
        lease = ledger.claim(database, ["segment"], "me", 60.0)
        assert lease is not None
        yield Job(Study.open(tmp_path), lease, database), wire


def commit(job: Job) -> str:
    def write(session) -> str:
        session.add(Tombstone(kind="test", value=job.subject, created=0.0))
        return "the answer"

    return job.commit(write, {"n": 1})


def test_a_commit_whose_answer_was_lost_is_known_to_be_done(cut: tuple[Job, Wire]) -> None:
    job, wire = cut
    wire.armed = True
    assert commit(job) == "the answer"
    assert wire.cuts == 1
    assert job.database.read(lambda s: s.scalars(select(Tombstone.value)).all()) == ["shard-1"]
    done = job.database.read(lambda s: s.scalars(select(JobRow)).one())
    assert (done.state, done.result, done.lease_token) == ("done", {"n": 1}, None)


def test_a_job_that_another_has_done_meanwhile_is_still_lost(cut: tuple[Job, Wire]) -> None:
    job, _ = cut
    job.database.write(lambda s: ledger.put_back(s, job.lease, 0.0))
    other = ledger.claim(job.database, ["segment"], "another", 60.0)
    assert other is not None
    job.database.write(lambda s: ledger.finish(s, other))
    with pytest.raises(LeaseLost):
        commit(job)
    assert job.database.read(lambda s: s.scalars(select(Tombstone.value)).all()) == []


def test_a_read_goes_through_though_every_connection_was_just_cut(cut: tuple[Job, Wire]) -> None:
    job, wire = cut
    wire.armed = True
    job.database.write(lambda s: ledger.enqueue(s, "segment", "shard-2"))
    assert wire.cuts == 1
    until(lambda: job.database.read(lambda s: len(s.scalars(select(JobRow)).all())) == 2, 10)
