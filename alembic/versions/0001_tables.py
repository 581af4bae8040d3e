"""The tables of a study

Revision ID: 0001
Revises:
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


STATISTICS = {
    "ix_asset_order": "500000 250 250 5 1 1",
    "ix_asset_ready": "500000 250 250 250 250 250",
    "ix_asset_counts": "1000000 200000 100000 50000 10000",
    "ix_asset_lease_token": "1000 100",
    "ix_asset_found_sha1": "1000000 2",
    "ix_asset_blob_id": "1000000 2",
}
"""Rows in an index, and rows alike in its first one, two, ... columns, of a crawl of a million assets."""


def tell_planner() -> None:
    """Statistics of the assets for SQLite, which has none before ANALYZE and then sorts all that waits at a host for
    each claim."""
    op.execute("ANALYZE sqlite_schema")  # makes the table of statistics
    for index, rows in STATISTICS.items():
        op.execute(f"INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES ('asset', '{index}', '{rows}')")
    op.execute("ANALYZE sqlite_schema")  # this connection reads them now


def partial_index(name: str, table: str, columns: list[str], where: str) -> None:
    op.create_index(name, table, columns, sqlite_where=sa.text(where), postgresql_where=sa.text(where))


def upgrade() -> None:
    op.create_table(
        "budget",
        sa.Column("name", sa.String(length=20), nullable=False),
        sa.Column("spent", sa.Float(precision=53), nullable=False),
        sa.Column("limit", sa.Float(precision=53), nullable=True),
        sa.Column("moment", sa.Float(precision=53), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_budget")),
    )
    op.create_table(
        "class_list",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("created", sa.Float(precision=53), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_class_list")),
        sa.UniqueConstraint("sha256", name=op.f("uq_class_list_sha256")),
    )
    op.create_table(
        "host_work",
        sa.Column("host", sa.String(length=255), nullable=False),
        sa.Column("ready", sa.Integer(), nullable=False),
        sa.Column("waiting", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("host", name=op.f("pk_host_work")),
    )
    op.create_table(
        "host_count",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("counted", sa.Float(precision=53), nullable=False),
        sa.Column("took", sa.Float(precision=53), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_host_count")),
    )
    op.create_table(
        "clock",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("seen", sa.Float(precision=53), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_clock")),
    )
    op.create_table(
        "control",
        sa.Column("scope", sa.String(length=300), nullable=False),
        sa.Column("paused", sa.Boolean(), nullable=False),
        sa.Column("rate", sa.Float(precision=53), nullable=True),
        sa.Column("concurrency", sa.Integer(), nullable=True),
        sa.Column("changed", sa.Float(precision=53), nullable=False),
        sa.PrimaryKeyConstraint("scope", name=op.f("pk_control")),
    )
    op.create_table(
        "host",
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("not_before", sa.Float(precision=53), nullable=False),
        sa.Column("streak_429", sa.Integer(), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("openings", sa.Integer(), nullable=False),
        sa.Column("breaker_error", sa.String(length=20), nullable=True),
        sa.Column("next_start", sa.Float(precision=53), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_host")),
    )
    op.create_table(
        "site_file",
        sa.Column("origin", sa.String(length=300), nullable=False),
        sa.Column("path", sa.String(length=50), nullable=False),
        sa.Column("host", sa.String(length=255), nullable=False),
        sa.Column("status", sa.Integer(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("read", sa.Float(precision=53), nullable=False),
        sa.Column("trouble", sa.Float(precision=53), nullable=True),
        sa.PrimaryKeyConstraint("origin", "path", name=op.f("pk_site_file")),
    )
    op.create_index(op.f("ix_site_file_host"), "site_file", ["host"], unique=False)
    op.create_table(
        "host_slot",
        sa.Column("host", sa.String(length=255), nullable=False),
        sa.Column("slot", sa.Integer(), nullable=False),
        sa.Column("token", sa.String(length=40), nullable=True),
        sa.PrimaryKeyConstraint("host", "slot", name=op.f("pk_host_slot")),
    )
    with op.batch_alter_table("host_slot", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_host_slot_token"), ["token"], unique=False)

    op.create_table(
        "job",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("stage", sa.String(length=20), nullable=False),
        sa.Column("subject", sa.String(length=200), nullable=False),
        sa.Column("params", sa.JSON(), nullable=False),
        sa.Column("params_sha256", sa.String(length=64), nullable=False),
        sa.Column("overrides", sa.JSON(), nullable=False),
        sa.Column("priority", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("losses", sa.Integer(), nullable=False),
        sa.Column("not_before", sa.Float(precision=53), nullable=False),
        sa.Column("lease_token", sa.String(length=40), nullable=True),
        sa.Column("lease_until", sa.Float(precision=53), nullable=True),
        sa.Column("lease_owner", sa.String(length=200), nullable=True),
        sa.Column("journal", sa.String(length=200), nullable=True),
        sa.Column("strikes", sa.JSON(), nullable=False),
        sa.Column("result", sa.JSON(), nullable=False),
        sa.Column("error", sa.String(length=20), nullable=True),
        sa.Column("error_detail", sa.Text(), nullable=True),
        sa.Column("created", sa.Float(precision=53), nullable=False),
        sa.Column("finished", sa.Float(precision=53), nullable=True),
        sa.Column("done_token", sa.String(length=40), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_job")),
        sa.UniqueConstraint("lease_token", name=op.f("uq_job_lease_token")),
        sa.UniqueConstraint("stage", "subject", "params_sha256", name=op.f("uq_job_stage_subject_params_sha256")),
    )
    with op.batch_alter_table("job", schema=None) as batch_op:
        batch_op.create_index("ix_job_claim", ["state", "stage", "priority", "id"], unique=False)
    partial_index("ix_job_finished", "job", ["stage", "finished"], "finished IS NOT NULL")

    op.create_table(
        "crawl_order",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("class_list_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("scope", sa.JSON(), nullable=False),
        sa.Column("overrides", sa.JSON(), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("started", sa.Float(precision=53), nullable=False),
        sa.Column("first_page", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("first_job", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.ForeignKeyConstraint(["class_list_id"], ["class_list.id"], name=op.f("fk_crawl_order_class_list_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_crawl_order")),
    )
    with op.batch_alter_table("crawl_order", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_crawl_order_state"), ["state"], unique=False)

    op.create_table(
        "place",
        sa.Column("url", sa.String(length=300), nullable=False),
        sa.Column("token", sa.String(length=40), nullable=False),
        sa.Column("created", sa.Float(precision=53), nullable=False),
        sa.PrimaryKeyConstraint("url", name=op.f("pk_place")),
    )
    op.create_table(
        "rule",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("params", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_rule")),
        sa.UniqueConstraint("sha256", name=op.f("uq_rule_sha256")),
    )
    op.create_table(
        "shard",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("kind", sa.String(length=10), nullable=False),
        sa.Column("medium", sa.String(length=10), nullable=False),
        sa.Column("path", sa.String(length=500), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("freed", sa.Boolean(), nullable=False),
        sa.Column("created", sa.Float(precision=53), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_shard")),
        sa.UniqueConstraint("path", name=op.f("uq_shard_path")),
    )
    with op.batch_alter_table("shard", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_shard_kind"), ["kind"], unique=False)

    op.create_table(
        "teacher",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("fingerprint", sa.String(length=64), nullable=False),
        sa.Column("meta", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_teacher")),
        sa.UniqueConstraint("fingerprint", name=op.f("uq_teacher_fingerprint")),
    )
    op.create_table(
        "tombstone",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("kind", sa.String(length=10), nullable=False),
        sa.Column("value", sa.String(length=500), nullable=False),
        sa.Column("error", sa.String(length=20), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("evidence", sa.JSON(), nullable=True),
        sa.Column("created", sa.Float(precision=53), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tombstone")),
    )
    with op.batch_alter_table("tombstone", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_tombstone_value"), ["value"], unique=False)

    op.create_table(
        "action_class",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("class_list_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("query", sa.Text(), nullable=False),
        sa.Column("tags", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(["class_list_id"], ["class_list.id"], name=op.f("fk_action_class_class_list_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_action_class")),
        sa.UniqueConstraint("class_list_id", "position", name=op.f("uq_action_class_class_list_id_position")),
    )
    op.create_table(
        "blob",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("sha1", sa.String(length=40), nullable=True),
        sa.Column("fetched_bytes", sa.BigInteger(), nullable=False),
        sa.Column("medium", sa.String(length=10), nullable=False),
        sa.Column("mime", sa.String(length=50), nullable=False),
        sa.Column("shard_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("key", sa.String(length=100), nullable=False),
        sa.Column("offset", sa.BigInteger(), nullable=False),
        sa.Column("length", sa.BigInteger(), nullable=False),
        sa.Column("stored_sha256", sa.String(length=64), nullable=False),
        sa.Column("width", sa.Integer(), nullable=False),
        sa.Column("height", sa.Integer(), nullable=False),
        sa.Column("duration", sa.Float(precision=53), nullable=True),
        sa.Column("fps", sa.Float(precision=53), nullable=True),
        sa.Column("frames", sa.Integer(), nullable=True),
        sa.Column("phash", sa.LargeBinary(length=32), nullable=True),
        sa.Column("phash_quality", sa.Integer(), nullable=True),
        sa.ForeignKeyConstraint(["shard_id"], ["shard.id"], name=op.f("fk_blob_shard_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_blob")),
        sa.UniqueConstraint("sha256", name=op.f("uq_blob_sha256")),
    )
    with op.batch_alter_table("blob", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_blob_sha1"), ["sha1"], unique=False)
        batch_op.create_index(batch_op.f("ix_blob_shard_id"), ["shard_id"], unique=False)

    op.create_table(
        "prediction_set",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("teacher_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("shard_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("path", sa.String(length=500), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("created", sa.Float(precision=53), nullable=False),
        sa.ForeignKeyConstraint(["shard_id"], ["shard.id"], name=op.f("fk_prediction_set_shard_id")),
        sa.ForeignKeyConstraint(["teacher_id"], ["teacher.id"], name=op.f("fk_prediction_set_teacher_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_prediction_set")),
        sa.UniqueConstraint("path", name=op.f("uq_prediction_set_path")),
        sa.UniqueConstraint("teacher_id", "shard_id", name=op.f("uq_prediction_set_teacher_id_shard_id")),
    )
    with op.batch_alter_table("prediction_set", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_prediction_set_shard_id"), ["shard_id"], unique=False)

    op.create_table(
        "selection",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("rule_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("class_list_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("teachers", sa.JSON(), nullable=False),
        sa.Column("decontaminated", sa.Boolean(), nullable=False),
        sa.Column("packed", sa.Boolean(), nullable=False),
        sa.Column("counts", sa.JSON(), nullable=False),
        sa.Column("warnings", sa.JSON(), nullable=False),
        sa.Column("created", sa.Float(precision=53), nullable=False),
        sa.ForeignKeyConstraint(["class_list_id"], ["class_list.id"], name=op.f("fk_selection_class_list_id")),
        sa.ForeignKeyConstraint(["rule_id"], ["rule.id"], name=op.f("fk_selection_rule_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_selection")),
    )
    with op.batch_alter_table("selection", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_selection_name"), ["name"], unique=False)

    op.create_table(
        "target_item",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("class_list_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("path", sa.String(length=1000), nullable=False),
        sa.Column("label", sa.Integer(), nullable=False),
        sa.Column("group", sa.String(length=500), nullable=False),
        sa.Column("split", sa.String(length=10), nullable=False),
        sa.Column("start", sa.Float(precision=53), nullable=False),
        sa.Column("end", sa.Float(precision=53), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("error", sa.String(length=20), nullable=True),
        sa.Column("error_detail", sa.Text(), nullable=True),
        sa.Column("sha256", sa.String(length=64), nullable=True),
        sa.Column("shard_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("key", sa.String(length=100), nullable=True),
        sa.Column("offset", sa.BigInteger(), nullable=False),
        sa.Column("length", sa.BigInteger(), nullable=False),
        sa.Column("medium", sa.String(length=10), nullable=False),
        sa.Column("width", sa.Integer(), nullable=True),
        sa.Column("height", sa.Integer(), nullable=True),
        sa.Column("frames", sa.Integer(), nullable=True),
        sa.Column("fps", sa.Float(precision=53), nullable=True),
        sa.Column("duration", sa.Float(precision=53), nullable=True),
        sa.Column("hashes", sa.LargeBinary(), nullable=True),
        sa.ForeignKeyConstraint(["class_list_id"], ["class_list.id"], name=op.f("fk_target_item_class_list_id")),
        sa.ForeignKeyConstraint(["shard_id"], ["shard.id"], name=op.f("fk_target_item_shard_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_target_item")),
        sa.UniqueConstraint("path", "start", "end", name=op.f("uq_target_item_path_start_end")),
    )
    with op.batch_alter_table("target_item", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_target_item_sha256"), ["sha256"], unique=False)
        batch_op.create_index(batch_op.f("ix_target_item_split"), ["split"], unique=False)

    op.create_table(
        "asset",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("url_sha256", sa.String(length=64), nullable=False),
        sa.Column("host", sa.String(length=255), nullable=False),
        sa.Column("kind", sa.String(length=10), nullable=False),
        sa.Column("provider", sa.String(length=50), nullable=False),
        sa.Column("page_url", sa.Text(), nullable=True),
        sa.Column("license", sa.String(length=200), nullable=True),
        sa.Column("license_url", sa.Text(), nullable=True),
        sa.Column("author", sa.Text(), nullable=True),
        sa.Column("title", sa.Text(), nullable=True),
        sa.Column("found_width", sa.Integer(), nullable=True),
        sa.Column("found_height", sa.Integer(), nullable=True),
        sa.Column("found_duration", sa.Float(precision=53), nullable=True),
        sa.Column("found_bytes", sa.BigInteger(), nullable=True),
        sa.Column("found_sha1", sa.String(length=40), nullable=True),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("error", sa.String(length=20), nullable=True),
        sa.Column("error_detail", sa.Text(), nullable=True),
        sa.Column("http_status", sa.Integer(), nullable=True),
        sa.Column("final_url", sa.Text(), nullable=True),
        sa.Column("fetched", sa.Float(precision=53), nullable=True),
        sa.Column("blob_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("priority", sa.Integer(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("losses", sa.Integer(), nullable=False),
        sa.Column("strikes", sa.Integer(), nullable=False),
        sa.Column("not_before", sa.Float(precision=53), nullable=False),
        sa.Column("lease_token", sa.String(length=40), nullable=True),
        sa.ForeignKeyConstraint(["blob_id"], ["blob.id"], name=op.f("fk_asset_blob_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_asset")),
        sa.UniqueConstraint("url_sha256", name=op.f("uq_asset_url_sha256")),
    )
    with op.batch_alter_table("asset", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_asset_blob_id"), ["blob_id"], unique=False)
        batch_op.create_index("ix_asset_counts", ["state", "provider", "kind", "error"], unique=False)
        batch_op.create_index(batch_op.f("ix_asset_found_sha1"), ["found_sha1"], unique=False)
    claimable = "state = 'waiting' AND lease_token IS NULL"
    partial_index("ix_asset_order", "asset", ["host", "losses", "priority", "id", "not_before"], claimable)
    partial_index("ix_asset_ready", "asset", ["host", "not_before", "provider", "lease_token", "state"], claimable)
    partial_index("ix_asset_lease_token", "asset", ["lease_token"], "lease_token IS NOT NULL")

    op.create_table(
        "class_edge",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("class_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("level", sa.String(length=100), nullable=False),
        sa.Column("parent", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["class_id"], ["action_class.id"], name=op.f("fk_class_edge_class_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_class_edge")),
    )
    with op.batch_alter_table("class_edge", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_class_edge_class_id"), ["class_id"], unique=False)

    op.create_table(
        "query",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("class_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("provider", sa.String(length=50), nullable=False),
        sa.Column("kind", sa.String(length=10), nullable=False),
        sa.Column("text", sa.String(length=500), nullable=False),
        sa.Column("time_window", sa.String(length=100), nullable=False),
        sa.Column("wanted", sa.Integer(), nullable=False),
        sa.Column("exhausted", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(["class_id"], ["action_class.id"], name=op.f("fk_query_class_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_query")),
        sa.UniqueConstraint(
            "class_id",
            "provider",
            "kind",
            "text",
            "time_window",
            name=op.f("uq_query_class_id_provider_kind_text_time_window"),
        ),
    )
    op.create_table(
        "run",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("kind", sa.String(length=10), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("class_list_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("selection_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("manifest_sha256", sa.String(length=64), nullable=True),
        sa.Column("config", sa.JSON(), nullable=False),
        sa.Column("metrics", sa.JSON(), nullable=False),
        sa.Column("started", sa.Float(precision=53), nullable=False),
        sa.Column("finished", sa.Float(precision=53), nullable=True),
        sa.ForeignKeyConstraint(["class_list_id"], ["class_list.id"], name=op.f("fk_run_class_list_id")),
        sa.ForeignKeyConstraint(["selection_id"], ["selection.id"], name=op.f("fk_run_selection_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_run")),
    )
    with op.batch_alter_table("run", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_run_name"), ["name"], unique=False)

    op.create_table(
        "sample",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("blob_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("kind", sa.String(length=10), nullable=False),
        sa.Column("start", sa.Float(precision=53), nullable=False),
        sa.Column("end", sa.Float(precision=53), nullable=False),
        sa.Column("error", sa.String(length=20), nullable=True),
        sa.Column("hashes", sa.LargeBinary(), nullable=True),
        sa.ForeignKeyConstraint(["blob_id"], ["blob.id"], name=op.f("fk_sample_blob_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sample")),
        sa.UniqueConstraint("blob_id", "start", "end", name=op.f("uq_sample_blob_id_start_end")),
    )
    op.create_table(
        "annotation",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("sample_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("target_item_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("task", sa.String(length=50), nullable=False),
        sa.Column("payload", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(["sample_id"], ["sample.id"], name=op.f("fk_annotation_sample_id")),
        sa.ForeignKeyConstraint(["target_item_id"], ["target_item.id"], name=op.f("fk_annotation_target_item_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_annotation")),
    )
    with op.batch_alter_table("annotation", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_annotation_sample_id"), ["sample_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_annotation_target_item_id"), ["target_item_id"], unique=False)

    op.create_table(
        "decision",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("asset_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("allowed", sa.Boolean(), nullable=False),
        sa.Column("evidence", sa.JSON(), nullable=False),
        sa.Column("decided", sa.Float(precision=53), nullable=False),
        sa.ForeignKeyConstraint(["asset_id"], ["asset.id"], name=op.f("fk_decision_asset_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_decision")),
    )
    with op.batch_alter_table("decision", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_decision_asset_id"), ["asset_id"], unique=False)

    op.create_table(
        "duplicate_pair",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("selection_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("sample_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("other_sample_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("target_item_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("method", sa.String(length=20), nullable=False),
        sa.Column("distance", sa.Float(precision=53), nullable=False),
        sa.ForeignKeyConstraint(["other_sample_id"], ["sample.id"], name=op.f("fk_duplicate_pair_other_sample_id")),
        sa.ForeignKeyConstraint(["sample_id"], ["sample.id"], name=op.f("fk_duplicate_pair_sample_id")),
        sa.ForeignKeyConstraint(["selection_id"], ["selection.id"], name=op.f("fk_duplicate_pair_selection_id")),
        sa.ForeignKeyConstraint(["target_item_id"], ["target_item.id"], name=op.f("fk_duplicate_pair_target_item_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_duplicate_pair")),
    )
    with op.batch_alter_table("duplicate_pair", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_duplicate_pair_selection_id"), ["selection_id"], unique=False)

    op.create_table(
        "find",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("query_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("asset_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("rank", sa.Integer(), nullable=False),
        sa.Column("page", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["asset_id"], ["asset.id"], name=op.f("fk_find_asset_id")),
        sa.ForeignKeyConstraint(["query_id"], ["query.id"], name=op.f("fk_find_query_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_find")),
        sa.UniqueConstraint("query_id", "asset_id", name=op.f("uq_find_query_id_asset_id")),
    )
    with op.batch_alter_table("find", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_find_asset_id"), ["asset_id"], unique=False)

    op.create_table(
        "prediction",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("prediction_set_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("sample_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("row", sa.Integer(), nullable=False),
        sa.Column("top", sa.JSON(), nullable=False),
        sa.Column("asked", sa.Integer(), nullable=False),
        sa.Column("asked_logit", sa.Float(precision=53), nullable=False),
        sa.Column("logsumexp", sa.Float(precision=53), nullable=False),
        sa.ForeignKeyConstraint(
            ["prediction_set_id"], ["prediction_set.id"], name=op.f("fk_prediction_prediction_set_id")
        ),
        sa.ForeignKeyConstraint(["sample_id"], ["sample.id"], name=op.f("fk_prediction_sample_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_prediction")),
        sa.UniqueConstraint("prediction_set_id", "sample_id", name=op.f("uq_prediction_prediction_set_id_sample_id")),
    )
    with op.batch_alter_table("prediction", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_prediction_sample_id"), ["sample_id"], unique=False)

    op.create_table(
        "query_page",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("query_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("page", sa.Integer(), nullable=False),
        sa.Column("cursor", sa.Text(), nullable=False),
        sa.Column("finds", sa.Integer(), nullable=False),
        sa.Column("new_assets", sa.Integer(), nullable=False),
        sa.Column("asked", sa.Float(precision=53), nullable=False),
        sa.ForeignKeyConstraint(["query_id"], ["query.id"], name=op.f("fk_query_page_query_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_query_page")),
        sa.UniqueConstraint("query_id", "page", name=op.f("uq_query_page_query_id_page")),
    )
    op.create_table(
        "selection_member",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("selection_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("sample_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("label", sa.Integer(), nullable=False),
        sa.Column("score", sa.Float(precision=53), nullable=False),
        sa.Column("reason", sa.String(length=30), nullable=True),
        sa.Column("shard_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("key", sa.String(length=100), nullable=True),
        sa.Column("offset", sa.BigInteger(), nullable=True),
        sa.Column("length", sa.BigInteger(), nullable=True),
        sa.Column("frames", sa.Integer(), nullable=True),
        sa.Column("duration", sa.Float(precision=53), nullable=True),
        sa.ForeignKeyConstraint(["sample_id"], ["sample.id"], name=op.f("fk_selection_member_sample_id")),
        sa.ForeignKeyConstraint(["selection_id"], ["selection.id"], name=op.f("fk_selection_member_selection_id")),
        sa.ForeignKeyConstraint(["shard_id"], ["shard.id"], name=op.f("fk_selection_member_shard_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_selection_member")),
        sa.UniqueConstraint("selection_id", "sample_id", name=op.f("uq_selection_member_selection_id_sample_id")),
    )
    with op.batch_alter_table("selection_member", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_selection_member_sample_id"), ["sample_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_selection_member_shard_id"), ["shard_id"], unique=False)
    if op.get_bind().dialect.name == "sqlite":
        tell_planner()


def downgrade() -> None:
    with op.batch_alter_table("selection_member", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_selection_member_shard_id"))
        batch_op.drop_index(batch_op.f("ix_selection_member_sample_id"))

    op.drop_table("selection_member")
    op.drop_table("query_page")
    with op.batch_alter_table("prediction", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_prediction_sample_id"))

    op.drop_table("prediction")
    with op.batch_alter_table("find", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_find_asset_id"))

    op.drop_table("find")
    with op.batch_alter_table("duplicate_pair", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_duplicate_pair_selection_id"))

    op.drop_table("duplicate_pair")
    with op.batch_alter_table("decision", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_decision_asset_id"))

    op.drop_table("decision")
    with op.batch_alter_table("annotation", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_annotation_target_item_id"))
        batch_op.drop_index(batch_op.f("ix_annotation_sample_id"))

    op.drop_table("annotation")
    op.drop_table("sample")
    with op.batch_alter_table("run", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_run_name"))

    op.drop_table("run")
    op.drop_table("query")
    with op.batch_alter_table("class_edge", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_class_edge_class_id"))

    op.drop_table("class_edge")
    with op.batch_alter_table("asset", schema=None) as batch_op:
        batch_op.drop_index("ix_asset_lease_token")
        batch_op.drop_index("ix_asset_ready")
        batch_op.drop_index("ix_asset_order")
        batch_op.drop_index(batch_op.f("ix_asset_found_sha1"))
        batch_op.drop_index("ix_asset_counts")
        batch_op.drop_index(batch_op.f("ix_asset_blob_id"))

    op.drop_table("asset")
    with op.batch_alter_table("target_item", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_target_item_split"))
        batch_op.drop_index(batch_op.f("ix_target_item_sha256"))

    op.drop_table("target_item")
    with op.batch_alter_table("selection", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_selection_name"))

    op.drop_table("selection")
    with op.batch_alter_table("prediction_set", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_prediction_set_shard_id"))

    op.drop_table("prediction_set")
    with op.batch_alter_table("blob", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_blob_shard_id"))
        batch_op.drop_index(batch_op.f("ix_blob_sha1"))

    op.drop_table("blob")
    op.drop_table("action_class")
    with op.batch_alter_table("tombstone", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_tombstone_value"))

    op.drop_table("tombstone")
    op.drop_table("teacher")
    with op.batch_alter_table("shard", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_shard_kind"))

    op.drop_table("shard")
    op.drop_table("rule")
    with op.batch_alter_table("job", schema=None) as batch_op:
        batch_op.drop_index("ix_job_finished")
        batch_op.drop_index("ix_job_claim")

    op.drop_table("job")
    with op.batch_alter_table("host_slot", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_host_slot_token"))

    op.drop_table("host_slot")
    op.drop_table("site_file")
    op.drop_table("host")
    op.drop_table("control")
    with op.batch_alter_table("crawl_order", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_crawl_order_state"))

    op.drop_table("crawl_order")
    op.drop_table("class_list")
    op.drop_table("budget")
