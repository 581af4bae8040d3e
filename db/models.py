"""The tables. Times are seconds since 1970 by the database's clock; SHA-256 digests are lower-case hexadecimal."""

from __future__ import annotations

from typing import Any, ClassVar

from sqlalchemy import (
    JSON,
    BigInteger,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}

Id = BigInteger().with_variant(Integer, "sqlite")  # SQLite numbers rows by itself only for INTEGER PRIMARY KEY


class Base(DeclarativeBase):
    metadata = MetaData(naming_convention=NAMING)
    type_annotation_map: ClassVar[dict[Any, Any]] = {
        dict[str, Any]: JSON,
        list[Any]: JSON,
        int: Integer,
        float: Float(53),
        bytes: LargeBinary,
    }


CLAIMABLE = "state = 'waiting' AND lease_token IS NULL"  # of an asset; queries must spell it just so


def _partial(name: str, *columns: str, where: str) -> Index:
    """An index over some rows alone."""
    return Index(name, *columns, sqlite_where=text(where), postgresql_where=text(where))


class ClassList(Base):
    """A class list as it was when first used; `sha256` is over its names in order."""

    __tablename__ = "class_list"
    id: Mapped[int] = mapped_column(Id, primary_key=True)
    name: Mapped[str] = mapped_column(String(200))
    sha256: Mapped[str] = mapped_column(String(64), unique=True)
    created: Mapped[float]


class ActionClass(Base):
    __tablename__ = "action_class"
    __table_args__ = (UniqueConstraint("class_list_id", "position"),)
    id: Mapped[int] = mapped_column(Id, primary_key=True)
    class_list_id: Mapped[int] = mapped_column(Id, ForeignKey("class_list.id"))
    position: Mapped[int]  # the label: 0 .. classes-1
    name: Mapped[str] = mapped_column(Text)
    query: Mapped[str] = mapped_column(Text)
    tags: Mapped[list[Any]]


class ClassEdge(Base):
    """A class's parent in a hierarchy, by name of the level (`event`, `set`)."""

    __tablename__ = "class_edge"
    id: Mapped[int] = mapped_column(Id, primary_key=True)
    class_id: Mapped[int] = mapped_column(Id, ForeignKey("action_class.id"), index=True)
    level: Mapped[str] = mapped_column(String(100))
    parent: Mapped[str] = mapped_column(Text)


class Query(Base):
    """One text asked of one provider for one class, within one time window."""

    __tablename__ = "query"
    __table_args__ = (UniqueConstraint("class_id", "provider", "kind", "text", "time_window"),)
    id: Mapped[int] = mapped_column(Id, primary_key=True)
    class_id: Mapped[int] = mapped_column(Id, ForeignKey("action_class.id"))
    provider: Mapped[str] = mapped_column(String(50))
    kind: Mapped[str] = mapped_column(String(10))  # image | video
    text: Mapped[str] = mapped_column(String(500))
    time_window: Mapped[str] = mapped_column(String(100), default="")
    wanted: Mapped[int] = mapped_column(default=0)  # finds asked for; 0: all there are
    exhausted: Mapped[bool] = mapped_column(default=False)  # the provider has no further page


class QueryPage(Base):
    """One page of answers to a query."""

    __tablename__ = "query_page"
    __table_args__ = (UniqueConstraint("query_id", "page"),)
    id: Mapped[int] = mapped_column(Id, primary_key=True)
    query_id: Mapped[int] = mapped_column(Id, ForeignKey("query.id"))
    page: Mapped[int]
    cursor: Mapped[str] = mapped_column(Text, default="")
    finds: Mapped[int] = mapped_column(default=0)
    new_assets: Mapped[int] = mapped_column(default=0)
    asked: Mapped[float]


class Host(Base):
    """What is known of one host: a registrable domain, or host:port where the name has none."""

    __tablename__ = "host"
    name: Mapped[str] = mapped_column(String(255), primary_key=True)
    not_before: Mapped[float] = mapped_column(default=0.0)  # nobody asks it before: it said so, or its breaker is open
    streak_429: Mapped[int] = mapped_column(default=0)
    failures: Mapped[int] = mapped_column(default=0)  # in a row: no connection, no answer in time, 5xx
    openings: Mapped[int] = mapped_column(default=0)  # of its breaker, since it last answered
    breaker_error: Mapped[str | None] = mapped_column(String(20))  # the error class that opened it
    next_start: Mapped[float] = mapped_column(default=0.0)  # when its pace lets the next call of a search service begin


class SiteFile(Base):
    """A file by which one origin speaks to all robots: robots.txt, tdmrep.json."""

    __tablename__ = "site_file"
    origin: Mapped[str] = mapped_column(String(300), primary_key=True)
    path: Mapped[str] = mapped_column(String(50), primary_key=True)
    host: Mapped[str] = mapped_column(String(255), index=True)  # that the origin belongs to
    status: Mapped[int]  # 0: there was no answer
    body: Mapped[str] = mapped_column(Text)
    read: Mapped[float]
    trouble: Mapped[float | None]  # since when it cannot be had


class Control(Base):
    """What a person has set while crawls run, for one scope: `all`, `provider:NAME`, or a host as `Host` names it."""

    __tablename__ = "control"
    scope: Mapped[str] = mapped_column(String(300), primary_key=True)
    paused: Mapped[bool] = mapped_column(default=False)
    rate: Mapped[float | None]  # requests a second; null: the settings
    concurrency: Mapped[int | None]
    changed: Mapped[float]


class Clock(Base):
    """The latest time that the database's clock was seen at: one row. A clock that was set back shows here."""

    __tablename__ = "clock"
    id: Mapped[int] = mapped_column(Id, primary_key=True)
    seen: Mapped[float]


class Budget(Base):
    """What crawls have used of one budget: `disk` and `free` (bytes), `download` (bytes), `hours` (seconds)."""

    __tablename__ = "budget"
    name: Mapped[str] = mapped_column(String(20), primary_key=True)
    spent: Mapped[float] = mapped_column(default=0.0)  # of `download` and `hours`; the others are looked up
    limit: Mapped[float | None]  # of the newest crawl command; null: none
    moment: Mapped[float] = mapped_column(default=0.0)  # up to which `hours` is counted


class HostWork(Base):
    """How much waits at a host, when it was last counted: see `db.host_work`."""

    __tablename__ = "host_work"
    host: Mapped[str] = mapped_column(String(255), primary_key=True)
    ready: Mapped[int]  # may be fetched, as far as the assets go
    waiting: Mapped[int]


class HostCount(Base):
    """When what waits at all hosts was last counted, and how many seconds that took: one row."""

    __tablename__ = "host_count"
    id: Mapped[int] = mapped_column(Id, primary_key=True)
    counted: Mapped[float]
    took: Mapped[float]


class HostSlot(Base):
    """The right to one request at a time at a host, held by the job whose token it bears."""

    __tablename__ = "host_slot"
    host: Mapped[str] = mapped_column(String(255), primary_key=True)
    slot: Mapped[int] = mapped_column(primary_key=True)
    token: Mapped[str | None] = mapped_column(String(40), index=True)


class Asset(Base):
    """One media URL and what became of it. Held by the job whose token it bears, while that job's lease lasts."""

    __tablename__ = "asset"
    __table_args__ = (
        # What may be claimed, by host: the best first, and the earliest first.
        _partial("ix_asset_order", "host", "losses", "priority", "id", "not_before", where=CLAIMABLE),
        # SQLite reads it alone, without the rows, only where it has the columns of its condition too.
        _partial("ix_asset_ready", "host", "not_before", "provider", "lease_token", "state", where=CLAIMABLE),
        _partial("ix_asset_lease_token", "lease_token", where="lease_token IS NOT NULL"),
        Index("ix_asset_counts", "state", "provider", "kind", "error"),
    )
    id: Mapped[int] = mapped_column(Id, primary_key=True)
    url: Mapped[str] = mapped_column(Text)
    url_sha256: Mapped[str] = mapped_column(String(64), unique=True)
    host: Mapped[str] = mapped_column(String(255))
    kind: Mapped[str] = mapped_column(String(10))  # image | video, as the provider says
    provider: Mapped[str] = mapped_column(String(50))
    page_url: Mapped[str | None] = mapped_column(Text)
    license: Mapped[str | None] = mapped_column(String(200))
    license_url: Mapped[str | None] = mapped_column(Text)
    author: Mapped[str | None] = mapped_column(Text)
    title: Mapped[str | None] = mapped_column(Text)
    found_width: Mapped[int | None]
    found_height: Mapped[int | None]
    found_duration: Mapped[float | None]
    found_bytes: Mapped[int | None] = mapped_column(BigInteger)
    found_sha1: Mapped[str | None] = mapped_column(String(40), index=True)
    state: Mapped[str] = mapped_column(String(10), default="waiting")  # waiting stored duplicate refused failed
    error: Mapped[str | None] = mapped_column(String(20))
    error_detail: Mapped[str | None] = mapped_column(Text)
    http_status: Mapped[int | None]
    final_url: Mapped[str | None] = mapped_column(Text)
    fetched: Mapped[float | None]
    blob_id: Mapped[int | None] = mapped_column(Id, ForeignKey("blob.id"), index=True)
    priority: Mapped[int] = mapped_column(default=0)  # smaller first: the rank of the find
    attempts: Mapped[int] = mapped_column(default=0)
    losses: Mapped[int] = mapped_column(default=0)  # workers that died while they held it
    strikes: Mapped[int] = mapped_column(default=0)  # of those, while it was alone or journalled
    not_before: Mapped[float] = mapped_column(default=0.0)
    lease_token: Mapped[str | None] = mapped_column(String(40))


class Find(Base):
    """Which query gave which asset, at which rank (0 is the first)."""

    __tablename__ = "find"
    __table_args__ = (UniqueConstraint("query_id", "asset_id"),)
    id: Mapped[int] = mapped_column(Id, primary_key=True)
    query_id: Mapped[int] = mapped_column(Id, ForeignKey("query.id"))
    asset_id: Mapped[int] = mapped_column(Id, ForeignKey("asset.id"), index=True)
    rank: Mapped[int]
    page: Mapped[int]


class Decision(Base):
    """A decision about an asset with its evidence: robots, opt-out, licence, address."""

    __tablename__ = "decision"
    id: Mapped[int] = mapped_column(Id, primary_key=True)
    asset_id: Mapped[int] = mapped_column(Id, ForeignKey("asset.id"), index=True)
    kind: Mapped[str] = mapped_column(String(20))
    allowed: Mapped[bool]
    evidence: Mapped[dict[str, Any]]
    decided: Mapped[float]


class Place(Base):
    """A folder of an object store that the study has written to; the same token lies in it as its mark."""

    __tablename__ = "place"
    url: Mapped[str] = mapped_column(String(300), primary_key=True)
    token: Mapped[str] = mapped_column(String(40))
    created: Mapped[float]


class Shard(Base):
    """A tar of media. `path` is relative to the workspace, or the URL of an object; one study may have both. Beside it
    lies the index (.idx). The names of its folder and file stay the same when it is moved."""

    __tablename__ = "shard"
    id: Mapped[int] = mapped_column(Id, primary_key=True)
    kind: Mapped[str] = mapped_column(String(10), index=True)  # landing | curated | target
    medium: Mapped[str] = mapped_column(String(10))  # image | video
    path: Mapped[str] = mapped_column(String(500), unique=True)
    count: Mapped[int]
    bytes: Mapped[int] = mapped_column(BigInteger)
    sha256: Mapped[str] = mapped_column(String(64))
    freed: Mapped[bool] = mapped_column(default=False)  # the file was removed on purpose (gc)
    created: Mapped[float]


class Blob(Base):
    """Stored bytes. `sha256` is of the bytes fetched; `stored_sha256` of the member as stored (images are resized)."""

    __tablename__ = "blob"
    id: Mapped[int] = mapped_column(Id, primary_key=True)
    sha256: Mapped[str] = mapped_column(String(64), unique=True)
    sha1: Mapped[str | None] = mapped_column(String(40), index=True)  # of the same bytes; some providers tell it
    fetched_bytes: Mapped[int] = mapped_column(BigInteger)
    medium: Mapped[str] = mapped_column(String(10))
    mime: Mapped[str] = mapped_column(String(50))
    shard_id: Mapped[int] = mapped_column(Id, ForeignKey("shard.id"), index=True)
    key: Mapped[str] = mapped_column(String(100))
    offset: Mapped[int] = mapped_column(BigInteger)  # of the first byte of the member in its shard
    length: Mapped[int] = mapped_column(BigInteger)
    stored_sha256: Mapped[str] = mapped_column(String(64))
    width: Mapped[int]  # as fetched
    height: Mapped[int]
    duration: Mapped[float | None]
    fps: Mapped[float | None]
    frames: Mapped[int | None]
    phash: Mapped[bytes | None] = mapped_column(LargeBinary(32))
    phash_quality: Mapped[int | None]


class Sample(Base):
    """What can be trained on: an image, or a clip (blob, start, end in seconds)."""

    __tablename__ = "sample"
    __table_args__ = (UniqueConstraint("blob_id", "start", "end"),)
    id: Mapped[int] = mapped_column(Id, primary_key=True)
    blob_id: Mapped[int] = mapped_column(Id, ForeignKey("blob.id"))
    kind: Mapped[str] = mapped_column(String(10))  # image | clip
    start: Mapped[float] = mapped_column(default=0.0)
    end: Mapped[float] = mapped_column(default=0.0)
    error: Mapped[str | None] = mapped_column(String(20))  # set aside
    hashes: Mapped[bytes | None]  # PDQ hashes, 32 bytes each: of the image, or of frames of the clip


class TargetItem(Base):
    """One labelled item of the target data set, and where its re-encoded bytes lie."""

    __tablename__ = "target_item"
    __table_args__ = (UniqueConstraint("path", "start", "end"),)
    id: Mapped[int] = mapped_column(Id, primary_key=True)
    class_list_id: Mapped[int] = mapped_column(Id, ForeignKey("class_list.id"))
    path: Mapped[str] = mapped_column(String(1000))  # absolute path of the file given
    label: Mapped[int]  # position of its class
    group: Mapped[str] = mapped_column(String(500), default="")
    split: Mapped[str] = mapped_column(String(10), index=True)  # train | val | test
    start: Mapped[float] = mapped_column(default=0.0)  # seconds; start = end = 0: the whole file
    end: Mapped[float] = mapped_column(default=0.0)
    state: Mapped[str] = mapped_column(String(10), default="waiting")  # waiting | stored | failed
    error: Mapped[str | None] = mapped_column(String(20))
    error_detail: Mapped[str | None] = mapped_column(Text)
    sha256: Mapped[str | None] = mapped_column(String(64), index=True)
    shard_id: Mapped[int | None] = mapped_column(Id, ForeignKey("shard.id"))  # null: used in place
    key: Mapped[str | None] = mapped_column(String(100))
    offset: Mapped[int] = mapped_column(BigInteger, default=0)
    length: Mapped[int] = mapped_column(BigInteger, default=-1)
    medium: Mapped[str] = mapped_column(String(10), default="video")
    width: Mapped[int | None]
    height: Mapped[int | None]
    frames: Mapped[int | None]
    fps: Mapped[float | None]
    duration: Mapped[float | None]
    hashes: Mapped[bytes | None]  # PDQ hashes of frames and of their crops, 32 bytes each


class Annotation(Base):
    """A label of one task for a sample or a target item."""

    __tablename__ = "annotation"
    id: Mapped[int] = mapped_column(Id, primary_key=True)
    sample_id: Mapped[int | None] = mapped_column(Id, ForeignKey("sample.id"), index=True)
    target_item_id: Mapped[int | None] = mapped_column(Id, ForeignKey("target_item.id"), index=True)
    task: Mapped[str] = mapped_column(String(50))
    payload: Mapped[dict[str, Any]]


class Teacher(Base):
    """A network that labels, known by the SHA-256 of its weights and of what they are fed."""

    __tablename__ = "teacher"
    id: Mapped[int] = mapped_column(Id, primary_key=True)
    name: Mapped[str] = mapped_column(Text)
    fingerprint: Mapped[str] = mapped_column(String(64), unique=True)
    meta: Mapped[dict[str, Any]]


class PredictionSet(Base):
    """All logits and embeddings of one teacher for one landing shard, in the file `path` (as that of a shard)."""

    __tablename__ = "prediction_set"
    __table_args__ = (UniqueConstraint("teacher_id", "shard_id"),)
    id: Mapped[int] = mapped_column(Id, primary_key=True)
    teacher_id: Mapped[int] = mapped_column(Id, ForeignKey("teacher.id"))
    shard_id: Mapped[int] = mapped_column(Id, ForeignKey("shard.id"), index=True)
    path: Mapped[str] = mapped_column(String(500), unique=True)
    count: Mapped[int]
    sha256: Mapped[str] = mapped_column(String(64))
    created: Mapped[float]


class Prediction(Base):
    """What one teacher said of one sample: the five best classes, and the best of the classes that were asked for."""

    __tablename__ = "prediction"
    __table_args__ = (UniqueConstraint("prediction_set_id", "sample_id"),)
    id: Mapped[int] = mapped_column(Id, primary_key=True)
    prediction_set_id: Mapped[int] = mapped_column(Id, ForeignKey("prediction_set.id"))
    sample_id: Mapped[int] = mapped_column(Id, ForeignKey("sample.id"), index=True)
    row: Mapped[int]  # in the file of the set
    top: Mapped[list[Any]]  # [[label, logit], ...], best first, at most five
    asked: Mapped[int]  # label of the asked class that scores best; -1: none was asked
    asked_logit: Mapped[float]
    logsumexp: Mapped[float]


class Rule(Base):
    """How a selection is made from predictions."""

    __tablename__ = "rule"
    id: Mapped[int] = mapped_column(Id, primary_key=True)
    sha256: Mapped[str] = mapped_column(String(64), unique=True)  # of the parameters
    params: Mapped[dict[str, Any]]


class Selection(Base):
    """The samples kept by one rule over the predictions of given teachers."""

    __tablename__ = "selection"
    id: Mapped[int] = mapped_column(Id, primary_key=True)
    name: Mapped[str] = mapped_column(String(200), index=True)  # the newest of a name counts
    rule_id: Mapped[int] = mapped_column(Id, ForeignKey("rule.id"))
    class_list_id: Mapped[int] = mapped_column(Id, ForeignKey("class_list.id"))
    teachers: Mapped[dict[str, Any]]  # {"image": teacher id, "clip": teacher id}
    decontaminated: Mapped[bool] = mapped_column(default=False)  # compared with the target's val and test
    packed: Mapped[bool] = mapped_column(default=False)
    counts: Mapped[dict[str, Any]]
    warnings: Mapped[list[Any]]
    created: Mapped[float]


class SelectionMember(Base):
    """One sample judged by a selection: kept (`reason` null) or dropped, and where its packed bytes lie."""

    __tablename__ = "selection_member"
    __table_args__ = (UniqueConstraint("selection_id", "sample_id"),)
    id: Mapped[int] = mapped_column(Id, primary_key=True)
    selection_id: Mapped[int] = mapped_column(Id, ForeignKey("selection.id"))
    sample_id: Mapped[int] = mapped_column(Id, ForeignKey("sample.id"), index=True)
    label: Mapped[int]
    score: Mapped[float]  # probability of the label by the teacher
    reason: Mapped[str | None] = mapped_column(String(30))
    shard_id: Mapped[int | None] = mapped_column(Id, ForeignKey("shard.id"), index=True)
    key: Mapped[str | None] = mapped_column(String(100))
    offset: Mapped[int | None] = mapped_column(BigInteger)
    length: Mapped[int | None] = mapped_column(BigInteger)
    frames: Mapped[int | None]
    duration: Mapped[float | None]


class DuplicatePair(Base):
    """Two things found alike: a sample and another sample, or a sample and a target item of val or test."""

    __tablename__ = "duplicate_pair"
    id: Mapped[int] = mapped_column(Id, primary_key=True)
    selection_id: Mapped[int] = mapped_column(Id, ForeignKey("selection.id"), index=True)
    sample_id: Mapped[int] = mapped_column(Id, ForeignKey("sample.id"))
    other_sample_id: Mapped[int | None] = mapped_column(Id, ForeignKey("sample.id"))
    target_item_id: Mapped[int | None] = mapped_column(Id, ForeignKey("target_item.id"))
    method: Mapped[str] = mapped_column(String(20))  # hash | crop | embedding
    distance: Mapped[float]


class Job(Base):
    """One unit of work in the ledger."""

    __tablename__ = "job"
    __table_args__ = (
        UniqueConstraint("stage", "subject", "params_sha256"),
        Index("ix_job_claim", "state", "stage", "priority", "id"),
        _partial("ix_job_finished", "stage", "finished", where="finished IS NOT NULL"),
    )
    id: Mapped[int] = mapped_column(Id, primary_key=True)
    stage: Mapped[str] = mapped_column(String(20))
    subject: Mapped[str] = mapped_column(String(200))
    params: Mapped[dict[str, Any]]
    params_sha256: Mapped[str] = mapped_column(String(64))
    overrides: Mapped[list[Any]]  # the --set of the command that asked for it; no part of what it is
    priority: Mapped[int] = mapped_column(default=0)
    state: Mapped[str] = mapped_column(String(10), default="waiting")  # waiting | leased | done | failed
    attempts: Mapped[int] = mapped_column(default=0)  # runs that ended in an error
    losses: Mapped[int] = mapped_column(default=0)  # workers that died on it
    not_before: Mapped[float] = mapped_column(default=0.0)
    lease_token: Mapped[str | None] = mapped_column(String(40), unique=True)
    lease_until: Mapped[float | None]
    lease_owner: Mapped[str | None] = mapped_column(String(200))
    journal: Mapped[str | None] = mapped_column(String(200))  # the item that is being worked on
    strikes: Mapped[dict[str, Any]]  # item -> workers that died on it
    result: Mapped[dict[str, Any]]
    error: Mapped[str | None] = mapped_column(String(20))
    error_detail: Mapped[str | None] = mapped_column(Text)
    created: Mapped[float]
    finished: Mapped[float | None]
    done_token: Mapped[str | None] = mapped_column(String(40))  # of the lease under which it was marked done


class CrawlOrder(Base):
    """A crawl that was started for the cluster: what whoever keeps it going must know."""

    __tablename__ = "crawl_order"
    id: Mapped[int] = mapped_column(Id, primary_key=True)
    class_list_id: Mapped[int] = mapped_column(Id, ForeignKey("class_list.id"))
    scope: Mapped[dict[str, Any]]  # provider -> kinds, and kind -> assets for each class
    overrides: Mapped[list[Any]]  # the --set of the command
    state: Mapped[str] = mapped_column(String(10), index=True)  # running | done | stopped | failed
    detail: Mapped[str] = mapped_column(Text, default="")  # why it ended
    started: Mapped[float]
    first_page: Mapped[int] = mapped_column(Id)  # answers of smaller ids were there before
    first_job: Mapped[int] = mapped_column(Id)  # jobs of smaller ids were there before


class Run(Base):
    """One training or evaluation."""

    __tablename__ = "run"
    id: Mapped[int] = mapped_column(Id, primary_key=True)
    kind: Mapped[str] = mapped_column(String(10))  # train | eval
    name: Mapped[str] = mapped_column(String(200), index=True)
    state: Mapped[str] = mapped_column(String(10))  # running | done | failed | stopped
    class_list_id: Mapped[int | None] = mapped_column(Id, ForeignKey("class_list.id"))
    selection_id: Mapped[int | None] = mapped_column(Id, ForeignKey("selection.id"))
    manifest_sha256: Mapped[str | None] = mapped_column(String(64))
    config: Mapped[dict[str, Any]]
    metrics: Mapped[dict[str, Any]]
    started: Mapped[float]
    finished: Mapped[float | None]


class Tombstone(Base):
    """What was taken down or opted out of, so that no later crawl brings it back."""

    __tablename__ = "tombstone"
    id: Mapped[int] = mapped_column(Id, primary_key=True)
    kind: Mapped[str] = mapped_column(String(10))  # url | sha256 | sha1 | author
    value: Mapped[str] = mapped_column(String(500), index=True)
    error: Mapped[str] = mapped_column(String(20), default="taken-down")  # of what comes again: taken-down | opt-out
    reason: Mapped[str] = mapped_column(Text, default="")
    evidence: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    created: Mapped[float]
