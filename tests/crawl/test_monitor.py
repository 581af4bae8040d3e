"""What `omnisrc status` says of a crawl, against rows that are known, on both databases."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from rich.console import Console
from sqlalchemy import update

from db.controls import set_pace, set_paused
from db.frontier import claim_assets, host_row, take_slots
from db.ledger import claim, enqueue, finish, now
from db.models import Asset, Job
from db.session import Database
from omnisrc.cli import main
from omnisrc.cli.status_view import crawl_view
from omnisrc.crawl.monitor import crawl_state
from omnisrc.crawl.settings import CrawlSettings
from omnisrc.study import Study
from tests.crawl.test_claims import fill


def known_rows(database: Database) -> None:
    """Four hosts with 60, 40, 6 and 5 assets, one drain in hand, one that ended, one long ago; a search that waits."""
    fill(database, a=60, b=40, c=6, d=5)
    for number in range(3):
        database.write(lambda s, number=number: enqueue(s, "fetch", f"drain {number}") and None)
    database.write(lambda s: enqueue(s, "discover", "query 1 page 0") and None)
    database.write(lambda s: enqueue(s, "discover", "query 2 page 0") and None)
    for number, result in enumerate(({"assets": 600, "bytes": 5e9}, {"assets": 180, "bytes": 6_000_000}, {})):
        lease = claim(database, ["fetch"], f"box|boot|{number}|7", 60.0)
        if result:
            database.write(lambda s, lease=lease, result=result: finish(s, lease, result))
        else:
            running = {"assets": 240, "bytes": 12_000_000, "seconds": 120.0}
            change = update(Job).where(Job.state == "leased").values(result=running)
            database.write(lambda s, change=change: s.execute(change) and None)
            database.write(lambda s, token=lease.token: claim_assets(s, "a:80", token, 8) and None)
            database.write(lambda s, token=lease.token: take_slots(s, "a:80", token, 2, 3) and None)

    def more(session) -> None:
        moment = now(session)
        session.execute(update(Job).where(Job.subject == "drain 0").values(finished=moment - 61))
        session.execute(update(Job).where(Job.subject == "query 2 page 0").values(not_before=moment + 500))
        session.execute(update(Asset).where(Asset.url == "http://d/0").values(state="failed", error="http-5xx"))
        session.execute(update(Asset).where(Asset.url == "http://d/1").values(state="refused", error="robots"))
        session.execute(update(Asset).where(Asset.url == "http://d/2").values(error="http-429"))
        b, c = host_row(session, "b:80"), host_row(session, "c:80")
        b.not_before, b.streak_429 = moment + 20, 3
        c.not_before, c.openings, c.breaker_error = moment + 240, 4, "connect"
        set_paused(session, "d", True)
        set_pace(session, "a", 0.5, 3)

    database.write(more)


def test_the_figures_are_those_of_the_rows(database: Database) -> None:
    known_rows(database)
    state = database.read(lambda s: crawl_state(s, CrawlSettings(host_rate=4.0, host_concurrency=2), Path()))
    assert state["queues"] == {"discover": {"waiting": 1, "later": 1}, "fetch": {"done": 2, "leased": 1}}
    (lease,) = state["leases"]
    assert (lease["subject"], lease["owner"], lease["done"]) == ("drain 2", "box, process 2", 240)
    assert 40 < lease["ends_s"] <= 60
    assert state["rates"] == {"items_per_s": 5.0, "bytes_per_s": 200_000.0}, "180 in the last minute, 120 of the 240"
    assert state["failures"] == {"http-5xx": 1, "robots": 1, "http-429 (again)": 1}
    assert state["paused"] == ["d"] and state["set"]["a"]["rate"] == 0.5
    hosts = {host.pop("host"): host for host in state["hosts"]}
    until = {name: host.pop("until") for name, host in hosts.items()}
    shown = {name: tuple(host.values()) for name, host in hosts.items()}
    assert shown == {
        "a:80": (60, 8, 2, 0.5, 3, "", 0, "closed"), "b:80": (40, 0, 0, 4.0, 2, "429", 3, "closed"),
        "c:80": (6, 0, 0, 4.0, 2, "breaker: connect", 0, "open"), "d:80": (3, 0, 0, 4.0, 2, "paused: d", 0, "closed"),
    }  # fmt: skip
    assert until["a:80"] == 0.0 and until["d:80"] is None
    assert 15 < until["b:80"] <= 20 and 230 < until["c:80"] <= 240
    assert 235 < state["finish_s"] < 242, "the host that rests longest: 240 s and six more at 4 a second"


def test_the_time_to_finish_is_the_measured_rate_or_the_slowest_host(database: Database) -> None:
    settings = CrawlSettings(host_rate=4.0)

    def finish_s() -> float | None:
        return database.read(lambda s: crawl_state(s, settings, Path()))["finish_s"]

    assert finish_s() == 0.0
    search = database.write(lambda s: enqueue(s, "discover", "1/0"))
    assert finish_s() is None, "what a search will find nobody knows"
    assert search is not None
    fill(database, a=40, b=20)
    assert finish_s() == 10.0
    database.write(lambda s: enqueue(s, "fetch", "drain") and None)
    lease = claim(database, ["fetch"], "box", 60.0)
    database.write(lambda s: finish(s, lease, {"assets": 60, "bytes": 0}))
    assert finish_s() == 60.0, "sixty are left, at one a second"
    database.write(lambda s: set_pace(s, "b", 0.1, None))
    assert finish_s() == 200.0
    database.write(lambda s: set_paused(s, "all", True))
    assert finish_s() is None


@pytest.mark.parametrize("width", [80, 120])
def test_it_fits_a_terminal(database: Database, width: int) -> None:
    known_rows(database)
    state = database.read(lambda s: crawl_state(s, CrawlSettings(), Path()))
    console = Console(record=True, width=width, file=io.StringIO())
    console.print(crawl_view(state))
    text = console.export_text()
    assert max(map(len, text.splitlines())) <= width
    for words in ("5.0 items and 200 kB a second", "paused: d", "breaker: connect", "1 robots", "2/3", "drain 2"):
        assert words in text, text


def test_status_says_all_of_it_in_one_object(study: Study, capsys: pytest.CaptureFixture[str]) -> None:
    known_rows(study.database())
    assert main.run(["status", "--json", "--workspace", str(study.root)]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["assets"] == {"waiting": 109, "failed": 1, "refused": 1}
    assert [host["host"] for host in said["crawl"]["hosts"]] == ["a:80", "b:80", "c:80", "d:80"]
    for arguments, words in (
        (["--watch", "--json"], "terminal"),
        (["5"], "--watch"),
        (["--watch", "0"], "more than 0"),
    ):
        assert main.run(["status", *arguments, "--workspace", str(study.root)]) == 2
        assert words in capsys.readouterr().err


def test_watching_draws_again_and_ends_with_ctrl_c(study: Study, tmp_path: Path) -> None:
    known_rows(study.database())
    shown = tmp_path / "shown"
    with shown.open("w") as out:
        watching = subprocess.Popen(
            [sys.executable, "-m", "omnisrc", "status", "--watch", "0.1", "--workspace", str(study.root)],
            stdout=out,
            env={**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[2]), "FORCE_COLOR": "1"},
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # whoever runs us may ignore it
        )
        try:
            for words, change in (("paused: d", "all"), ("paused: all", None)):
                end = time.monotonic() + 60
                while words not in shown.read_text():
                    assert time.monotonic() < end and watching.poll() is None
                    time.sleep(0.05)
                if change:
                    study.database().write(lambda s: set_paused(s, "all", True))
            watching.send_signal(signal.SIGINT)
            assert watching.wait(30) == 0
        finally:
            watching.kill()
