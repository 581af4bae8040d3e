"""A small study that was crawled from a web on loopback, judged by a tiny teacher, selected and packed."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy import delete, select, update

from db import schema
from db.models import Job, Prediction, PredictionSet, Query, QueryPage, Run, Sample, SelectionMember, Shard
from omnisrc import resources
from omnisrc.data.manifest import manifest_of, write_manifest
from omnisrc.filter.predict import read_predictions
from omnisrc.shards.attribution import attribution_paths
from omnisrc.shards.read import ShardReader, read_bytes
from omnisrc.shards.verify import verify_shard
from omnisrc.study import Study
from tests.crawl.conftest import picture, web  # noqa: F401
from tests.crawl.studies import crawl, crawl_study, plan_crawl
from tests.filter.stages import filter_here, tiny_teacher
from tests.local_web import LocalWeb
from tests.media_files import video_bytes

CLASSES = ("juggling balls", "brush hair")
COLUMNS = ("url", "class", "author", "title", "page_url", "license", "license_url")
OPEN = ("CC BY 4.0", "https://creativecommons.org/licenses/by/4.0/")


@dataclass
class World:
    """`urls`: name -> URL; `bytes`: name -> what is served there."""

    study: Study
    web: LocalWeb
    table: Path
    classes: Path
    urls: dict[str, str]
    bytes: dict[str, bytes]

    def offer(self, name: str, data: bytes, author: str, kind: str = "image") -> None:
        self.bytes[name], self.urls[name] = data, self.web.add(f"/{name}", data)
        page = f"{self.web.url}/page/{name}"
        row = (self.urls[name], "{}", author, f"Title of {name}", page, *OPEN, kind)
        with self.table.open("a") as file:
            file.writelines(",".join(row).format(label) + "\n" for label in CLASSES)

    def crawl(self) -> None:
        """Asks all queries anew and fetches what is new."""
        self.study.database().write(_ask_again)
        top_up, _ = plan_crawl(self.study, self.classes, "table", ("image", "video"))
        crawl(self.study, top_up)

    def arguments(self) -> list[str]:
        """How the command line finds the study."""
        return ["--workspace", str(self.study.root), "--set", f"database.url={self.study.database_url}"]


def _ask_again(session) -> None:
    session.execute(delete(QueryPage))
    session.execute(delete(Job).where(Job.stage == "discover"))
    session.execute(update(Query).values(exhausted=False))


@pytest.fixture(params=["sqlite", "postgresql"])
def any_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "postgresql":
        return str(request.getfixturevalue("postgresql_url"))
    return f"sqlite:///{tmp_path / 'study' / 'catalog.db'}"


def build(url: str, root: Path, web: LocalWeb, picture: Callable[..., bytes], patch) -> World:  # noqa: F811
    table, classes = root / "urls.csv", root / "classes.txt"
    table.write_text(",".join((*COLUMNS, "kind")) + "\n")
    classes.write_text("".join(f"{name}\n" for name in CLASSES))
    sets = (f"database.url={url}", f"providers.table.path={table}", f"crawl.allow_hosts={[web.site]}")
    study = crawl_study(Study.open(root / "study"), *sets)
    study.prepare()
    schema.upgrade(study.database(), resources.migrations())
    world = World(study, web, table, classes, {}, {})
    world.offer("mine", picture(1), "Ada")
    world.offer("copy", picture(1), "Bob")
    for number, name in enumerate(("second", "third", "fourth"), start=2):
        world.offer(name, picture(number), "Cleo")
    world.offer("movie", video_bytes(60, width=160, height=128), "Ada", "video")
    world.crawl()
    tiny_teacher(study.models / "tiny.safetensors", classes=CLASSES)
    filter_here(study, patch, teacher="tiny")
    return world


@pytest.fixture
def world(
    any_url: str,
    tmp_path: Path,
    web: LocalWeb,  # noqa: F811
    picture: Callable[..., bytes],  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[World]:
    made = build(any_url, tmp_path, web, picture, monkeypatch)
    yield made
    made.study.database().dispose()


def add_run(study: Study, name: str, samples: list[int], **config: object) -> None:
    """A run that was trained on these samples."""
    folder = study.runs / name
    folder.mkdir(parents=True)
    (folder / "run.yaml").write_text("recipe: {}\n")
    columns = {
        "sample": samples, "source": ["web-image"] * len(samples), "split": ["train"] * len(samples),
        "label": [0] * len(samples), "path": ["curated/x.tar"] * len(samples), "medium": ["image"] * len(samples),
    }  # fmt: skip
    write_manifest(manifest_of(columns, CLASSES, "mine", "0" * 64), folder / "manifest.parquet")
    row = Run(kind="train", name=name, state="done", config=dict(config), metrics={}, started=0.0)
    study.database().write(lambda session: session.add(row))


def check(study: Study) -> None:
    """Files and rows agree: every shard and prediction file is sound, every place is where its row says, and nothing
    lies about that no row names."""

    def read(session):
        return (
            session.scalars(select(Shard)).all(),
            session.scalars(select(PredictionSet)).all(),
            session.scalars(select(Prediction)).all(),
            session.execute(select(SelectionMember, Sample).join(Sample)).all(),
        )

    shards, sets, predictions, members = study.database().read(read)
    named = set()
    for shard in shards:
        if not shard.freed:
            path = study.root / shard.path
            assert verify_shard(path, count=shard.count, bytes=shard.bytes, sha256=shard.sha256) == []
            named |= {path.name, path.with_suffix(".idx").name}
            if shard.kind == "curated":
                named |= {file.name for file in attribution_paths(path)}
    for made in sets:
        path = study.root / made.path
        assert hashlib.sha256(path.read_bytes()).hexdigest() == made.sha256
        named.add(path.name)
        said = read_predictions(path)
        assert len(said.samples) == made.count
        rows = [each for each in predictions if each.prediction_set_id == made.id]
        assert sorted(said.samples[each.row] for each in rows) == sorted(each.sample_id for each in rows)
        assert len(rows) == made.count
        assert all(said.samples[each.row] == each.sample_id for each in rows)
    paths = {shard.id: study.root / shard.path for shard in shards}
    for member, sample in members:
        if member.shard_id is not None:
            fields = ShardReader(paths[member.shard_id]).get(member.key)
            media = fields["jpg" if sample.kind == "image" else "mp4"]
            assert read_bytes(paths[member.shard_id], member.offset, member.length) == media
    for folder in (study.landing, study.curated):
        assert {path.name for path in folder.iterdir()} <= named
    assert all((study.curated / name).exists() for name in named if ".attribution." in name)


def holding(study: Study, *needles: bytes) -> set[str]:
    """Files of the workspace (but for the database) that hold one of the texts."""
    files = [path for path in study.root.rglob("*") if path.is_file() and "catalog.db" not in path.name]
    return {str(path.relative_to(study.root)) for path in files if any(n in path.read_bytes() for n in needles)}
