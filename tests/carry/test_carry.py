"""A study leaves in one file and works where it arrives; what is hostile, short or full leaves nothing behind."""

from __future__ import annotations

import hashlib
import io
import json
import os
import resource
import shutil
import signal
import sqlite3
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import select, update

from db.models import Asset, HostSlot, Job, Shard, TargetItem
from omnisrc.carry.arrive import import_workspace
from omnisrc.carry.export import export_workspace
from omnisrc.cli.main import run
from omnisrc.engine.run import RunSummary
from omnisrc.engine.work import work_once
from omnisrc.errors import UserError, WorldError
from omnisrc.shards.inventory import take_inventory
from omnisrc.study import Study
from tests.filter.stages import tiny_teacher
from tests.filter.web import CLASSES, Item, land
from tests.media_files import image_bytes, video_bytes

ROOT = Path(__file__).resolve().parents[2]
SECRET = "hunter2secret"
SETTINGS = f"""
crawl: {{contact: me@example.org, host_rate: 2}}
database: {{url: ''}}
engine: {{broker: 'redis://user:{SECRET}@host/0'}}
providers: {{flickr: {{key_file: /secrets/flickr}}, table: {{path: /data/urls.csv}}}}
"""


def command(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, dict, str]:
    """(exit code, the JSON object, what was said)."""
    code = run([str(argument) for argument in arguments] + ["--json"])
    out, err = capsys.readouterr()
    assert "Traceback" not in err
    return code, json.loads(out.splitlines()[-1]), " ".join(err.split())


def landed(study: Study) -> Study:
    """Images and a clip of the web, a job in hand, and settings with secrets in them."""
    found = dict.fromkeys(CLASSES, 0)
    land(study, [Item(f"{n}.jpg", found, image_bytes(96, 72, seed=n)) for n in range(4)])
    clips = [Item(f"{n}.mp4", found, video_bytes(8, width=96, height=72, seed=30 + n), medium="video") for n in (0, 1)]
    land(study, clips, name="landing-2")
    (study.root / "omnisrc.yaml").write_text(SETTINGS)
    study.models.mkdir(exist_ok=True)
    (study.models / "note.txt").write_text("mine")

    def work(session) -> None:
        session.add(
            Job(
                stage="fetch", subject="drain 1", params={}, params_sha256="0", state="leased", lease_token="t",
                lease_owner="me", lease_until=9e9, strikes={}, result={}, created=0.0,
                overrides=[f"database.url=postgresql://u:{SECRET}@h/d", "crawl.host_rate=2"],
            )
        )  # fmt: skip
        session.add(HostSlot(host="example.org:443", slot=0, token="t"))
        session.execute(update(Asset).where(Asset.id == 1).values(lease_token="t"))

    study.database().write(work)
    study.database().dispose()
    return study


def files(root: Path) -> dict[str, bytes]:
    return {
        path.relative_to(root).as_posix(): path.read_bytes()
        for path in root.rglob("*")
        if path.is_file() and not path.name.startswith(("catalog.db", "omnisrc.yaml", "shards.lock"))
    }


def left_of(path: Path) -> list[str]:
    """What lies beside a file that has to do with it."""
    return sorted(one.name for one in path.parent.iterdir() if path.name in one.name)


@pytest.mark.parametrize("ending", [".tar", ".tar.gz", ".tar.zst"])
def test_a_study_comes_out_as_it_went_in(study: Study, tmp_path: Path, ending: str) -> None:
    landed(study)
    path, into = tmp_path / f"study{ending}", tmp_path / "elsewhere" / "new"
    told = export_workspace(study, path)
    assert left_of(path) == [path.name]
    header = import_workspace(path, into)
    assert header.files == told.files and files(into) == files(study.root)
    arrived = Study.open(into)
    inventory = take_inventory(arrived, deep=True)
    assert inventory.shards == 2 and inventory.damage == [] and inventory.litter == {}
    assert [entry.name for entry in into.parent.iterdir()] == ["new"]
    arrived.database().dispose()


def test_secrets_do_not_travel_and_nobody_holds_anything_there(study: Study, tmp_path: Path) -> None:
    landed(study)
    path = tmp_path / "study.tar"
    told = export_workspace(study, path)
    assert (
        SECRET.encode() not in path.read_bytes() and b"/secrets/flickr" not in path.read_bytes().split(b'"set_again')[0]
    )
    assert told.set_again == ["engine.broker", "providers.flickr.key_file"]
    assert told.elsewhere == ["providers.table.path: /data/urls.csv"]
    import_workspace(path, tmp_path / "new")
    arrived = Study.open(tmp_path / "new")
    assert arrived.settings["crawl"] == {"contact": "me@example.org", "host_rate": 2}
    assert "engine" not in arrived.settings and "flickr" not in arrived.settings["providers"]

    def held(session) -> tuple:
        job = session.scalars(select(Job)).one()
        tokens = [*session.scalars(select(Asset.lease_token)), *session.scalars(select(HostSlot.token))]
        return job.state, job.lease_token, job.overrides, {token for token in tokens if token}

    assert arrived.database().read(held) == ("waiting", None, ["crawl.host_rate=2"], set())
    assert study.database().read(held)[0] == "leased", "where it came from nothing changed"
    arrived.database().dispose()


def test_a_study_on_postgresql_arrives_on_sqlite(study: Study, tmp_path: Path, postgresql_url: str) -> None:
    assert run(["db", "upgrade", "--workspace", str(study.root), "--set", f"database.url={postgresql_url}"]) == 0
    server = Study.open(study.root, (f"database.url={postgresql_url}",))
    landed(server)
    export_workspace(server, tmp_path / "study.tar")
    import_workspace(tmp_path / "study.tar", tmp_path / "new")
    arrived = Study.open(tmp_path / "new")
    assert arrived.database_url.startswith("sqlite") and take_inventory(arrived, deep=True).shards == 2
    for one in (arrived, server):
        one.database().dispose()


def run_here(study: Study, stages: list[str], **_: object) -> RunSummary:
    """The engine's stages in this process."""
    while work_once(study, stages):
        pass
    return RunSummary()


def test_filter_and_train_work_where_it_arrives(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The old workspace and the target's own files are gone by then."""
    for module in ("omnisrc.cli.target", "omnisrc.filter.filtering"):
        monkeypatch.setattr(f"{module}.run_stages", run_here)
    clips, old, new = tmp_path / "clips", tmp_path / "old", tmp_path / "new"
    clips.mkdir()
    rows = ["path,label,group,split"]
    for number, split in enumerate(("train", "train", "train", "val", "test")):
        (clips / f"{number}.mp4").write_bytes(video_bytes(12, width=96, height=72, seed=number))
        rows.append(f"{number}.mp4,{CLASSES[number % 3]},g{number},{split}")
    (clips / "list.csv").write_text("\n".join(rows) + "\n")
    (tmp_path / "classes.txt").write_text("".join(f"{name}\n" for name in CLASSES))
    add = ("target", "add", clips / "list.csv", "--format", "csv", "--classes", tmp_path / "classes.txt")
    assert command(capsys, *add, "--workspace", old)[0] == 0
    study = landed(Study.open(old))
    study.database().write(lambda s: s.execute(update(Job).where(Job.stage == "fetch").values(state="done")))
    study.database().dispose()
    tiny_teacher(study.models / "tiny.safetensors")
    code, told, said = command(capsys, "export", "workspace", tmp_path / "s.tar.zst", "--workspace", old)
    assert code == 0 and told["in_place"] == {} and "engine.broker" in said
    shutil.rmtree(old)
    shutil.rmtree(clips)
    code, told, said = command(capsys, "import", "workspace", tmp_path / "s.tar.zst", "--into", new)
    assert code == 0 and "providers.table.path: /data/urls.csv" in said
    filtering = ("filter", "--teacher", "tiny", "--rule", "all", "--set", "filter.leak_checks=0", "--workspace", new)
    code, judged, said = command(capsys, *filtering)
    assert code == 0 and judged["packed"] and judged["decontaminated"], said
    sets = ["train.model_args={width: 8, dropout: 0.0}", "train.crop_size=32", "train.batch_size=4", "train.clip_len=4",
            "train.frame_interval=2", "train.eval_every=2", "train.threads=1", "train.device=cpu"]  # fmt: skip
    training = ["train", "--model", "slowonly_r18", "--mix", "web,target", "--steps", "2", "--workspace", new]
    code, trained, said = command(capsys, *training, *[part for text in sets for part in ("--set", text)])
    assert code == 0 and trained["steps"] == 2 and trained["sources"]["web-image"] > 0, said


def test_landing_shards_may_stay_behind(study: Study, tmp_path: Path) -> None:
    landed(study)
    told = export_workspace(study, tmp_path / "study.tar", {"landing", "models"})
    assert told.without == ["landing", "models"]
    import_workspace(tmp_path / "study.tar", tmp_path / "new")
    assert files(tmp_path / "new") == {}
    arrived = Study.open(tmp_path / "new")
    assert arrived.database().read(lambda s: set(s.scalars(select(Shard.freed)))) == {True}
    assert take_inventory(arrived, deep=True).damage == []
    assert study.database().read(lambda s: set(s.scalars(select(Shard.freed)))) == {False}
    arrived.database().dispose()


def test_target_items_used_in_place_are_named(study: Study, tmp_path: Path) -> None:
    landed(study)

    def add(session) -> None:
        for number in range(3):
            session.add(
                TargetItem(class_list_id=1, path=f"/videos/{number}.mp4", label=0, split="train", state="stored")
            )

    study.database().write(add)
    told = export_workspace(study, tmp_path / "study.tar")
    assert told.in_place == {"/videos": 3}


@pytest.fixture
def exported(study: Study, tmp_path: Path) -> Path:
    landed(study)
    export_workspace(study, tmp_path / "study.tar")
    return tmp_path / "study.tar"


def rewritten(exported: Path, change: Callable[[tarfile.TarInfo, bytes], list[tuple[tarfile.TarInfo, bytes]]]) -> Path:
    """The file with other members: what `change` makes of each."""
    path = exported.with_name("other.tar")
    with tarfile.open(exported) as old, tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as new:
        for member in old:
            for made, data in change(member, old.extractfile(member).read()):
                made.size = len(data) if made.isreg() else 0
                new.addfile(made, io.BytesIO(data))
    return path


def refused(path: Path, tmp_path: Path) -> str:
    """The sentence with which an import ends; nothing is left of it."""
    into = tmp_path / "new"
    with pytest.raises(UserError) as caught:
        import_workspace(path, into)
    assert left_of(into) == []
    return str(caught.value)


def member(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    made = tarfile.TarInfo(name)
    made.type, made.linkname = kind, link
    return made


@pytest.mark.parametrize(
    ("hostile", "words"),
    [
        (member("../../evil.txt"), "name"),
        (member("landing/../../evil.txt"), "name"),
        (member("/tmp/evil.txt"), "name"),
        (member("landing//evil.tar"), "name"),
        (member("landing\\evil.tar"), "name"),
        (member("landing/\x1b[2J.tar"), "name"),
        (member("landing"), "no part of a study"),
        (member(".bashrc"), "no part of a study"),
        (member("models/link", tarfile.SYMTYPE, "/etc/passwd"), "no plain file"),
        (member("models/link", tarfile.LNKTYPE, "workspace.json"), "no plain file"),
        (member("models/device", tarfile.CHRTYPE), "no plain file"),
        (member("models/pipe", tarfile.FIFOTYPE), "no plain file"),
        (member("models/folder", tarfile.DIRTYPE), "no plain file"),
        (member("catalog.db"), "twice"),
        (member("models/extra.bin"), "is not what was exported"),
        (member("models/note.txt/below"), "twice"),
    ],
    ids=lambda given: repr(given.name) + given.type.decode() if isinstance(given, tarfile.TarInfo) else "",
)
def test_a_hostile_file_is_refused_in_one_sentence(
    exported: Path, tmp_path: Path, hostile: tarfile.TarInfo, words: str
) -> None:
    def add(found: tarfile.TarInfo, data: bytes) -> list:
        return [(hostile, b"evil"), (found, data)] if found.name == "manifest.jsonl" else [(found, data)]

    sentence = refused(rewritten(exported, add), tmp_path)
    assert words in sentence or "as a file and as a folder" in sentence or "holds more than" in sentence
    assert not (tmp_path.parent / "evil.txt").exists() and not Path("/tmp/evil.txt").exists()


def test_changed_bytes_missing_files_and_bombs_are_refused(exported: Path, tmp_path: Path) -> None:
    def flip(found: tarfile.TarInfo, data: bytes) -> list:
        return [(found, data[:-1] + b"\x01" if found.name.endswith(".tar") else data)]

    def drop(found: tarfile.TarInfo, data: bytes) -> list:
        return [] if found.name.endswith(".tar") else [(found, data)]

    def grow(found: tarfile.TarInfo, data: bytes) -> list:
        return [(found, data + bytes(10**7) if found.name == "models/note.txt" else data)]

    assert "damaged" in refused(rewritten(exported, flip), tmp_path)
    assert "lacks landing/" in refused(rewritten(exported, drop), tmp_path)
    assert "holds more than" in refused(rewritten(exported, grow), tmp_path)


@pytest.mark.parametrize("statement", [
    "update shard set path = '../outside.tar' where id = 1",
    "update shard set path = '/etc/passwd' where id = 1",
    "create trigger evil after insert on asset begin delete from shard; end",
    "update alembic_version set version_num = '9999'",
])  # fmt: skip
def test_a_catalogue_that_leads_outside_or_runs_programs_is_refused(
    study: Study, tmp_path: Path, statement: str
) -> None:
    """Its hashes are right: somebody made the export so."""
    landed(study)
    if "shard" in statement and "update" in statement:
        for name in ("../outside.tar", "../outside.idx"):
            shutil.copy(study.landing / "landing-1.tar", study.root / name)
    path = tmp_path / "study.tar"
    export_workspace(study, path)

    def change(found: tarfile.TarInfo, data: bytes) -> list:
        if found.name == "catalog.db":
            (tmp_path / "c.db").write_bytes(data)
            with sqlite3.connect(tmp_path / "c.db") as connection:
                connection.execute(statement)
            connection.close()
            data = (tmp_path / "c.db").read_bytes()
            change.facts = (len(data), hashlib.sha256(data).hexdigest())
        if found.name == "manifest.jsonl":
            lines = [json.loads(line) for line in data.splitlines()]
            for line in lines:
                if line["name"] == "catalog.db":
                    line["bytes"], line["sha256"] = change.facts
            data = "".join(json.dumps(line) + "\n" for line in lines).encode()
        return [(found, data)]

    try:
        sentence = refused(rewritten(path, change), tmp_path)
        assert "outside the workspace" in sentence or "programs" in sentence
    except Exception as error:
        assert type(error).__name__ == "SchemaError" and "9999" in statement


@pytest.mark.parametrize("ending", [".tar", ".tar.gz", ".tar.zst"])
def test_a_file_that_ends_early_is_refused_wherever_it_ends(study: Study, tmp_path: Path, ending: str) -> None:
    landed(study)
    path = tmp_path / f"study{ending}"
    export_workspace(study, path)
    data = path.read_bytes()
    for part in (0, 100, len(data) // 3, len(data) // 2, len(data) * 9 // 10):
        path.write_bytes(data[:part])
        assert "copy it again" in refused(path, tmp_path) or part < 1000
    path.write_bytes(os.urandom(5000))
    assert refused(path, tmp_path)


def test_a_place_that_is_not_empty_is_refused_and_an_empty_folder_will_do(exported: Path, tmp_path: Path) -> None:
    into = tmp_path / "new"
    into.mkdir()
    (into / "mine").write_text("mine")
    with pytest.raises(UserError, match="not empty"):
        import_workspace(exported, into)
    assert (into / "mine").read_text() == "mine" and left_of(into) == ["new"]
    (into / "mine").unlink()
    import_workspace(exported, into)
    assert (into / "catalog.db").exists()


def test_a_disk_that_is_full_leaves_nothing(exported: Path, study: Study, tmp_path: Path, monkeypatch) -> None:
    real = shutil.disk_usage

    def full(path):
        return real(path)._replace(free=1000)

    monkeypatch.setattr(shutil, "disk_usage", full)
    for work in (
        lambda: import_workspace(exported, tmp_path / "new"),
        lambda: export_workspace(study, tmp_path / "more.tar"),
    ):
        with pytest.raises(WorldError, match="free"):
            work()
    assert left_of(tmp_path / "new") == left_of(tmp_path / "more.tar") == []


@contextmanager
def largest_file(limit: int) -> Iterator[None]:
    """No file may become larger, which stands for a disk that is full at any byte."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("ending", [".tar", ".tar.gz", ".tar.zst"])
def test_a_write_that_fails_leaves_nothing(study: Study, exported: Path, tmp_path: Path, ending: str) -> None:
    (study.models / "large.bin").write_bytes(os.urandom(3 * 10**6))
    (place := tmp_path / "place").mkdir()
    export_workspace(study, tmp_path / f"large{ending}")
    with largest_file(2 * 10**6):
        with pytest.raises(WorldError, match="could not be written"):
            export_workspace(study, place / f"study{ending}")
        assert list(place.iterdir()) == []
        with pytest.raises(WorldError, match=r"large\.bin could not be written"):
            import_workspace(tmp_path / f"large{ending}", place / "new")
    assert list(place.iterdir()) == []


@pytest.mark.parametrize("verb", ["export", "import"])
def test_killed_in_the_middle_and_run_again_is_fine(study: Study, tmp_path: Path, verb: str) -> None:
    landed(study)
    (study.models / "large.bin").write_bytes(os.urandom(40 * 10**6))
    source, place = tmp_path / "source.tar.gz", tmp_path / "place"
    place.mkdir()
    if verb == "import":
        export_workspace(study, source)
    result = place / ("study.tar.gz" if verb == "export" else "new")
    arguments = (
        ["export", "workspace", str(result), "--workspace", str(study.root)]
        if verb == "export"
        else ["import", "workspace", str(source), "--into", str(result)]
    )
    process = subprocess.Popen([sys.executable, "-m", "omnisrc", *arguments], cwd=ROOT, stderr=subprocess.DEVNULL)
    end = time.monotonic() + 60
    while not _begun(place) and process.poll() is None and time.monotonic() < end:
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert process.returncode == -signal.SIGKILL and not result.exists() and list(place.iterdir())
    if verb == "export":
        export_workspace(study, result)
        import_workspace(result, tmp_path / "again")
        result = tmp_path / "again"
        assert [one.name for one in place.iterdir()] == ["study.tar.gz"]
    else:
        import_workspace(source, result)
        assert [one.name for one in place.iterdir()] == ["new"]
    assert (result / "models" / "large.bin").read_bytes() == (study.models / "large.bin").read_bytes()


def _begun(place: Path) -> bool:
    """Whether something large is half written there."""
    found = [one for one in place.rglob("*") if one.is_file() and one.name in (".study.tar.gz.part", "large.bin")]
    return any(one.stat().st_size > 2**20 for one in found)


def test_mistakes_are_one_sentence(
    study: Study, exported: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for arguments, words in (
        (["export", "workspace", tmp_path / "study.zip", "--workspace", study.root], ".tar.zst"),
        (["export", "workspace", tmp_path / "none" / "s.tar", "--workspace", study.root], "There is no folder"),
        (["export", "workspace", tmp_path / "s.tar", "--without", "target", "--workspace", study.root], "may stay"),
        (["import", "workspace", tmp_path / "none.tar", "--into", tmp_path / "new"], "There is no file"),
        (["import", "workspace", exported, "--into", study.root], "not empty"),
    ):
        code, answer, _ = command(capsys, *arguments)
        assert code == 2 and words in answer["error"], answer
    assert left_of(tmp_path / "s.tar") == []
