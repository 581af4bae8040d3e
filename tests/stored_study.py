"""A study whose shards lie here or in an object store: target, crawl and filter run in this process."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest
from sqlalchemy import select

from db import catalogue, schema
from db.models import Asset, PredictionSet, Shard
from omnisrc import resources
from omnisrc.classes.load import load_class_list
from omnisrc.data.importers.formats import read_target
from omnisrc.data.settings import TargetSettings
from omnisrc.data.target import add_rows
from omnisrc.shards.inventory import take_inventory
from omnisrc.shards.store import is_remote
from omnisrc.study import Study
from tests.crawl.studies import crawl, crawl_study, hurry, plan_crawl
from tests.filter.stages import filter_here, tiny_teacher, work
from tests.local_web import LocalWeb
from tests.media_files import image_bytes, video_bytes
from tests.object_store import Bucket

CLASSES = ("juggling balls", "brush hair")
SMALL = [
    "train.model=slowonly_r18", "train.model_args={width: 8, dropout: 0.0}", "train.crop_size=32", "train.clip_len=4",
    "train.batch_size=4", "train.frame_interval=2", "train.eval_every=2", "train.threads=1", "train.device=cpu",
    "train.steps=2",
]  # fmt: skip


def serve(web: LocalWeb, folder: Path, images: int = 10, videos: int = 2) -> list[str]:
    """Puts media on the web and what lists them into a folder; the --set that a crawl of it needs."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = ["url,class,author,title,license,kind"]
    for at in range(images + videos):
        kind = "image" if at < images else "video"
        data = image_bytes(200, 150, seed=at) if at < images else video_bytes(60, width=160, height=128, seed=at)
        url = web.add(f"/{kind}-{at}", data)
        lines.append(f"{url},{CLASSES[at % 2]},Ada,Number {at},CC BY 4.0,{kind}")
    (folder / "urls.csv").write_text("\n".join(lines) + "\n")
    (folder / "classes.txt").write_text("".join(f"{name}\n" for name in CLASSES))
    for number, split in enumerate(("train", "val")):
        for label, name in enumerate(CLASSES):
            place = folder / "target" / split / name
            place.mkdir(parents=True, exist_ok=True)
            for at in range(2):
                clip = video_bytes(24, width=96, height=80, seed=1000 + 100 * number + 10 * label + at)
                (place / f"{at}.mp4").write_bytes(clip)
    return [f"providers.table.path={folder / 'urls.csv'}", f"crawl.allow_hosts={[web.site]}"]


def open_study(root: Path, sets: Sequence[str]) -> Study:
    study = crawl_study(Study.open(root), *sets)
    study.prepare()
    schema.upgrade(study.database(), resources.migrations())
    return study


def add_target(study: Study, folder: Path) -> None:
    listing = read_target("folder", folder / "target", class_list=load_class_list(folder / "classes.txt"))
    study.database().write(
        lambda s: add_rows(s, listing.items, listing.class_list, TargetSettings(), overrides=study.overrides)
    )
    work(study, "import")


def crawl_it(study: Study, folder: Path) -> None:
    top_up, _ = plan_crawl(study, folder / "classes.txt", "table", ("image", "video"))
    crawl(study, top_up)


def filter_it(study: Study, patch: pytest.MonkeyPatch, **wish):
    tiny_teacher(study.models / "tiny.safetensors", classes=CLASSES)
    hurry(study)
    return filter_here(study, patch, **({"teacher": "tiny", "rule": "all"} | wish))


def selected(study: Study) -> list[tuple]:
    """What the newest selection keeps and drops, by URL."""
    found = study.database().read(lambda session: catalogue.latest_selection(session, None))
    rows = catalogue.selection(study.database(), found.id)
    urls = {row["sample"]: row["url"] for row in catalogue.samples(study.database())}
    return sorted((urls[row["sample"]], row["reason"], row["label"], round(row["score"], 5)) for row in rows)


def rows_of(study: Study, kind: str = "") -> list[Shard]:
    rows = study.database().read(lambda s: list(s.scalars(select(Shard).where(Shard.freed.is_(False)))))
    return [row for row in rows if row.kind == kind or not kind]


def accounted(study: Study, bucket: Bucket | None = None) -> Counter[str]:
    """Every asset has come to its end once and its bytes lie where its row says; every file belongs to a row. The
    number of assets by state."""
    found = take_inventory(study, deep=True)
    assert (found.damage, found.litter) == ([], {}), (found.damage, found.litter)
    assets = study.database().read(lambda s: list(s.scalars(select(Asset))))
    stored = [asset.blob_id for asset in assets if asset.state == "stored"]
    assert len(stored) == len(set(stored)) and None not in stored
    if bucket is not None:
        held = bucket.objects()
        sums = {hashlib.sha256(data).hexdigest() for data in held.values()}
        sets = study.database().read(lambda s: list(s.scalars(select(PredictionSet))))
        for row in [*rows_of(study), *sets]:
            assert not is_remote(row.path) or row.sha256 in sums
    return Counter(asset.state for asset in assets)


def line(study: Study, *sets: str) -> list[str]:
    """How a command line finds the study."""
    found = ["--workspace", str(study.root)]
    for each in sets:
        found += ["--set", each]
    return found
