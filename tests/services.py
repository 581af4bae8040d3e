"""PostgreSQL, Redis and RabbitMQ that tests start for themselves, on free ports and in throw-away folders."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def missing(reason: str) -> None:
    """Skips where a binary is missing; in CI (OMNISRC_NO_SKIP) that is a failure."""
    if os.environ.get("OMNISRC_NO_SKIP"):
        pytest.fail(reason)
    pytest.skip(reason)


def until(ready: Callable[[], bool], seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while not ready():
        assert time.monotonic() < end, "the service did not come up"
        time.sleep(0.05)


def accepts(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(0.5)
        return probe.connect_ex(("127.0.0.1", port)) == 0


@contextlib.contextmanager
def silent_server() -> Iterator[int]:
    """The port of a server that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as door:
        yield door.getsockname()[1]


class Service:
    """A server of our own that can be stopped, killed and started again under the same port and folder."""

    def __init__(
        self, command: list[str], port: int, user: str | None = None, env: dict[str, str] | None = None
    ) -> None:
        self.command, self.port, self.user = command, port, user
        self.env = {**os.environ, **(env or {})}
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self.process = subprocess.Popen(
            self.command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, user=self.user, env=self.env,
            start_new_session=True,
        )  # fmt: skip
        until(lambda: accepts(self.port))

    def kill(self, number: int = signal.SIGKILL) -> None:
        if self.process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, number)
            self.process.wait(30)
            self.process = None


@contextlib.contextmanager
def folder(user: str | None = None) -> Iterator[Path]:
    place = Path(tempfile.mkdtemp(prefix="omnisrc-service-"))
    if user is not None:
        shutil.chown(place, user)
    try:
        yield place
    finally:
        shutil.rmtree(place, ignore_errors=True)


@contextlib.contextmanager
def postgresql(options: Sequence[str] = ()) -> Iterator[tuple[Service, str]]:
    """(server, URL) of an empty PostgreSQL, started with more `options`.

    It refuses to run as root, so root starts it as `postgres`.
    """
    binaries = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    where = shutil.which("initdb")
    place = binaries[-1] if binaries else Path(where).parent if where else None
    if place is None:
        missing("PostgreSQL's server binaries are not on this machine")
    user = None
    if os.geteuid() == 0:
        try:
            user = pwd.getpwnam("postgres").pw_name
        except KeyError:
            missing("PostgreSQL does not run as root, and there is no user postgres")
    with folder(user) as data:
        subprocess.run(
            [str(place / "initdb"), "-D", str(data / "d"), "-U", "omnisrc", "-A", "trust", "-E", "UTF8", "--no-sync"],
            check=True, stdout=subprocess.DEVNULL, user=user, cwd="/",
        )  # fmt: skip
        port = free_port()
        server = Service(
            [str(place / "postgres"), "-D", str(data / "d"), "-p", str(port), "-h", "127.0.0.1", "-k", str(data), "-F",
             *options],
            port, user,
        )  # fmt: skip
        server.start()
        try:
            yield server, f"postgresql+psycopg://omnisrc@127.0.0.1:{port}/postgres"
        finally:
            server.kill(signal.SIGQUIT)


@contextlib.contextmanager
def redis(options: Sequence[str] = ("--save", "")) -> Iterator[tuple[Service, str]]:
    """(server, URL) of an empty Redis, started with `options`."""
    binary = shutil.which("redis-server")
    if binary is None:
        missing("redis-server is not on this machine")
    with folder() as data:
        port = free_port()
        server = Service([binary, "--port", str(port), "--bind", "127.0.0.1", "--dir", str(data), *options], port)
        server.start()
        try:
            yield server, f"redis://127.0.0.1:{port}/0"
        finally:
            server.kill()


@contextlib.contextmanager
def rabbitmq() -> Iterator[tuple[Service, str]]:
    """(server, URL) of an empty RabbitMQ: a node of its own with an epmd of its own. It takes about 10 s to start."""
    places = [Path("/usr/lib/rabbitmq/bin/rabbitmq-server"), Path("/opt/rabbitmq/sbin/rabbitmq-server")]
    found = next((str(place) for place in places if place.exists()), None) or shutil.which("rabbitmq-server")
    if found is None:
        missing("rabbitmq-server is not on this machine")
    with folder() as data:
        port, distribution, names = free_port(), free_port(), free_port()
        (data / "plugins").write_text("[].\n")
        (data / "rabbitmq.conf").write_text(f"listeners.tcp.local = 127.0.0.1:{port}\n")
        env = {
            "HOME": str(data),
            "RABBITMQ_NODENAME": f"omnisrc{port}@localhost",
            "RABBITMQ_CONF_ENV_FILE": "/dev/null",  # what the machine's own server is set to is not for ours
            "RABBITMQ_CONFIG_FILE": str(data / "rabbitmq.conf"),
            "RABBITMQ_ADVANCED_CONFIG_FILE": str(data / "none"),
            "RABBITMQ_DIST_PORT": str(distribution),
            "ERL_EPMD_PORT": str(names),
            "RABBITMQ_MNESIA_BASE": str(data / "mnesia"),
            "RABBITMQ_LOG_BASE": str(data / "log"),
            "RABBITMQ_PID_FILE": str(data / "pid"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(data / "plugins"),
            "RUNNING_UNDER_SYSTEMD": "1",  # the script then becomes the server, so that its end can be waited for
        }
        mapper = Service(["epmd", "-port", str(names)], names)
        server = Service([found], port, env=env)
        try:
            mapper.start()
            server.start()
            yield server, f"amqp://guest:guest@127.0.0.1:{port}//"
        finally:
            server.kill()
            mapper.kill()
