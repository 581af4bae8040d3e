"""What a takedown concerns: the assets asked for, all that holds equal bytes, and what was made of them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Select, or_, select
from sqlalchemy.orm import Session

from db.models import Asset, Blob, DuplicatePair, PredictionSet, Sample, Selection, SelectionMember, Shard, Tombstone
from omnisrc.config import near
from omnisrc.errors import ErrorClass, ItemError, UserError
from omnisrc.web.urls import parse_url

SUMS = ("sha256", "sha1")
TAKEN_DOWN = ErrorClass.TAKEN_DOWN.value
LONGEST = 500  # characters of a tombstone's value
CHUNK = 500


@dataclass(frozen=True)
class Wish:
    """What somebody wants taken down: by a URL (of the media or of its page), by its author, or by an asset's id."""

    url: str | None = None
    author: str | None = None
    asset: int | None = None
    reason: str = ""

    def __post_init__(self) -> None:
        if sum(given is not None for given in (self.url, self.author, self.asset)) != 1:
            raise UserError("Name what to take down: a URL, --author NAME or --asset ID, and only one of them.")
        if self.author is not None and not 0 < len(self.author.strip()) <= LONGEST:
            raise UserError(f"An author's name has 1 to {LONGEST} characters.")
        if self.url is not None and not self.url.startswith("file:"):
            try:
                parse_url(self.url)
            except ItemError as error:
                raise UserError(f"{self.url!r} is not a URL that a crawl could ask for ({error.detail}).") from error

    def __str__(self) -> str:
        if self.url is not None:
            return self.url
        return f"the author {self.author}" if self.author is not None else f"the asset {self.asset}"


@dataclass(frozen=True)
class Concerned:
    """Rows that a takedown changes. `alike` are URLs of near-duplicates, which it leaves alone."""

    assets: list[Asset] = field(default_factory=list)
    blobs: list[Blob] = field(default_factory=list)
    samples: list[int] = field(default_factory=list)
    members: list[SelectionMember] = field(default_factory=list)
    selections: list[Selection] = field(default_factory=list)
    shards: list[Shard] = field(default_factory=list)  # with files that hold bytes of it
    sets: list[PredictionSet] = field(default_factory=list)
    alike: list[str] = field(default_factory=list)

    def state(self) -> tuple[Any, ...]:
        """What must not have changed between reading this and acting on it."""
        return (
            [asset.id for asset in self.assets],
            [(blob.id, blob.offset, blob.length, blob.shard_id) for blob in self.blobs],
            self.samples,
            [(member.id, member.shard_id, member.offset) for member in self.members],
            [(shard.id, shard.path, shard.freed) for shard in self.shards],
            [(made.id, made.path, made.sha256) for made in self.sets],
        )


def spelling(url: str) -> str:
    """A URL as the catalogue spells it."""
    return url if url.startswith("file:") else str(parse_url(url))


def read_concerned(session: Session, wish: Wish) -> Concerned:
    """All that the wish concerns and that was not taken down yet.

    Raises:
        UserError: the study has never heard of it.
    """
    asked = list(session.scalars(_asked(wish)))
    if not asked and not _buried(session, wish):
        raise UserError(_unknown(session, wish))
    blobs = _blobs(session, asked)
    assets = {asset.id: asset for asset in asked}
    leading = _each(session, select(Asset), Asset.blob_id, [blob.id for blob in blobs])
    sums = {blob.sha1 for blob in blobs} | {asset.found_sha1 for asset in asked}
    waiting = select(Asset).where(Asset.state == "waiting")
    leading += _each(session, waiting, Asset.found_sha1, [sha1 for sha1 in sums if sha1])
    assets |= {asset.id: asset for asset in leading}
    samples = _each(session, select(Sample.id), Sample.blob_id, [blob.id for blob in blobs])
    members = _each(session, select(SelectionMember), SelectionMember.sample_id, samples)
    landing = {blob.shard_id for blob in blobs}
    shard_ids = landing | {member.shard_id for member in members if member.shard_id is not None}
    shards = _each(session, select(Shard).where(Shard.freed.is_(False)), Shard.id, shard_ids)
    return Concerned(
        assets=[assets[number] for number in sorted(assets) if assets[number].error != TAKEN_DOWN],
        blobs=blobs,
        samples=sorted(samples),
        members=sorted(members, key=lambda member: member.id),
        selections=_each(session, select(Selection), Selection.id, {member.selection_id for member in members}),
        shards=sorted(shards, key=lambda shard: shard.id),
        sets=_each(session, select(PredictionSet), PredictionSet.shard_id, landing),
        alike=_alike(session, samples),
    )


def _asked(wish: Wish) -> Select[Asset]:
    query = select(Asset).order_by(Asset.id)
    if wish.asset is not None:
        return query.where(Asset.id == wish.asset)
    if wish.author is not None:
        return query.where(Asset.author == wish.author)
    assert wish.url is not None
    url = spelling(wish.url)
    digest = hashlib.sha256(url.encode("utf-8", "surrogatepass")).hexdigest()
    said = [wish.url.strip(), url]
    return query.where(or_(Asset.url_sha256 == digest, Asset.page_url.in_(said), Asset.final_url.in_(said)))


def _buried(session: Session, wish: Wish) -> bool:
    named = ("author", wish.author) if wish.author is not None else ("url", spelling(wish.url) if wish.url else "")
    found = select(Tombstone.id).where(Tombstone.kind == named[0], Tombstone.value == named[1]).limit(1)
    return session.scalar(found) is not None


def _unknown(session: Session, wish: Wish) -> str:
    hint = ""
    if wish.author is not None:
        names = session.scalars(select(Asset.author).where(Asset.author.is_not(None)).distinct())
        hint = near(wish.author, [name for name in names if name])
    what = f"no asset of {wish}" if wish.author is not None else f"no asset with {wish}" if wish.url else f"no {wish}"
    what = what.replace("no the asset", "no asset")
    return f"The study holds {what}; `omnisrc export assets` lists them all.{hint}"


def _blobs(session: Session, asked: Sequence[Asset]) -> list[Blob]:
    """The bytes that the assets led to, and equal ones; of an asset that opted out, by its tombstones."""
    there = select(Blob).where(Blob.length > 0)
    found = _each(session, there, Blob.id, {asset.blob_id for asset in asked if asset.blob_id is not None})
    found += _each(session, there, Blob.sha1, {asset.found_sha1 for asset in asked if asset.found_sha1})
    urls = {asset.url for asset in asked if asset.error == ErrorClass.OPT_OUT.value}
    if urls:
        tombs = session.scalars(select(Tombstone).where(Tombstone.kind.in_(SUMS)))
        covering = [tomb for tomb in tombs if (tomb.evidence or {}).get("covers") in urls]
        for kind, column in (("sha256", Blob.sha256), ("sha1", Blob.sha1)):
            found += _each(session, there, column, {tomb.value for tomb in covering if tomb.kind == kind})
    blobs = {blob.id: blob for blob in found}
    return [blobs[number] for number in sorted(blobs)]


def _alike(session: Session, samples: Sequence[int]) -> list[str]:
    """URLs of what a selection found to be a near-duplicate: it is judged anew without the original."""
    pairs = select(DuplicatePair.sample_id, DuplicatePair.other_sample_id)
    pairs = pairs.where(DuplicatePair.other_sample_id.is_not(None))
    rows = _rows(session, pairs, DuplicatePair.sample_id, samples)
    rows += _rows(session, pairs, DuplicatePair.other_sample_id, samples)
    others = {number for row in rows for number in row} - set(samples)
    query = select(Asset.url).join(Sample, Sample.blob_id == Asset.blob_id)
    return sorted(set(_each(session, query, Sample.id, others)))


def _each(session: Session, query: Any, column: Any, values: Iterable[Any]) -> list[Any]:
    """The first column of the rows whose `column` has one of the values, asked for in chunks."""
    return [row[0] for row in _rows(session, query, column, values)]


def _rows(session: Session, query: Any, column: Any, values: Iterable[Any]) -> list[Any]:
    wanted = sorted(set(values))
    found: list[Any] = []
    for start in range(0, len(wanted), CHUNK):
        found += session.execute(query.where(column.in_(wanted[start : start + CHUNK]))).all()
    return found
