"""Writes a small web into a study: assets, finds, blobs and samples, as a crawl and `segment` leave them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from sqlalchemy import select
from sqlalchemy.orm import Session

from db import models
from omnisrc.classes import class_list_of
from omnisrc.data.catalogue import record_class_list
from omnisrc.media.image import land_image
from omnisrc.shards.write import ShardWriter
from omnisrc.study import Study

CLASSES = ("golf", "pour", "run")


@dataclass
class Item:
    """One asset: found for classes at ranks, with a licence; `data` are its stored bytes."""

    name: str
    found: Mapping[str, int]
    data: bytes = b""
    licence: str | None = "CC BY 4.0"
    state: str = "stored"
    medium: str = "image"
    phash: bytes | None = None


@dataclass
class Web:
    class_list: int
    queries: dict[str, int] = field(default_factory=dict)
    blobs: dict[str, int] = field(default_factory=dict)
    shards: list[int] = field(default_factory=list)


def asked_classes(session: Session, classes: Sequence[str] = CLASSES) -> Web:
    """A class list with one query a class."""
    web = Web(record_class_list(session, class_list_of(classes, "mine")))
    rows = session.scalars(select(models.ActionClass).where(models.ActionClass.class_list_id == web.class_list))
    for action in rows.all():
        query = models.Query(class_id=action.id, provider="commons", kind="image", text=action.name)
        session.add(query)
        session.flush()
        web.queries[action.name] = query.id
    return web


def land(study: Study, items: Sequence[Item], classes: Sequence[str] = CLASSES, name: str = "landing-1") -> Web:
    """Stores items in one landing shard (all of one medium) with their rows."""
    ext = "mp4" if items[0].medium == "video" else "jpg"
    writer = ShardWriter(study.landing, name)
    keys = {item.name: f"{name}-{number:04d}" for number, item in enumerate(items)}
    members = {item.name: writer.write(keys[item.name], {ext: item.data})[0] for item in items}
    made = writer.close()

    def write(session: Session) -> Web:
        there = session.scalar(select(models.Query.id).limit(1)) is not None
        web = _known(session) if there else asked_classes(session, classes)
        shard = models.Shard(
            kind="landing", medium=items[0].medium, path=study.relative(made.path), count=made.count, bytes=made.bytes,
            sha256=made.sha256, created=0.0,
        )  # fmt: skip
        session.add(shard)
        session.flush()
        web.shards.append(shard.id)
        for item in items:
            _write_item(session, web, item, shard.id, members[item.name], keys[item.name])
        return web

    return study.database().write(write)


def _known(session: Session) -> Web:
    rows = session.execute(
        select(models.ActionClass.name, models.ActionClass.class_list_id, models.Query.id).join(
            models.Query, models.Query.class_id == models.ActionClass.id
        )
    ).all()
    return Web(rows[0].class_list_id, {row.name: row.id for row in rows})


def _write_item(session: Session, web: Web, item: Item, shard: int, member, key: str) -> None:
    sha256 = hashlib.sha256(item.data + item.name.encode()).hexdigest()
    blob = models.Blob(
        sha256=sha256, fetched_bytes=len(item.data), medium=item.medium,
        mime="video/mp4" if item.medium == "video" else "image/jpeg", shard_id=shard, key=key, offset=member.offset,
        length=member.length, stored_sha256=sha256, width=320, height=240,
        phash=item.phash or (_phash(item.data) if item.medium == "image" else None), phash_quality=100,
    )  # fmt: skip
    session.add(blob)
    session.flush()
    web.blobs[item.name] = blob.id
    asset = models.Asset(
        url=f"https://example.org/{item.name}", url_sha256=hashlib.sha256(item.name.encode()).hexdigest(),
        host="example.org:443", kind=item.medium, provider="commons", license=item.licence, author="Ada",
        title=item.name, state=item.state, blob_id=blob.id,
    )  # fmt: skip
    session.add(asset)
    session.flush()
    for number, (label, rank) in enumerate(item.found.items()):
        session.add(models.Find(query_id=web.queries[label], asset_id=asset.id, rank=rank, page=number))


def _phash(data: bytes) -> bytes | None:
    return land_image(data, min_side=1).phash if data else np.random.default_rng(0).bytes(32)
