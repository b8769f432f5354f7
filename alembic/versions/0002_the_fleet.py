"""The fleet: inventory, host keys, batches, shares, spot checks, alerts and backups."""

from __future__ import annotations

import sqlalchemy as sa

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

ADDED = {
    "agent": (
        sa.Column("config_hash", sa.String(), nullable=False, server_default=""),
        sa.Column("numeric_class", sa.String(), nullable=False, server_default=""),
        sa.Column("refusal", sa.String(), nullable=False, server_default=""),
    ),
    "artifact": (sa.Column("deleted_at", sa.Double(), nullable=True),),
    "assignment": (
        sa.Column("crashed", sa.Boolean(), nullable=False, server_default=sa.false()),
        sa.Column("begun", sa.Boolean(), nullable=False, server_default=sa.true()),
        sa.Column("credential", sa.String(), nullable=False, server_default=""),
    ),
    "host": (
        sa.Column("kind", sa.String(), nullable=False, server_default=""),
        sa.Column("role", sa.String(), nullable=False, server_default=""),
        sa.Column("provider", sa.String(), nullable=False, server_default=""),
        sa.Column("arch", sa.String(), nullable=False, server_default=""),
        sa.Column("gpu", sa.String(), nullable=False, server_default=""),
        sa.Column("gpu_count", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("vram_gb", sa.Float(), nullable=False, server_default="0"),
        sa.Column("ram_gb", sa.Float(), nullable=False, server_default="0"),
        sa.Column("cpus", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("disk_gb", sa.Float(), nullable=False, server_default="0"),
        sa.Column("reachability", sa.String(), nullable=False, server_default="direct"),
        sa.Column("jump", sa.String(), nullable=True),
        sa.Column("spot", sa.Boolean(), nullable=False, server_default=sa.false()),
        sa.Column("hourly_cost", sa.Float(), nullable=True),
        sa.Column("labels", sa.JSON(), nullable=False, server_default="{}"),
        sa.Column("key_how", sa.String(), nullable=False, server_default=""),
        sa.Column("key_at", sa.Double(), nullable=True),
        sa.Column("quarantined_until", sa.Double(), nullable=True),
        sa.Column("drift", sa.JSON(), nullable=False, server_default="[]"),
        sa.Column("drift_at", sa.Double(), nullable=True),
        sa.Column("declared", sa.JSON(), nullable=False, server_default="{}"),
        sa.Column("unanswered", sa.Float(), nullable=False, server_default="0"),
    ),
    "job": (
        sa.Column("log_tail", sa.Text(), nullable=False, server_default=""),
        sa.Column("needs", sa.JSON(), nullable=False, server_default="{}"),
        sa.Column("retried_epoch", sa.Integer(), nullable=False, server_default="0"),
    ),
    "operation": (
        sa.Column("batch", sa.String(), nullable=True),
        sa.Column("plan_hash", sa.String(), nullable=True),
    ),
}
"""Columns by table. SQLite adds and drops them in place; a default fills the rows that are there."""

TABLES = (
    "access_token",
    "alert",
    "backup",
    "share",
    "host_authority",
    "revoked_key",
    "host_key",
    "batch",
    "batch_host",
    "debt",
    "throughput",
    "spot_check",
)
"""In the order in which they are made; dropped in reverse."""

INDEXES = (
    ("ix_alert_kind", "alert", "kind"),
    ("ix_batch_state", "batch", "state"),
    ("ix_host_key_host", "host_key", "host"),
    ("ix_debt_host", "debt", "host"),
    ("ix_spot_check_state", "spot_check", "state"),
    ("ix_operation_batch", "operation", "batch"),
)


def upgrade() -> None:
    """Make the tables, columns and indexes."""
    for table, columns in ADDED.items():
        for column in columns:
            op.add_column(table, column.copy())
    _operator_tables()
    _host_tables()
    _batch_tables()
    _work_tables()
    for name, table, column in INDEXES:
        op.create_index(name, table, [column])
    op.drop_index("ix_agent_beat_at", table_name="agent")


def downgrade() -> None:
    """Drop what `upgrade` made, with its data."""
    op.create_index("ix_agent_beat_at", "agent", ["beat_at"])
    for name, table, _ in reversed(INDEXES):
        op.drop_index(name, table_name=table)
    for table in reversed(TABLES):
        op.drop_table(table)
    for table, columns in ADDED.items():
        for column in reversed(columns):
            op.drop_column(table, column.name)


def _operator_tables() -> None:
    op.create_table(
        "access_token",
        sa.Column("name", sa.String(), primary_key=True),
        sa.Column("role", sa.String(), nullable=False),
        sa.Column("sha256", sa.String(), nullable=False, unique=True),
        sa.Column("made_by", sa.String(), nullable=False),
        sa.Column("made_at", sa.Double(), nullable=False),
        sa.Column("expires_at", sa.Double(), nullable=False),
        sa.Column("revoked_at", sa.Double(), nullable=True),
    )
    op.create_table(
        "alert",
        sa.Column("signature", sa.String(), primary_key=True),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("subject", sa.String(), nullable=False),
        sa.Column("severity", sa.String(), nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("first_at", sa.Double(), nullable=False),
        sa.Column("last_at", sa.Double(), nullable=False),
        sa.Column("cleared_at", sa.Double(), nullable=True),
        sa.Column("notified_at", sa.Double(), nullable=True),
        sa.Column("notified", sa.Text(), nullable=False),
        sa.Column("acknowledged_by", sa.String(), nullable=True),
        sa.Column("acknowledged_at", sa.Double(), nullable=True),
    )
    op.create_table(
        "backup",
        sa.Column("id", sa.String(), primary_key=True),
        sa.Column("place", sa.Text(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("keys", sa.Boolean(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("artifacts", sa.Integer(), nullable=False),
        sa.Column("sha256", sa.String(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("made_at", sa.Double(), nullable=False),
        sa.Column("verified_at", sa.Double(), nullable=True),
    )
    op.create_table(
        "share",
        sa.Column("scope", sa.String(), primary_key=True),
        sa.Column("share", sa.Float(), nullable=False),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("changed_at", sa.Double(), nullable=False),
    )


def _host_tables() -> None:
    op.create_table(
        "host_authority",
        sa.Column("fingerprint", sa.String(), primary_key=True),
        sa.Column("public_key", sa.Text(), nullable=False),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("at", sa.Double(), nullable=False),
    )
    op.create_table(
        "revoked_key",
        sa.Column("fingerprint", sa.String(), primary_key=True),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("at", sa.Double(), nullable=False),
    )
    op.create_table(
        "host_key",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("host", sa.String(), sa.ForeignKey("host.name"), nullable=False),
        sa.Column("public_key", sa.Text(), nullable=False),
        sa.Column("fingerprint", sa.String(), nullable=False),
        sa.Column("how", sa.String(), nullable=False),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("at", sa.Double(), nullable=False),
    )


def _batch_tables() -> None:
    op.create_table(
        "batch",
        sa.Column("id", sa.String(), primary_key=True),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("order", sa.JSON(), nullable=False),
        sa.Column("canary", sa.Integer(), nullable=False),
        sa.Column("width", sa.Integer(), nullable=False),
        sa.Column("budget", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("began_at", sa.Double(), nullable=False),
        sa.Column("ended_at", sa.Double(), nullable=True),
    )
    op.create_table(
        "batch_host",
        sa.Column("batch", sa.String(), sa.ForeignKey("batch.id"), primary_key=True),
        sa.Column("host", sa.String(), sa.ForeignKey("host.name"), primary_key=True),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("wave", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("operation", sa.String(), sa.ForeignKey("operation.id"), nullable=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("plan_hash", sa.String(), nullable=True),
        sa.Column("lines", sa.JSON(), nullable=False),
        sa.Column("incarnation", sa.String(), nullable=False),
        sa.Column("ended_at", sa.Double(), nullable=True),
    )
    op.create_table(
        "debt",
        sa.Column("id", sa.String(), primary_key=True),
        sa.Column("host", sa.String(), sa.ForeignKey("host.name"), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("order", sa.JSON(), nullable=False),
        sa.Column("batch", sa.String(), sa.ForeignKey("batch.id"), nullable=True),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("made_at", sa.Double(), nullable=False),
        sa.Column("paid_at", sa.Double(), nullable=True),
        sa.Column("operation", sa.String(), sa.ForeignKey("operation.id"), nullable=True),
    )


def _work_tables() -> None:
    op.create_table(
        "throughput",
        sa.Column("host", sa.String(), sa.ForeignKey("host.name"), primary_key=True),
        sa.Column("kind", sa.String(), primary_key=True),
        sa.Column("config", sa.String(), primary_key=True),
        sa.Column("per_hour", sa.Float(), nullable=False),
        sa.Column("at", sa.Double(), nullable=False),
    )
    op.create_table(
        "spot_check",
        sa.Column("shard", sa.String(), sa.ForeignKey("shard.sha256"), primary_key=True),
        sa.Column("host", sa.String(), sa.ForeignKey("host.name"), nullable=False),
        sa.Column("job", sa.String(), sa.ForeignKey("job.id"), nullable=True),
        sa.Column("checker", sa.String(), sa.ForeignKey("host.name"), nullable=True),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("made_at", sa.Double(), nullable=False),
        sa.Column("closed_at", sa.Double(), nullable=True),
    )
