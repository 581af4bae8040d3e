"""Ledger and frontier with 1 M assets, on SQLite and PostgreSQL: enqueue, claims of 8 processes at once, `status`.

The assets lie at 2,000 hosts, of which the largest has three in ten. They are enqueued as a crawl of a table does, page
by page. A claimer does what a worker does, without the web: it claims a fetch job, takes hosts and batches of their
assets, waits between batches as a drain at full pace would, and settles all of them at the end of the job.
"""

from __future__ import annotations

import itertools
import json
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from sqlalchemy import func, select

from db import frontier, host_work, ledger, schema
from db.models import ActionClass, Asset, Query, QueryPage
from db.session import Database
from omnisrc import resources
from omnisrc.classes.load import load_class_list
from omnisrc.classes.model import ClassList
from omnisrc.crawl.claims import Claims
from omnisrc.crawl.counts import crawl_counts
from omnisrc.crawl.finds import record_finds
from omnisrc.crawl.jobs import FETCH
from omnisrc.crawl.landing import Landing, LandingRules
from omnisrc.crawl.outcome import Outcome
from omnisrc.crawl.parts import Parts
from omnisrc.crawl.providers.provider import Candidate
from omnisrc.crawl.publish import publish
from omnisrc.crawl.queries import Scope, register_queries
from omnisrc.crawl.settings import CrawlSettings
from omnisrc.crawl.site_store import HostTableStore
from omnisrc.crawl.top_up import TopUp
from omnisrc.data.catalogue import record_class_list
from omnisrc.engine.owner import this_process
from omnisrc.engine.stage import Job
from omnisrc.errors import ErrorClass, ItemError
from omnisrc.media.guard import GuardPool
from omnisrc.study import Study
from tests import services

ROOT = Path(__file__).resolve().parents[1]
NUMBER, HOSTS, CLASSES = 1_000_000, 2000, 400
LARGEST = 0.3  # of all assets, at one host
CLAIMERS, CLAIM_S = 8, 60.0
DRAIN_S, PAUSE_S = (
    CrawlSettings().drain_s,
    1 / 16,
)  # of one job; between two batches: 64 hosts at 4 a second take 16 batches a second
ROOM = 128


def run(number: int = NUMBER) -> dict[str, object]:
    figures: dict[str, object] = {"assets": number, "hosts": HOSTS, "claimers": CLAIMERS}
    for name in ("SQLite", "PostgreSQL"):
        with tempfile.TemporaryDirectory() as folder, _server(name) as url:
            study = Study.open(Path(folder) / "study", (f"database.url={url}",) if url else ())
            study.prepare()
            schema.upgrade(study.database(), resources.migrations())
            names = Path(folder) / "classes.txt"
            names.write_text("".join(f"class {n}\n" for n in range(CLASSES)))
            classes = load_class_list(str(names))
            found = {"enqueue, s": _timed(partial(fill, study.database(), classes, number))}
            found |= every_second(study) | status(study) | claims(study)
            figures |= {f"{name}: {key}": value for key, value in found.items()}
            study.database().dispose()
    return figures


@contextmanager
def _server(name: str) -> Iterator[str]:
    if name == "SQLite":
        yield ""
        return
    with services.postgresql() as (_, url):
        yield url


def _timed(work: Callable[[], Any]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def _ms(work: Callable[[], Any], times: int = 5) -> float:
    """Median milliseconds."""
    return 1000 * statistics.median(_timed(work) for _ in range(times))


def fill(database: Database, classes: ClassList, number: int) -> None:
    """Classes, queries, and pages of finds as `discover` records them, one transaction a page."""
    database.write(lambda session: register_queries(session, _scope(record_class_list(session, classes))))
    queries = database.read(lambda s: list(s.scalars(select(Query.id).order_by(Query.id))))
    dice, each = random.Random(0), -(-number // len(queries))
    weights = list(itertools.accumulate(1 / (rank + 10) for rank in range(HOSTS - 1)))
    for page, query_id in enumerate(queries):
        hosts = dice.choices(range(1, HOSTS), cum_weights=weights, k=each)
        hosts = [0 if dice.random() < LARGEST else host for host in hosts]
        offered = [
            Candidate(
                f"https://img{n % 3}.host{host}.com/{page}/{n}.jpg", "image", license="cc-by", title=f"{page} {n}"
            )
            for n, host in enumerate(hosts)
        ]
        database.write(lambda s, query_id=query_id, offered=offered: _record(s, query_id, offered))
    assert database.read(lambda s: s.scalar(select(func.count()).select_from(Asset))) == each * len(queries)


def _scope(class_list_id: int) -> Scope:
    return Scope(class_list_id, {"table": ("image",)}, {"image": 10**6})


def _record(session: Any, query_id: int, offered: list[Candidate]) -> None:
    new = record_finds(session, query_id, 0, 0, "table", offered, min_side=128)
    page = QueryPage(query_id=query_id, page=0, finds=len(offered), new_assets=new, asked=ledger.now(session))
    session.add(page)
    session.get_one(Query, query_id).exhausted = True


def every_second(study: Study) -> dict[str, float]:
    """What a crawl that runs asks again and again."""
    database = study.database()
    list_id = database.read(lambda s: s.scalar(select(ActionClass.class_list_id).limit(1)))
    top_up = TopUp(_scope(list_id), study)
    database.write(top_up.start)
    return {
        "hosts with work, ms": _ms(lambda: host_work.busiest(database)),
        "next wait, ms": _ms(lambda: database.read(frontier.next_wait)),
        "a host with a slot, ms": _ms(lambda: database.read(host_work.has_room)),
        "top-up, in a write transaction, ms": _ms(lambda: database.write(top_up)),
        "progress of `crawl`, ms": _ms(lambda: database.read(crawl_counts)),
    }


def status(study: Study) -> dict[str, float]:
    command = [sys.executable, "-m", "omnisrc", "status", "--json", "--workspace", str(study.root)]
    command += ["--set", f"database.url={study.database_url}"]

    def call(arguments: list[str]) -> None:
        subprocess.run(arguments, cwd=ROOT, check=True, capture_output=True)

    whole = _ms(lambda: call(command)) / 1000
    imports = _ms(lambda: call([sys.executable, "-c", "import omnisrc.cli.app, omnisrc.cli.status"])) / 1000
    return {"status, whole command, s": whole, "status, of that Python's imports, s": imports}


def claims(study: Study) -> dict[str, object]:
    """Eight processes claim, work off and settle for a while."""
    database = study.database()

    def enqueue(session: Any) -> None:
        for n in range(CLAIMERS * 100):
            ledger.enqueue(session, FETCH, f"bench {n}", priority=-1)

    database.write(enqueue)
    command = [sys.executable, "-m", "bench.ledger", "claim", str(study.root), study.database_url]
    crew = [subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) for _ in range(CLAIMERS)]
    spans: dict[str, list[float]] = defaultdict(list)
    settled: list[int] = []
    for claimer in crew:
        out, _ = claimer.communicate()
        assert claimer.returncode == 0, "a claimer failed"
        said = json.loads(out)
        settled += said.pop("settled")
        for name, values in said.items():
            spans[name] += values
    assert len(settled) == len(set(settled)), "an asset was worked off twice"
    failed = database.read(lambda s: s.scalar(select(func.count()).where(Asset.state == "failed")))
    assert failed == len(settled), f"{failed} rows for {len(settled)} assets"
    rate = len(settled) / CLAIM_S
    found: dict[str, object] = {"claimed and settled, assets/s": rate}
    for name, values in spans.items():
        tenth = statistics.quantiles(values, n=20)[-1]
        found[f"{name}, ms at the median (95 % within)"] = (
            f"{1000 * statistics.median(values):.2g} ({1000 * tenth:.2g})"
        )
    return found


def claim(root: str, url: str) -> None:
    """One claimer's process: prints the seconds of each operation by kind, and the ids that it settled."""
    study = Study.open(Path(root), (f"database.url={url}",))
    database, settings = study.database(), CrawlSettings()
    spans: dict[str, list[float]] = defaultdict(list)
    settled: list[int] = []

    def timed(name: str, work: Callable[[], Any]) -> Any:
        began = time.perf_counter()
        try:
            return work()
        finally:
            spans[name].append(time.perf_counter() - began)

    def drain(pool: GuardPool) -> list[Asset]:
        """One job, from its claim to its end; the assets that it settled."""
        lease = timed("claim of a job", lambda: ledger.claim(database, [FETCH], this_process(), 60.0))
        store, assets, until = HostTableStore(), [], time.monotonic() + DRAIN_S
        mine = Claims(database, lease.token, settings, store, 1)
        began = time.perf_counter()
        shares = mine.hosts(ROOM, ())
        if shares:
            spans["a host's slots and first batch"].append((time.perf_counter() - began) / len(shares))
        assets += [asset for share in shares for asset in share.assets]
        for share in itertools.cycle(shares):
            if time.monotonic() >= until:
                break
            assets += timed("claim of a batch", partial(mine.more, share))
            time.sleep(PAUSE_S)
        gone = ItemError(ErrorClass.HTTP_4XX, "not there", http_status=404)
        landing = Landing(study.landing, f"landing-{lease.token}", pool, LandingRules(128, 320, 90))
        parts = Parts(landing, settings.shard_bytes, lambda part: None)
        for asset in assets:
            parts.add(Outcome(asset, error=gone))
        timed("settling a job", lambda: publish(Job(study, lease, database), parts.take(), store))
        landing.close()
        return assets

    ledger.claim(database, ["none"], this_process(), 60.0)  # a worker that polls has its connection and its statements
    end = time.monotonic() + CLAIM_S
    time.sleep(random.random() * DRAIN_S)  # drains do not begin in step
    with GuardPool(1) as pool:
        while time.monotonic() < end:
            settled += [asset.id for asset in drain(pool)]
    print(json.dumps({**spans, "settled": settled}))


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    if sys.argv[1:2] == ["claim"]:
        claim(*sys.argv[2:])
    else:
        print(json.dumps(run(int(sys.argv[1]) if len(sys.argv) > 1 else NUMBER), indent=2))
