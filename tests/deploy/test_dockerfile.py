"""The Dockerfile and the manifests name what is there."""

from __future__ import annotations

import re
import tomllib
from fnmatch import fnmatch
from typing import Any

import pytest
import yaml
from sqlalchemy import text

from db import ledger
from omnisrc.engine.registry import STAGES
from omnisrc.study import Study
from tests.workers.cluster import ROOT

LINES = (ROOT / "Dockerfile").read_text().replace("\\\n", " ").splitlines()
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
MANIFESTS = sorted((ROOT / "configs" / "deploy" / "kubernetes").glob("*.yaml"))
COMPOSE = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]


def steps(instruction: str) -> list[str]:
    return [line.split(maxsplit=1)[1] for line in LINES if line.startswith(f"{instruction} ")]


def copied() -> list[str]:
    """What is taken from the checkout."""
    return [name for step in steps("COPY") if not step.startswith("--from") for name in step.split()[:-1]]


def test_everything_that_is_copied_is_there_and_sent_to_the_builder() -> None:
    allowed = [line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    assert copied() and sorted(copied()) == sorted(allowed)
    for name in copied():
        assert (ROOT / name).exists(), name


def test_every_package_and_resource_of_the_wheel_is_copied() -> None:
    found = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]["find"]["include"]
    needed = {pattern.rstrip("*") for pattern in found} | {"alembic", "configs", PROJECT["readme"]}
    needed |= set(PROJECT["license-files"]) | {"pyproject.toml", "setup.py", "MANIFEST.in"}
    assert needed == set(copied())


def test_the_extras_that_are_installed_exist_and_make_a_cluster() -> None:
    (default,) = [step.partition("=")[2] for step in steps("ARG") if step.startswith("EXTRAS=")]
    installed = [step for step in steps("RUN") if "pip install" in step]
    assert len(installed) == 1 and '".[${EXTRAS}]" && pip check' in installed[0]
    assert set(default.split(",")) <= set(PROJECT["optional-dependencies"])
    assert "cluster" in default.split(",")


def test_the_image_is_pinned_and_runs_as_nobody_special() -> None:
    assert all(re.search(r":\d+\.\d+\.\d+", step) for step in steps("FROM"))
    (user,) = steps("USER")
    assert user != "root" and any(f"useradd --uid 10001 --create-home {user}" in step for step in steps("RUN"))


@pytest.mark.parametrize("path", MANIFESTS, ids=lambda path: path.name)
def test_a_manifest_runs_a_command_of_compose_with_its_settings(path) -> None:
    for document in yaml.safe_load_all(path.read_text()):
        assert document["apiVersion"] and document["kind"] and document["metadata"]["name"].startswith("omnisrc")
        if document["kind"] not in ("Deployment", "Job"):
            continue
        spec = document["spec"]["template"]["spec"]
        (container,) = spec["containers"]
        assert container["command"] in [service["command"] for service in COMPOSE.values()]
        assert container["image"] == COMPOSE["io"]["image"]
        assert spec["securityContext"]["runAsUser"] == 10001
        if document["kind"] == "Deployment":
            grace = int(COMPOSE["io"]["stop_grace_period"].rstrip("s"))
            assert spec["terminationGracePeriodSeconds"] == grace
            labels = document["spec"]["template"]["metadata"]["labels"]
            assert document["spec"]["selector"]["matchLabels"] == labels


def documents_of(*kinds: str) -> list[dict[str, Any]]:
    found = [document for path in MANIFESTS for document in yaml.safe_load_all(path.read_text())]
    return [document for document in found if not kinds or document["kind"] in kinds]


@pytest.mark.parametrize("scaled", documents_of("ScaledObject"), ids=lambda document: document["metadata"]["name"])
def test_pods_are_scaled_by_all_jobs_of_their_queue(scaled: dict[str, Any], study: Study) -> None:
    """The query that KEDA asks runs on the schema, and counts each stage of the queue once."""
    (trigger,) = scaled["spec"]["triggers"]
    queue = scaled["spec"]["scaleTargetRef"]["name"].removeprefix("omnisrc-")
    stages = [stage.name for stage in STAGES.values() if stage.queue == queue]
    database = study.database()
    for name in STAGES:
        database.write(lambda session, name=name: ledger.enqueue(session, name, "subject"))
    assert stages and database.read(lambda s: s.scalar(text(trigger["metadata"]["query"]))) == len(stages)
    secret = (ROOT / "configs" / "deploy" / "kubernetes" / "settings.yaml").read_text()
    assert f"--from-literal={trigger['metadata']['connectionFromEnv']}=postgresql://" in secret


def test_the_manifests_hold_together() -> None:
    documents = documents_of()
    names = {(document["kind"], document["metadata"]["name"]) for document in documents}
    assert len(names) == len(documents)
    for document in documents:
        if document["kind"] == "ScaledObject":
            assert ("Deployment", document["spec"]["scaleTargetRef"]["name"]) in names
    (settings,) = [document for document in documents if document["kind"] == "ConfigMap"]
    code = "".join(path.read_text() for place in ("omnisrc", "workers") for path in (ROOT / place).rglob("*.py"))
    assert all(name in code for name in settings["data"]), "a setting that nothing reads"
    assert all(not fnmatch(name, "*PASSWORD*") for name in settings["data"])
