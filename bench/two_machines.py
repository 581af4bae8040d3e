"""Images/s of two worker machines against one, where the web's latency is the limit: at least 1.8 times as many.

A machine is a network namespace with an address of its own and one Celery worker process in it. PostgreSQL, Redis and
the folder of the study are shared. The web answers after 0.3 s, from 100 addresses that take two requests at a time
each; a worker has 16 items in hand. It needs root and `ip` (Linux).
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from aiohttp import web as aioweb
from sqlalchemy import func, select

from db.models import Asset, Job
from omnisrc.study import Study
from tests import services
from tests.local_web import LocalWeb
from tests.media_files import image_bytes

ROOT = Path(__file__).resolve().parents[1]
NET = "10.213"  # .0.0/24: the machines; .1.0/24: the web
NUMBER, HOSTS, LATENCY_S = 2400, 100, 0.3
SETTINGS = ("crawl.host_rate=0", "crawl.host_concurrency=2", "crawl.concurrency=16", "media.guard_processes=1")


def run() -> dict[str, object]:
    if os.geteuid() != 0 or shutil.which("ip") is None:
        return {"not measured": "network namespaces need root and `ip`"}
    with tempfile.TemporaryDirectory() as folder, network():
        one, _ = crawl(Path(folder) / "one", 1)
        two, jobs = crawl(Path(folder) / "two", 2)
    return {
        "images": NUMBER,
        "one machine, images/s": one,
        "two machines, images/s": two,
        "ratio": two / one,
        "images by fetch job, of two machines": ", ".join(map(str, jobs)),
    }


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True)


@contextmanager
def network() -> Iterator[None]:
    """Two namespaces on a bridge, and a hundred addresses that are this machine's own."""
    names = ("omnisrc1", "omnisrc2")
    try:
        _ip("link", "add", "omnisrc0", "type", "bridge")
        _ip("addr", "add", f"{NET}.0.1/24", "dev", "omnisrc0")
        _ip("link", "set", "omnisrc0", "up")
        _ip("route", "add", "local", f"{NET}.1.0/24", "dev", "lo")
        for number, name in enumerate(names, 1):
            _ip("netns", "add", name)
            _ip("link", "add", f"{name}o", "type", "veth", "peer", "name", "eth0", "netns", name)
            _ip("link", "set", f"{name}o", "master", "omnisrc0", "up")
            _ip("-n", name, "addr", "add", f"{NET}.0.{number + 10}/24", "dev", "eth0")
            _ip("-n", name, "link", "set", "eth0", "up")
            _ip("-n", name, "link", "set", "lo", "up")
            _ip("-n", name, "route", "add", "default", "via", f"{NET}.0.1")
        yield
    finally:
        for words in (("link", "del", "omnisrc0"), ("route", "del", "local", f"{NET}.1.0/24", "dev", "lo")):
            subprocess.run(["ip", *words], stderr=subprocess.DEVNULL)
        for name in names:
            subprocess.run(["ip", "netns", "del", name], stderr=subprocess.DEVNULL)


@contextmanager
def reachable(port: int) -> Iterator[None]:
    """Lets the machines reach a server that listens on loopback alone."""
    loop = asyncio.new_event_loop()

    async def pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await source.read(65536):
                sink.write(data)
                await sink.drain()
        sink.close()

    async def join(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.gather(pump(reader, far[1]), pump(far[0], writer))

    loop.run_until_complete(asyncio.start_server(join, f"{NET}.0.1", port))
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    try:
        yield
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()


class Web(LocalWeb):
    """Answers every picture late, and notes when it was asked for it."""

    def __init__(self) -> None:
        super().__init__("0.0.0.0")
        self.times: list[float] = []
        self.picture = image_bytes(200, 160, seed=1)
        self.routes = {f"/{n}.jpg": self.late for n in range(NUMBER)}

    async def late(self, request: aioweb.Request) -> aioweb.Response:
        self.times.append(time.monotonic())
        await asyncio.sleep(LATENCY_S)
        return aioweb.Response(body=self.picture + request.path.encode())  # bytes of its own after the picture's end

    @property
    def rate(self) -> float:
        """Pictures a second, without the first and the last tenth: workers start, and the work runs out."""
        tenth = len(self.times) // 10
        return (len(self.times) - 2 * tenth) / (self.times[-tenth] - self.times[tenth])


def crawl(workspace: Path, machines: int) -> tuple[float, list[int]]:
    """Images/s, and how many each fetch job gave."""
    with ExitStack() as stack:
        served = stack.enter_context(Web())
        _, database = stack.enter_context(services.postgresql())
        _, broker = stack.enter_context(services.redis())
        for url in (database, broker):
            stack.enter_context(reachable(int(url.rpartition(":")[2].partition("/")[0])))
        own = {"OMNISRC_HOME": str(workspace), "OMNISRC_DATABASE_URL": database, "OMNISRC_BROKER_URL": broker}
        far = {key: value.replace("127.0.0.1", f"{NET}.0.1") for key, value in own.items()}
        for number in range(1, machines + 1):
            stack.enter_context(worker(number, workspace.with_suffix(f".{number}.log"), far))
        done = subprocess.run(
            command(served, workspace), cwd=ROOT, env={**os.environ, **own}, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr[-3000:]
        study = Study.open(workspace, (f"database.url={database}",))
        made = study.database().read(lambda s: s.scalar(select(func.count()).where(Asset.state == "stored")))
        jobs = study.database().read(
            lambda s: [job.result for job in s.scalars(select(Job).where(Job.stage == "fetch"))]
        )
        study.database().dispose()
        assert made == NUMBER == len(served.times), f"{made} stored, {len(served.times)} requests"
        return served.rate, [int(result.get("assets", 0)) for result in jobs]


def command(served: Web, workspace: Path) -> list[str]:
    hosts = [f"{NET}.1.{n + 1}:{served.port}" for n in range(HOSTS)]
    table, classes = workspace.with_suffix(".csv"), workspace.with_suffix(".txt")
    lines = [f"http://{hosts[n % HOSTS]}/{n}.jpg,anything\n" for n in range(NUMBER)]
    table.write_text("url,class\n" + "".join(lines))
    classes.write_text("anything\n")
    words = [sys.executable, "-m", "omnisrc", "crawl", "--classes", str(classes), "--provider", "table"]
    words += ["--per-class", str(NUMBER), "--engine", "celery", "--json"]
    for setting in (*SETTINGS, f"providers.table.path={table}", f"crawl.allow_hosts={hosts}"):
        words += ["--set", setting]
    return words


@contextmanager
def worker(number: int, log: Path, environment: dict[str, str]) -> Iterator[None]:
    """One Celery worker process on a machine of its own."""
    words = ["ip", "netns", "exec", f"omnisrc{number}", sys.executable, "-m", "celery", "-A", "workers", "worker"]
    words += ["-Q", "io", "-c", "1", "-l", "INFO", "-n", f"machine{number}"]
    with log.open("wb") as out:
        process = subprocess.Popen(
            words, cwd=ROOT, stdout=out, stderr=out, env={**os.environ, **environment}, start_new_session=True
        )
    try:
        services.until(lambda: b" ready." in log.read_bytes(), 120)
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    print(json.dumps(run(), indent=2))
