"""`omnisrc takedown`: rows and bytes go, nothing comes back, and a death at any moment leaves the old or the new."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select, update

from db.ledger import claim, enqueue
from db.models import (
    Asset,
    Blob,
    Decision,
    Prediction,
    Run,
    Sample,
    Selection,
    SelectionMember,
    Shard,
    Tombstone,
)
from omnisrc.cli.main import run
from omnisrc.engine.owner import this_process
from omnisrc.filter.candidates import load_candidates
from omnisrc.flow.run import Wish as Web
from omnisrc.flow.run import extract_flow
from omnisrc.rights import takedown
from omnisrc.rights.concerned import Wish
from omnisrc.rights.takedown import take_down
from omnisrc.shards.read import read_bytes
from omnisrc.study import Study
from tests.crawl.studies import assets
from tests.filter.stages import filter_here
from tests.rights.conftest import World, add_run, check, holding

ROOT = Path(__file__).resolve().parents[2]


def told(world: World, capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, dict[str, Any], str]:
    """(exit code, the JSON object, what was said)."""
    capsys.readouterr()
    code = run(["takedown", *arguments, "--json", *world.arguments()])
    out, err = capsys.readouterr()
    return code, json.loads(out), err


def states(study: Study) -> dict[str, tuple[str, str | None]]:
    return {a["url"].rpartition("/")[2]: (a["state"], a["error"]) for a in assets(study)}


def samples_of(study: Study, *names: str) -> list[int]:
    def read(session):
        query = select(Sample.id).join(Asset, Asset.blob_id == Sample.blob_id)
        return sorted({n for name in names for n in session.scalars(query.where(Asset.url.endswith(f"/{name}")))})

    return study.database().read(read)


def counts(study: Study, *tables: Any) -> list[int]:
    return study.database().read(lambda s: [s.scalar(select(func.count()).select_from(table)) for table in tables])


def stored(study: Study, name: str) -> bytes:
    """The bytes of an asset as they landed."""

    def read(session):
        query = select(Blob, Shard.path).join(Shard, Shard.id == Blob.shard_id).join(Asset, Asset.blob_id == Blob.id)
        return session.execute(query.where(Asset.url.endswith(f"/{name}"))).first()

    blob, path = study.database().read(read)
    return read_bytes(study.root / path, blob.offset, blob.length)


def needles(study: Study, *names: str) -> list[bytes]:
    """Texts by which files with an asset's bytes, or with what was said of it, are known."""
    return [*(stored(study, name)[-200:] for name in names), *(f"Title of {name}".encode() for name in names)]


def test_rows_and_bytes_go_everywhere_and_the_rest_stays(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    study = world.study
    check(study)
    page = study.reports / "report.html"
    page.write_text(f'<a href="{world.web.url}/page/mine">Title of mine</a>')
    (study.reports / "other.html").write_text("<p>Title of second</p>")
    gone = samples_of(study, "mine")
    add_run(study, "seen", [*gone, *samples_of(study, "second")])
    add_run(study, "child", samples_of(study, "third"), init={"path": str(study.runs / "seen" / "best.safetensors")})
    add_run(study, "innocent", samples_of(study, "third"))
    known = needles(study, "mine")
    assert len(holding(study, *known)) == 5, "a landing and a curated shard, its two attributions, a page"
    others = {name: stored(study, name) for name in ("second", "third", "fourth", "movie")}
    before = counts(study, Prediction)[0]

    code, shown, said = told(world, capsys, world.urls["mine"])
    assert code == 0 and shown["taken_down"] is False and "add --yes" in said
    assert states(study)["mine"] == ("stored", None) and len(holding(study, *known)) == 5
    code, answer, said = told(world, capsys, world.urls["mine"], "--yes", "--reason", "asked by e-mail")

    assert code == 0 and answer["taken_down"] is True, said
    assert sorted(answer["assets"]) == sorted([world.urls["mine"], world.urls["copy"]])
    assert answer["samples"] == gone and answer["members"] == 1 and answer["selections"] == ["web"]
    assert len(answer["shards"]) == 2 and len(answer["prediction_sets"]) == 1 and answer["reports"] == ["report.html"]
    assert answer["runs"] == [{"name": "child", "samples": 0}, {"name": "seen", "samples": 1}]
    assert "Weights cannot forget" in said
    assert states(study) == {
        "mine": ("refused", "taken-down"), "copy": ("refused", "taken-down"), "second": ("stored", None),
        "third": ("stored", None), "fourth": ("stored", None), "movie": ("stored", None),
    }  # fmt: skip
    assert holding(study, *known) == set()
    assert {name: stored(study, name) for name in others} == others
    assert counts(study, Prediction)[0] == before - 1
    check(study)

    def read(session):
        member = session.scalars(select(SelectionMember).where(SelectionMember.sample_id.in_(gone))).one()
        tombs = {(tomb.kind, tomb.value) for tomb in session.scalars(select(Tombstone))}
        reasons = session.scalars(select(Tombstone.reason)).all()
        sample = session.get_one(Sample, gone[0])
        evidence = session.scalars(select(Decision.evidence).where(Decision.kind == "taken-down")).all()
        return (
            member,
            tombs,
            reasons,
            sample,
            session.get_one(Blob, sample.blob_id),
            evidence,
            session.scalars(select(Selection)).one(),
        )

    member, tombs, reasons, sample, blob, evidence, selection = study.database().read(read)
    assert (member.reason, member.shard_id, member.offset) == ("taken-down", None, None)
    assert tombs == {
        ("url", world.urls["mine"]), ("url", world.urls["copy"]),
        ("sha256", hashlib.sha256(world.bytes["mine"]).hexdigest()),
        ("sha1", hashlib.sha1(world.bytes["mine"]).hexdigest()),
    }  # fmt: skip
    assert set(reasons) == {"asked by e-mail"} and len(evidence) == 2
    assert sample.hashes is None and (blob.phash, blob.length) == (None, 0)
    assert selection.counts["taken-down"] == 1

    code, again, said = told(world, capsys, world.urls["mine"], "--yes")
    assert code == 0 and again["assets"] == [] and "Nothing is left" in said


def test_no_later_crawl_or_filter_brings_it_or_equal_bytes_back(
    world: World, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    study, asked = world.study, world.web.count("/mine")
    assert told(world, capsys, "--author", "Ada", "--yes")[0] == 0
    assert {name for name, (state, _) in states(study).items() if state == "refused"} == {"mine", "copy", "movie"}
    world.offer("mirror", world.bytes["mine"], "Dan")
    world.offer("newer", world.bytes["second"] + b" ", "Ada")
    world.offer("fifth", world.bytes["third"] + b" ", "Cleo")
    world.crawl()
    assert world.web.count("/mine") == asked and world.web.count("/newer") == 0
    assert states(study)["mirror"] == states(study)["newer"] == ("refused", "taken-down")
    assert states(study)["fifth"] == ("stored", None)
    outcome = filter_here(study, monkeypatch, teacher="tiny")
    assert outcome.members["image"]["taken-down"] == 1 and outcome.members["clip"]["kept"] == 0
    judged = study.database().read(
        lambda s: load_candidates(s, outcome.selection.class_list_id, outcome.selection.teachers)
    )
    assert not judged.aside.any()
    check(study)


def test_a_shard_of_which_nothing_is_left_goes_whole(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    known = needles(world.study, "movie")
    cache, flow = extract_flow(world.study, Web(web=True))
    assert flow.made == 1 and list(cache.folder.rglob("*.tar"))
    number = next(a for a in _assets(world.study) if a.url.endswith("/movie")).id
    code, answer, _ = told(world, capsys, "--asset", str(number), "--yes")
    assert code == 0 and len(answer["shards"]) == 2 and holding(world.study, *known) == set()
    freed = world.study.database().read(lambda s: s.scalars(select(Shard.path).where(Shard.freed.is_(True))).all())
    assert sorted(freed) == sorted(answer["shards"])
    assert not any((world.study.root / path).exists() for path in freed)
    assert not list(cache.folder.rglob("*.tar"))
    check(world.study)
    assert run(["doctor", "--deep", *world.arguments()]) == 0


def _assets(study: Study) -> list[Asset]:
    return study.database().read(lambda s: list(s.scalars(select(Asset))))


def test_a_page_names_what_is_on_it(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    code, answer, _ = told(world, capsys, f"{world.web.url}/page/second", "--yes")
    assert code == 0 and answer["assets"] == [world.urls["second"]]


STEPS = ("_write_files", "rewrite_shard", "rewrite_predictions", "_switch_set", "_bury", "_decide", "_delete", "_sweep")


@pytest.mark.parametrize(
    ("step", "when"), [*((step, "before") for step in STEPS), ("rewrite_shard", "after"), ("_decide", "after")]
)
def test_a_failure_at_any_step_leaves_the_old_or_the_new_and_it_can_be_run_again(
    world: World, monkeypatch: pytest.MonkeyPatch, step: str, when: str
) -> None:
    study, wish = world.study, Wish(url=world.urls["mine"])
    known = needles(study, "mine")
    real = getattr(takedown, step)

    def failing(*arguments: Any) -> Any:
        if when == "after":
            real(*arguments)
        raise RuntimeError(step)

    with monkeypatch.context() as patch:
        patch.setattr(takedown, step, failing)
        with pytest.raises(RuntimeError, match=step):
            take_down(study, wish)
    done = states(study)["mine"] == ("refused", "taken-down")
    assert done == (step in ("_delete", "_sweep"))
    if not done:
        assert holding(study, *known) and counts(study, Tombstone) == [0]
        if step not in ("rewrite_shard", "rewrite_predictions") or when == "before":
            check(study)
    take_down(study, wish)
    assert holding(study, *known) == set() and states(study)["mine"] == ("refused", "taken-down")
    check(study)


KILLED = """
import os, signal, sys
from pathlib import Path
from omnisrc.rights import takedown
from omnisrc.rights.concerned import Wish
from omnisrc.study import Study
root, database, url, step = sys.argv[1:]
def die(*arguments):
    os.kill(os.getpid(), signal.SIGKILL)
setattr(takedown, step, die)
takedown.take_down(Study.open(Path(root), [f"database.url={database}"]), Wish(url=url))
"""


@pytest.mark.parametrize("step", ["rewrite_predictions", "_switch", "_decide", "_delete"])
def test_a_killed_takedown_is_finished_by_the_next_one(
    world: World, capsys: pytest.CaptureFixture[str], step: str
) -> None:
    study = world.study
    known = needles(study, "mine")
    there = holding(study, *known)
    arguments = [str(study.root), study.database_url, world.urls["mine"], step]
    done = subprocess.run([sys.executable, "-c", KILLED, *arguments], cwd=ROOT, env=os.environ)
    assert done.returncode == -signal.SIGKILL
    assert holding(study, *known) == there, "the old files are there still"
    assert (states(study)["mine"][0] == "refused") == (step == "_delete")
    code, answer, said = told(world, capsys, world.urls["mine"], "--yes")
    assert code == 0 and answer["taken_down"], said
    assert (len(answer["leftovers"]) > 0) == (step == "_delete")
    assert holding(study, *known) == set()
    check(study)


def test_it_waits_for_nobody_who_could_write_the_bytes_again(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    study = world.study
    study.database().write(lambda session: enqueue(session, "pack", "x"))
    lease = claim(study.database(), ["pack"], this_process(), 600.0)
    assert lease is not None
    code, answer, _ = told(world, capsys, world.urls["mine"], "--yes")
    assert code == 2 and "Jobs are at work on the study (pack)" in answer["error"]
    assert states(study)["mine"] == ("stored", None)
    check(study)


def test_a_run_that_is_being_trained_on_it_must_stop_first(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    study = world.study
    add_run(study, "now", samples_of(study, "mine"))
    study.database().write(lambda s: s.execute(update(Run).values(state="running")))
    holder = f"""
import sys, time
from pathlib import Path
from omnisrc.train.run_folder import RunFolder
with RunFolder(Path({str(study.runs / "now")!r})).locked():
    print("held", flush=True)
    sys.stdin.read()
"""
    with subprocess.Popen(
        [sys.executable, "-c", holder], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as held:
        assert held.stdout is not None and held.stdout.readline() == b"held\n"
        code, answer, _ = told(world, capsys, world.urls["mine"], "--yes")
        assert code == 2 and "now is being trained on it; stop it first" in answer["error"]
        held.communicate(b"")
    assert told(world, capsys, world.urls["mine"], "--yes")[1]["taken_down"] is True


@pytest.mark.parametrize("any_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ((), "Name what to take down"),
        (("http://example.org/a", "--author", "Ada"), "only one of them"),
        (("http://example.org/nowhere",), "no asset with http://example.org/nowhere"),
        (("--author", "Adah"), "no asset of the author Adah; `omnisrc export assets` lists them all. Did you mean Ada"),
        (("--asset", "4711"), "holds no asset 4711"),
        (("gopher://x",), "is not a URL"),
        (("--asset", "x"), "'--asset'"),
        (("--author", ""), "1 to 500 characters"),
    ],
)
def test_mistakes_are_one_sentence_and_exit_code_2(
    world: World, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], sentence: str
) -> None:
    code, answer, _ = told(world, capsys, *arguments, "--yes")
    assert code == 2 and sentence in answer["error"]
