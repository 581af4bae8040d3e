"""compose.yaml as it stands, service by service with its own command and environment, on servers of this machine."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests import services
from tests.local_web import LocalWeb
from tests.media_files import image_bytes
from tests.pipeline import killing
from tests.workers import cluster

COMPOSE: dict[str, Any] = yaml.safe_load((cluster.ROOT / "compose.yaml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
SERVERS = ("postgres", "redis", "rabbitmq")
OURS = [name for name in SERVICES if name not in SERVERS]
VARIABLE = re.compile(r"\$\{(\w+)(?::([-?])([^}]*))?\}")
IMAGES = 30


def filled_in(text: str, given: dict[str, str]) -> str:
    """`${NAME:-default}` and `${NAME:?message}` as Compose reads them."""

    def value(found: re.Match[str]) -> str:
        name, sign, word = found.groups()
        if given.get(name):
            return given[name]
        assert sign != "?", f"{name} must be set"
        return word or ""

    return VARIABLE.sub(value, text)


class Deployment:
    """Runs services of the file here: host names and the volume are replaced, and nothing else."""

    def __init__(self, study: Path, hosts: dict[str, str], settings: dict[str, str]) -> None:
        self.study, self.hosts, self.settings = study, hosts, settings

    def environment(self, name: str) -> dict[str, str]:
        env = {key: filled_in(str(text), self.settings) for key, text in SERVICES[name]["environment"].items()}
        for host, here in self.hosts.items():
            env = {key: re.sub(rf"\b{host}:\d+", here, text) for key, text in env.items()}
        assert env["OMNISRC_HOME"] == "/study" and "study:/study" in SERVICES[name]["volumes"]
        return {**env, "OMNISRC_HOME": str(self.study)}

    def log(self, name: str) -> Path:
        return self.study.parent / f"{name}.log"

    def keep(self, name: str) -> Any:
        """The service as a process that goes on."""
        return cluster.process(SERVICES[name]["command"], self.log(name), self.environment(name))

    def run(self, name: str, *instead: str) -> str:
        """The service's command, or another in its place, to its end; what it printed."""
        done = subprocess.run(
            [sys.executable, "-m", *(instead or SERVICES[name]["command"])],
            env={**os.environ, "PYTHONPATH": str(cluster.ROOT), **self.environment(name)},
            cwd=self.study, capture_output=True, text=True, timeout=cluster.LIMIT_S,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


@pytest.fixture(scope="module")
def postgres() -> Iterator[str]:
    program, *options = SERVICES["postgres"]["command"]
    assert program == "postgres"
    with services.postgresql(options) as (_, url):
        yield url


@pytest.fixture
def deployment(request: pytest.FixtureRequest, postgres: str, tmp_path: Path) -> Iterator[Deployment]:
    """All servers with either broker; none of our own services yet."""
    broker, settings = request.param, {"POSTGRES_PASSWORD": "secret"}
    program, *options = SERVICES[broker]["command"]
    assert program == f"{broker}-server"
    database = cluster.new_database(postgres, SERVICES["postgres"]["environment"]["POSTGRES_DB"])
    with services.redis(options) if broker == "redis" else services.rabbitmq() as (server, _):
        if broker == "rabbitmq":
            settings["OMNISRC_BROKER_URL"] = "amqp://guest:guest@rabbitmq:5672//"
        here = {"postgres": database.partition("@")[2].partition("/")[0], broker: f"127.0.0.1:{server.port}"}
        (tmp_path / "study").mkdir()
        yield Deployment(tmp_path / "study", here, settings)


@pytest.mark.parametrize("deployment", ["redis"], indirect=True)
def test_the_whole_deployment_crawls_and_filters(deployment: Deployment) -> None:
    with LocalWeb() as web, ExitStack() as running:
        classes = listed(deployment.study, web)
        deployment.run("migrate")
        running.enter_context(deployment.keep("dispatcher"))
        workers = {name: running.enter_context(deployment.keep(name)) for name in ("io", "cpu", "teacher")}
        for name in workers:
            services.until(lambda log=deployment.log(name): b" ready." in log.read_bytes())
        kill_child(workers["io"], deployment.log("io"))
        services.until(lambda: queues_served(deployment) == {"io", "cpu", "gpu"})
        crawl(deployment, classes)
        deployment.run("cli", "omnisrc", "filter", "--rule", "all", "--engine", "celery")
        orphans = killing.descendants(workers["cpu"].pid)
        workers["cpu"].kill()
        services.until(lambda: not any(lives(pid) for pid in orphans))
    codes = {name: worker.returncode for name, worker in workers.items()}
    assert codes == {"io": 0, "cpu": -signal.SIGKILL, "teacher": 0}
    balanced(deployment)
    assert killing.packed(deployment.study).total() == IMAGES


@pytest.mark.parametrize("deployment", ["rabbitmq"], indirect=True)
def test_the_deployment_crawls_over_rabbitmq_and_its_gpu_worker_waits_for_work(deployment: Deployment) -> None:
    """On a machine without a GPU the worker for GPUs is one for the CPU."""
    with LocalWeb() as web, ExitStack() as running:
        classes = listed(deployment.study, web)
        deployment.run("migrate")
        for name in ("dispatcher", "io"):
            running.enter_context(deployment.keep(name))
        gpu = running.enter_context(deployment.keep("gpu"))
        crawl(deployment, classes)
        services.until(lambda: b" ready." in deployment.log("gpu").read_bytes())
        services.until(lambda: queues_served(deployment) == {"io", "gpu"})
    assert gpu.returncode == 0
    balanced(deployment)


def queues_served(deployment: Deployment) -> set[str]:
    """The queues whose workers answered within the moment that `omnisrc status` waits for them."""
    broker = json.loads(deployment.run("cli", "omnisrc", "status", "--json"))["broker"]
    assert broker["reachable"]
    return set(broker["workers"])


def crawl(deployment: Deployment, classes: Path) -> None:
    """Orders a crawl and waits for the dispatcher to say that it is done."""
    asked = ["--classes", str(classes), "--provider", "table", "--media", "image", "--per-class", "100"]
    deployment.run("cli", "omnisrc", "crawl", *asked, "--engine", "celery", "--detach")
    services.until(lambda: b"Crawl 1 is done." in deployment.log("dispatcher").read_bytes(), cluster.LIMIT_S)


def balanced(deployment: Deployment) -> None:
    settings = {"database": {"url": deployment.environment("cli")["OMNISRC_DATABASE_URL"]}}
    (deployment.study / "omnisrc.yaml").write_text(yaml.safe_dump(settings))
    assert [row["state"] for row in killing.rows(deployment.study, "assets")] == ["stored"] * IMAGES
    killing.stored_once(deployment.study)
    assert killing.doctor(deployment.study)["damage"] == []


def listed(study: Path, web: LocalWeb) -> Path:
    """A table of images as the study's provider; the class list."""
    urls = [web.add(f"/{at}.jpg", image_bytes(160, 140, seed=at)) for at in range(IMAGES)]
    (study / "table.csv").write_text("url,class\n" + "".join(f"{url},juggling\n" for url in urls))
    (study / "classes.txt").write_text("juggling\n")
    crawl = {"allow_hosts": [web.site], "host_rate": 0.0, "drain_s": 2.0}
    settings = {"providers": {"table": {"path": str(study / "table.csv")}}, "crawl": crawl}
    (study / "omnisrc.yaml").write_text(yaml.safe_dump(settings))
    return study / "classes.txt"


def lives(pid: int) -> bool:
    """Whether it runs; one that ended and that nobody has waited for does not."""
    try:
        return bool(Path(f"/proc/{pid}/cmdline").read_bytes())
    except OSError:
        return False


def kill_child(worker: subprocess.Popen[bytes], log: Path) -> None:
    """Kills the Celery worker under `omnisrc worker`, and waits for the next one."""
    for pid in killing.descendants(worker.pid):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    services.until(lambda: log.read_bytes().count(b" ready.") == 2)
    assert b"is started again" in log.read_bytes()


def test_the_services_of_the_file_are_all_run_here() -> None:
    assert set(OURS) == {"migrate", "dispatcher", "io", "cpu", "gpu", "teacher", "cli"}, "a service that no test runs"


def test_one_service_builds_the_image_of_all_and_the_others_wait_for_it() -> None:
    """Several builds of one tag at a time fail where they export it at once."""
    assert {SERVICES[name]["image"] for name in OURS} == {SERVICES["migrate"]["image"]}
    assert [name for name in SERVICES if "build" in SERVICES[name]] == ["migrate"]
    for name in OURS:
        waits = SERVICES[name]["depends_on"]
        assert name == "migrate" or waits["migrate"]["condition"] == "service_completed_successfully"
        assert set(waits) <= set(SERVICES)
        healthy = [other for other, how in waits.items() if how["condition"] == "service_healthy"]
        assert all("test" in SERVICES[other]["healthcheck"] for other in healthy)
        assert set(SERVICES[name]["networks"]) <= set(COMPOSE["networks"])


def test_no_image_floats_and_every_server_is_watched() -> None:
    for name, service in SERVICES.items():
        tag = service["image"].rpartition(":")[2]
        assert re.match(r"\d+\.\d+", tag), f"{name} takes whatever {service['image']} is today"
        assert service["healthcheck"].get("test") or service["healthcheck"]["disable"]
        assert set(service.get("volumes", [])) <= {f"{volume}:{at}" for volume, at in MOUNTS}
    assert set(COMPOSE["volumes"]) == {volume for volume, _ in MOUNTS}


MOUNTS = [("study", "/study"), ("database", "/var/lib/postgresql/data"), ("broker", "/var/lib/rabbitmq")]


def test_no_password_stands_in_the_file() -> None:
    with pytest.raises(AssertionError, match="POSTGRES_PASSWORD must be set"):
        Deployment(Path("/"), {}, {}).environment("io")
    written = (cluster.ROOT / "compose.yaml").read_text()
    assert all(value.startswith("${") for value in re.findall(r"PASS(?:WORD)?: (\S+)", written))
