"""Studies at several stages of their life, made of rows and real shards."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from sqlalchemy.orm import Session

from db.models import (
    ActionClass,
    Asset,
    Blob,
    ClassList,
    DuplicatePair,
    Find,
    Job,
    Prediction,
    PredictionSet,
    Query,
    Rule,
    Run,
    Sample,
    Selection,
    SelectionMember,
    Shard,
    TargetItem,
    Teacher,
)
from omnisrc.shards.write import ShardFile, ShardWriter
from omnisrc.study import Study
from tests.media_files import image_bytes, video_bytes

CLASSES = ("abseiling", "brush hair", "playing cards")
HOSTILE = "<script>alert('title')</script>"
HOSTILE_AUTHOR = '"><img src=x onerror=alert(1)>'
HOSTILE_PAGE = "javascript:alert(document.domain)"


@dataclass
class Built:
    """Ids of what the builder made."""

    class_list: int = 0
    class_ids: list[int] = field(default_factory=list)
    query_ids: dict[tuple[int, str, str], int] = field(default_factory=dict)
    samples: list[int] = field(default_factory=list)
    clips: list[int] = field(default_factory=list)
    items: list[int] = field(default_factory=list)
    selection: int = 0


def add_class_list(session: Session, names: Sequence[str] = CLASSES) -> Built:
    built = Built()
    row = ClassList(name="three actions", sha256="c" * 64, created=1.7e9)
    session.add(row)
    session.flush()
    built.class_list = row.id
    for position, name in enumerate(names):
        made = ActionClass(class_list_id=row.id, position=position, name=name, query=name, tags=[])
        session.add(made)
        session.flush()
        built.class_ids.append(made.id)
    return built


def add_asset(session: Session, built: Built, number: int, labels: Sequence[int], **given: Any) -> Asset:
    """An asset found for the classes `labels`."""
    provider, kind = given.pop("provider", "commons"), given.pop("kind", "image")
    url = given.pop("url", f"https://media.example/{number}.jpg")
    fields: dict[str, Any] = {
        "page_url": f"https://pages.example/{number}", "license": "CC BY-SA 4.0", "author": "Ada", "state": "stored",
        "title": f"picture {number}", **given,
    }  # fmt: skip
    asset = Asset(
        url=url, url_sha256=f"{number:064x}", host="media.example:443", kind=kind, provider=provider, **fields
    )
    session.add(asset)
    session.flush()
    for label in labels:
        key = (label, provider, kind)
        if key not in built.query_ids:
            query = Query(class_id=built.class_ids[label], provider=provider, kind=kind, text=CLASSES[label])
            session.add(query)
            session.flush()
            built.query_ids[key] = query.id
        session.add(Find(query_id=built.query_ids[key], asset_id=asset.id, rank=number, page=0))
    return asset


def add_shard(session: Session, study: Study, file: ShardFile, kind: str, medium: str) -> Shard:
    row = Shard(
        kind=kind, medium=medium, path=study.relative(file.path), count=file.count, bytes=file.bytes,
        sha256=file.sha256, created=1.7e9,
    )  # fmt: skip
    session.add(row)
    session.flush()
    return row


def write_shard(study: Study, folder: str, name: str, ext: str, members: Sequence[bytes]) -> ShardFile:
    with ShardWriter(study.root / folder, name) as writer:
        for number, data in enumerate(members):
            writer.write(f"k{number:04d}", {ext: data})
        return writer.close()


def store(session: Session, shard: Shard, file: ShardFile, asset: Asset, number: int, medium: str) -> Blob:
    """The blob of an asset: member `number` of a landing shard."""
    member = file.members[number]
    blob = Blob(
        sha256=f"{shard.id:032x}{number:032x}", fetched_bytes=member.length, medium=medium,
        mime="image/jpeg" if medium == "image" else "video/mp4", shard_id=shard.id, key=member.key,
        offset=member.offset, length=member.length, stored_sha256="0" * 64, width=320, height=240,
    )  # fmt: skip
    session.add(blob)
    session.flush()
    asset.blob_id = blob.id
    return blob


def crawled(study: Study, images: int = 12) -> Built:
    """A crawl: stored images of two providers, two videos, a duplicate, and failures of several classes."""
    pictures = write_shard(study, "landing", "land-images", "jpg", [image_bytes(seed=n) for n in range(images)])
    films = write_shard(study, "landing", "land-videos", "mp4", [video_bytes(50, seed=n) for n in range(2)])

    def write(session: Session) -> Built:
        built = add_class_list(session)
        shard = add_shard(session, study, pictures, "landing", "image")
        for number in range(images):
            given: dict[str, Any] = {"provider": "table" if number % 4 == 3 else "commons"}
            if number == 0:
                given |= {"title": HOSTILE, "author": HOSTILE_AUTHOR, "page_url": HOSTILE_PAGE, "license": "<b>CC</b>"}
            given |= {1: {"license": None}, 2: {"license": "CC BY-ND 4.0"}}.get(number, {})
            asset = add_asset(session, built, number, [number % 3], **given)
            blob = store(session, shard, pictures, asset, number, "image")
            sample = Sample(blob_id=blob.id, kind="image")
            session.add(sample)
            session.flush()
            built.samples.append(sample.id)
        shard = add_shard(session, study, films, "landing", "video")
        for number in range(2):
            asset = add_asset(
                session, built, 100 + number, [0], kind="video", url=f"https://media.example/{number}.mp4"
            )
            blob = store(session, shard, films, asset, number, "video")
            for start in (0.0, 1.0):
                sample = Sample(blob_id=blob.id, kind="clip", start=start, end=start + 1.0)
                session.add(sample)
                session.flush()
                built.clips.append(sample.id)
        first = session.get_one(Sample, built.samples[0])
        add_asset(session, built, 200, [0, 1], state="duplicate", blob_id=first.blob_id)
        add_failures(session, built)
        tag = Query(class_id=built.class_ids[0], provider="commons", kind="image", text="abseil")
        session.add(tag)
        session.flush()
        session.add(Find(query_id=tag.id, asset_id=1, rank=0, page=0))  # a second query of the class finds it again
        return built

    return study.database().write(write)


def add_failures(session: Session, built: Built) -> None:
    """Three of http-4xx (two of status 404, one of 403), one refused address, one too small, one waiting."""
    for number, status in ((300, 404), (301, 404), (302, 403)):
        add_asset(session, built, number, [1], state="failed", error="http-4xx", http_status=status)
    inner = "http://169.254.169.254/latest/meta-data"
    add_asset(session, built, 303, [2], url=inner, page_url=None, state="refused", error="refused-address")
    add_asset(session, built, 304, [2], state="refused", error="too-small", error_detail="64 x 64 pixels")
    add_asset(session, built, 305, [2], state="waiting", error="http-5xx", http_status=503)


def add_target(study: Study, session: Session, built: Built, file: ShardFile) -> None:
    """One item of each split in a shard, and one that failed."""
    shard = add_shard(session, study, file, "target", "video")
    for number, split in enumerate(("train", "val", "test")):
        member = file.members[number]
        item = TargetItem(
            class_list_id=built.class_list, path=f"/data/{split}/clip {number}.avi", label=number, split=split,
            state="stored", shard_id=shard.id, key=member.key, offset=member.offset, length=member.length,
        )  # fmt: skip
        session.add(item)
        session.flush()
        built.items.append(item.id)
    broken = TargetItem(
        class_list_id=built.class_list, path="/data/broken.avi", label=0, split="train", state="failed", error="decode"
    )
    job = Job(
        stage="fetch", subject="drain 7", params={}, params_sha256="0" * 64, overrides=[], state="failed",
        error="storage", error_detail="no space left", strikes={}, result={}, created=1.7e9,
    )  # fmt: skip
    session.add_all([broken, job])


def filtered(study: Study) -> Built:
    """A crawl, a target, a teacher's predictions and a packed selection with two kinds of copies.

    Images 0 to 7 and all clips are kept; 8 and 9 disagree, 10 is contaminated, 11 is a near-duplicate of 0.
    """
    built = crawled(study)
    target = write_shard(study, "target", "target-0", "mp4", [video_bytes(25, seed=9 + n) for n in range(3)])
    packed = write_shard(study, "curated", "curated-0", "jpg", [image_bytes(seed=n) for n in range(8)])
    clips = write_shard(study, "curated", "curated-1", "mp4", [video_bytes(25, seed=n) for n in range(4)])

    def write(session: Session) -> Built:
        add_target(study, session, built, target)
        teacher = Teacher(name="slowonly_r50", fingerprint="f" * 64, meta={})
        rule = Rule(sha256="r" * 64, params={"name": "agree", "min_probability": 0.25, "licences": {"deny": ["*ND*"]}})
        session.add_all([teacher, rule])
        session.flush()
        selection = Selection(
            name="default", rule_id=rule.id, class_list_id=built.class_list, teachers={"clip": teacher.id},
            decontaminated=True, packed=True, counts={"planted_leaks": {"planted": 40, "caught": 39}},
            warnings=["Images are judged by replication."], created=1.75e9,
        )  # fmt: skip
        session.add(selection)
        session.flush()
        built.selection = selection.id
        add_predictions(session, built, teacher.id)
        images = add_shard(session, study, packed, "curated", "image")
        videos = add_shard(session, study, clips, "curated", "video")
        reasons = {8: "disagree", 9: "disagree", 10: "contaminated", 11: "near-duplicate"}
        for number, sample in enumerate(built.samples):
            place = _place(images, packed, number) if number < 8 else {}
            session.add(_member(built, sample, number % 3, 0.99 - 0.08 * number, reasons.get(number), **place))
        for number, sample in enumerate(built.clips):
            session.add(_member(built, sample, 0, 0.7, None, **_place(videos, clips, number)))
        pair = {"selection_id": selection.id, "method": "hash"}
        session.add(DuplicatePair(sample_id=built.samples[11], other_sample_id=built.samples[0], distance=12.0, **pair))
        session.add(DuplicatePair(sample_id=built.samples[10], target_item_id=built.items[2], distance=41.0, **pair))
        return built

    return study.database().write(write)


def add_predictions(session: Session, built: Built, teacher: int) -> None:
    shard = session.get_one(Sample, built.samples[0])
    blob = session.get_one(Blob, shard.blob_id)
    made = PredictionSet(
        teacher_id=teacher, shard_id=blob.shard_id, path="landing/x.npz", count=12, sha256="0" * 64, created=1.7e9
    )
    session.add(made)
    session.flush()
    for number, sample in enumerate(built.samples):
        top = [[number % 3, 2.0], [(number + 1) % 3, 0.0], [(number + 2) % 3, 0.0]]
        total = math.log(math.exp(2.0) + 2.0)
        session.add(
            Prediction(
                prediction_set_id=made.id,
                sample_id=sample,
                row=number,
                top=top,
                asked=number % 3,
                asked_logit=2.0,
                logsumexp=total,
            )
        )


def _place(shard: Shard, file: ShardFile, number: int) -> dict[str, Any]:
    member = file.members[number]
    return {"shard_id": shard.id, "key": member.key, "offset": member.offset, "length": member.length}


def _member(built: Built, sample: int, label: int, score: float, reason: str | None, **place: Any) -> SelectionMember:
    return SelectionMember(
        selection_id=built.selection, sample_id=sample, label=label, score=score, reason=reason, **place
    )


def add_run(
    study: Study, name: str, mix: dict[str, float], steps: int, seed: int, top1: float, matrix: Any = None,
    *, state: str = "done", batch: int = 12, selection: int | None = None,
) -> None:  # fmt: skip
    """A training run with its log, and its score on test with a confusion matrix."""
    folder = study.runs / name / "eval" / "test"
    folder.mkdir(parents=True)
    write_log(study, name, mix, steps)
    counts = np.array([[8, 2, 0], [1, 9, 0], [3, 0, 7]] if matrix is None else matrix)
    with (folder / "confusion.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["true \\ predicted", *CLASSES])
        writer.writerows([name, *row] for name, row in zip(CLASSES, counts.tolist(), strict=True))
    settings = {"model": "tsn_r18", "model_args": {}, "steps": steps, "batch_size": batch, "lr": 0.02}
    config = {"settings": settings, "mix": mix, "seed": seed, "manifest_sha256": "+".join(mix), "init": {}}
    protocol = {"clips": 3, "crops": 1, "average": "score", "size": 112}
    figures = {"top1": top1, "top5": 1.0, "mean_class_accuracy": top1 - 0.01, "samples": 30, "unreadable": 0}

    def write(session: Session) -> None:
        session.add(
            Run(kind="train", name=name, state=state, selection_id=selection, config=config, metrics={}, started=1.7e9)
        )
        if state == "done":
            about = {"split": "test", "model": "tsn_r18", "protocol": protocol, "folder": str(folder)}
            session.add(
                Run(kind="eval", name=name, state="done", config=about, metrics=figures, started=1.7e9, finished=1.7e9)
            )

    study.database().write(write)


def write_log(study: Study, name: str, mix: dict[str, float], steps: int) -> None:
    lines: list[dict[str, Any]] = []
    for step in range(10, steps + 1, 10):
        decay = math.exp(-2 * step / steps)
        by_source = {
            source: {"loss": decay + 0.2 * at, "top1": 1 - decay, "wait": 0.1 / (at + 1), "skips": int(step == 20)}
            for at, source in enumerate(mix)
        }
        lines.append({"step": step, "kind": "train", "lr": 0.02, "loss": decay, "step_s": 0.1, **by_source})
        if step % (steps // 4) == 0:
            lines.append({"step": step, "kind": "val", "top1": 0.9 - decay / 2, "loss": decay + 0.3})
    (study.runs / name / "log.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))


def trained(study: Study) -> Built:
    """The filtered study, with two seeds of a mix and of the target alone at as many steps and as much compute."""
    built = filtered(study)
    mix = {"target": 2.0, "web-image": 1.0, "web-clip": 1.0}
    for seed in (0, 1):
        add_run(study, f"target-s{seed}", {"target": 2.0}, 400, seed, 0.60 + 0.02 * seed)
        add_run(study, f"long-s{seed}", {"target": 2.0}, 800, seed, 0.66 - 0.01 * seed)
        better = [[10, 0, 0], [1, 9, 0], [2, 1, 7]]
        add_run(study, f"mix-s{seed}", mix, 400, seed, 0.75 + 0.03 * seed, better, selection=built.selection)
    return built
