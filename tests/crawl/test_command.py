"""`omnisrc crawl` as a user runs it: a process of its own, workers of its own."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from aiohttp import web as aioweb

from omnisrc.cli import main
from omnisrc.study import Study
from tests.crawl.fake_commons import FakeCommons, File
from tests.crawl.fake_openverse import CLIENT_ID, CLIENT_SECRET, FakeOpenverse, image, parrot
from tests.crawl.studies import assets
from tests.crawl.test_fetch import check_shards
from tests.local_web import LocalWeb

ROOT = Path(__file__).resolve().parents[2]
Picture = Callable[..., bytes]


def command(workspace: Path, *arguments: str) -> list[str]:
    return [sys.executable, "-m", "omnisrc", "crawl", "--workspace", str(workspace), *arguments]


def run(workspace: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        command(workspace, *arguments),
        capture_output=True,
        text=True,
        timeout=120,
        env=environment,
        cwd=workspace.parent,
    )


def serve(web: LocalWeb, picture: Picture, number: int, pause_s: float = 0.0) -> FakeCommons:
    async def answer(request: aioweb.Request) -> aioweb.Response:
        await asyncio.sleep(pause_s)
        return aioweb.Response(body=picture(int(request.path.rpartition("/")[2])))

    paths = [f"/upload/{n}" for n in range(number)]
    web.routes.update(dict.fromkeys(paths, answer))
    files = [File(f"File:{n}.jpg", web.url + path, 200, 150) for n, path in enumerate(paths)]
    return FakeCommons(web, {"juggling balls": files[::2], "brush hair": files[1::2]})


def settings(web: LocalWeb, commons: FakeCommons) -> list[str]:
    sets = [
        f"crawl.allow_hosts=['{web.site}']", f"providers.commons.endpoint={commons.endpoint}", "crawl.host_rate=0",
        "crawl.host_concurrency=2", "media.guard_processes=1", "crawl.contact=me@example.org",
    ]  # fmt: skip
    return [part for text in sets for part in ("--set", text)]


def test_a_crawl_from_classes_to_shards(tmp_path: Path, web: LocalWeb, class_file: Path, picture: Picture) -> None:
    commons = serve(web, picture, 30)
    workspace = tmp_path / "study"
    arguments = ["--classes", str(class_file), "--media", "image", "--json", *settings(web, commons)]
    done = run(workspace, *arguments, "--per-class", "10")
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert answer["assets"] == {"stored": 20} and answer["failed_jobs"] == []
    study = Study.open(workspace)
    assert check_shards(study) == 20
    found = assets(study)
    assert {asset["license"] for asset in found} == {"CC BY-SA 4.0"}
    assert web.most <= 2 and {agent.split("/")[0] for agent in web.agents} == {"omnisrc"}
    assert all("+me@example.org" in agent for agent in web.agents)
    calls = len(commons.calls)
    again = run(workspace, *arguments, "--per-class", "10")
    assert again.returncode == 0 and len(commons.calls) == calls, "a crawl that has enough asks nobody"
    more = run(workspace, "--media", "image", "--json", *settings(web, commons), "--per-class", "15")
    assert more.returncode == 0 and json.loads(more.stdout)["assets"] == {"stored": 30}


def test_a_plan_asks_nobody_and_makes_nothing(tmp_path: Path, web: LocalWeb) -> None:
    commons = FakeCommons(web)
    done = run(tmp_path / "study", "--classes", "kinetics400", "--plan", "--json", *settings(web, commons))
    plan = json.loads(done.stdout)["plan"]
    assert done.returncode == 0 and plan["assets"] == 400 * 120 and plan["calls"] == 400 * 3
    assert "kB" in done.stderr or "GB" in done.stderr
    assert web.asked == [] and not (tmp_path / "study").exists()


def test_without_a_network_it_ends_with_a_sentence_and_goes_on_later(
    tmp_path: Path, web: LocalWeb, class_file: Path, picture: Picture
) -> None:
    workspace = tmp_path / "study"
    arguments = ["--classes", str(class_file), "--media", "image", "--per-class", "3"]
    commons = serve(web, picture, 6)
    nowhere = ["--set", "providers.commons.endpoint=https://commons.invalid/w/api.php"]
    done = run(workspace, *arguments, *nowhere)
    assert done.returncode == 1
    (sentence,) = [line for line in done.stderr.splitlines() if line.startswith("omnisrc:")]
    assert "network" in sentence and "dns" in sentence and "run the same command again" in sentence
    assert "Traceback" not in done.stderr
    later = run(workspace, *arguments, *settings(web, commons), "--json")
    assert later.returncode == 0 and json.loads(later.stdout)["assets"] == {"stored": 6}


def test_an_interrupt_stops_cleanly_and_the_same_command_goes_on(
    tmp_path: Path, web: LocalWeb, class_file: Path, picture: Picture
) -> None:
    commons = serve(web, picture, 80, pause_s=0.1)
    workspace = tmp_path / "study"
    arguments = ["--classes", str(class_file), "--media", "image", *settings(web, commons)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(
        command(workspace, *arguments), env=environment, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    end = time.monotonic() + 60
    while sum(path.startswith("/upload/") for path in web.asked) < 12 and time.monotonic() < end:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130 and "run the same command again" in err
    study = Study.open(workspace)
    stored = check_shards(study)
    assert 5 <= stored < 80
    study.database().dispose()
    done = run(workspace, *arguments, "--json")
    assert done.returncode == 0 and json.loads(done.stdout)["assets"] == {"stored": 80}
    asked = [path for path in web.asked if path.startswith("/upload/")]
    assert len(asked) <= 80 + 2, "what was stored was not asked for again"


def test_two_crawls_at_once_store_everything_once(
    tmp_path: Path, web: LocalWeb, class_file: Path, picture: Picture
) -> None:
    commons = serve(web, picture, 60, pause_s=0.02)
    workspace = tmp_path / "study"
    arguments = command(workspace, "--classes", str(class_file), "--media", "image", *settings(web, commons))
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    both = [
        subprocess.Popen(arguments, env=environment, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    for process in both:
        _, err = process.communicate(timeout=120)
        assert process.returncode == 0, err
    study = Study.open(workspace)
    assert check_shards(study) == 60
    assert {asset["state"] for asset in assets(study)} == {"stored"} and web.most <= 2
    assert sorted(path for path in web.asked if "upload" in path) == sorted(p for p in web.routes if "upload" in p)


def test_credentials_are_used_and_written_nowhere(
    tmp_path: Path, web: LocalWeb, class_file: Path, picture: Picture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One of the two searches is answered with an error that repeats what it was sent."""
    monkeypatch.setenv("OMNISRC_OPENVERSE_CLIENT_ID", CLIENT_ID)
    monkeypatch.setenv("OMNISRC_OPENVERSE_CLIENT_SECRET", CLIENT_SECRET)
    urls = [web.add(f"/upload/{n}", picture(n)) for n in range(4)]
    found = [image(0, url=url) for url in urls]
    service = FakeOpenverse(web, {"juggling balls": found, "brush hair": found})
    service.moods = [parrot(400)]
    sets = [
        f"crawl.allow_hosts=['{web.site}']", f"providers.openverse.endpoint={service.endpoint}", "crawl.host_rate=0",
        "media.guard_processes=1",
    ]  # fmt: skip
    arguments = ["--classes", str(class_file), "--provider", "openverse", "--json", "--per-class", "4"]
    done = run(tmp_path / "study", *arguments, *[part for text in sets for part in ("--set", text)])
    answer = json.loads(done.stdout)
    assert answer["assets"] == {"stored": 4} and service.issued == 2
    assert [(job["error"], job["detail"][:8]) for job in answer["failed_jobs"]] == [("http-4xx", "HTTP 400")]
    written = [path.read_bytes() for path in (tmp_path / "study").rglob("*") if path.is_file()]
    assert any(b"HTTP 400" in content for content in written), "the error itself is in the database"
    for secret in (CLIENT_ID, CLIENT_SECRET, "c0ffee"):
        assert secret not in done.stdout + done.stderr
        assert not any(secret.encode() in content for content in written)


def test_mistakes_get_a_sentence(tmp_path: Path, class_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for arguments, words in (
        (["--classes", "kinetix400"], "kinetics400"),
        (["--classes", str(class_file), "--provider", "comons"], "Did you mean commons"),
        (["--classes", str(class_file), "--provider", "table"], "providers.table.path"),
        (["--classes", str(class_file), "--media", "sound"], "--media"),
        (["--classes", str(class_file), "--per-class", "0"], "--per-class"),
        (["--classes", str(class_file), "--set", "crawl.allow_hosts=[localhost]"], "HOST:PORT"),
        (["--classes", str(class_file), "--set", "crawl.host_rat=1"], "host_rate"),
        ([], "no class list yet"),
    ):
        code = main.run(["crawl", "--workspace", str(tmp_path / "study"), *arguments])
        err = capsys.readouterr().err
        lines = [line for line in err.splitlines() if line.startswith("omnisrc:")]
        assert code == 2 and len(lines) == 1 and words in lines[0], (arguments, err)
