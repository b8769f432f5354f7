"""The first schema: audit log, fleet, work, learning and production."""

from __future__ import annotations

import sqlalchemy as sa

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

TABLES = (
    "event",
    "setting",
    "config",
    "host",
    "host_state",
    "agent",
    "enrolment_token",
    "artifact",
    "job",
    "assignment",
    "result",
    "shard",
    "game",
    "dataset",
    "dataset_shard",
    "model",
    "evaluation",
    "evaluation_block",
    "promotion",
    "alias",
    "target",
    "deployment",
    "operation",
    "operation_step",
    "serving",
)
"""In the order in which they are made; dropped in reverse."""


def upgrade() -> None:
    """Make every table."""
    _record()
    _hosts()
    _work()
    _data()
    _models()
    _production()


def downgrade() -> None:
    """Drop every table with its data."""
    for table in reversed(TABLES):
        op.drop_table(table)


def _record() -> None:
    op.create_table(
        "event",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("at", sa.Double(), nullable=False),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("action", sa.String(), nullable=False),
        sa.Column("subject", sa.String(), nullable=False),
        sa.Column("detail", sa.JSON(), nullable=False),
        sa.Column("digest", sa.String(), nullable=False),
    )
    op.create_table(
        "setting",
        sa.Column("key", sa.String(), primary_key=True),
        sa.Column("value", sa.JSON(), nullable=False),
    )
    op.create_table(
        "config",
        sa.Column("key", sa.String(), primary_key=True),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("changed_at", sa.Double(), nullable=False),
    )


def _hosts() -> None:
    op.create_table(
        "host",
        sa.Column("name", sa.String(), primary_key=True),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("user", sa.String(), nullable=False),
        sa.Column("address", sa.String(), nullable=False),
        sa.Column("port", sa.Integer(), nullable=False),
        sa.Column("host_key", sa.Text(), nullable=False),
        sa.Column("fingerprint", sa.String(), nullable=False),
        sa.Column("confirmed_by", sa.String(), nullable=False),
        sa.Column("root", sa.String(), nullable=False),
        sa.Column("python", sa.String(), nullable=True),
        sa.Column("identity", sa.String(), nullable=True),
        sa.Column("slots", sa.Integer(), nullable=False),
        sa.Column("draining", sa.Boolean(), nullable=False),
        sa.Column("tunnel", sa.String(), nullable=False),
        sa.Column("tunnel_reason", sa.Text(), nullable=False),
        sa.Column("blocked", sa.Boolean(), nullable=False),
        sa.Column("restarts", sa.Integer(), nullable=False),
        sa.Column("restarted_at", sa.Double(), nullable=True),
        sa.Column("release", sa.String(), nullable=True),
        sa.Column("facts", sa.JSON(), nullable=False),
        sa.Column("added_at", sa.Double(), nullable=False),
        sa.Column("changed_at", sa.Double(), nullable=False),
    )
    op.create_index("ix_host_state", "host", ["state"])
    op.create_table(
        "host_state",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("host", sa.String(), sa.ForeignKey("host.name"), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("at", sa.Double(), nullable=False),
    )
    op.create_index("ix_host_state_host", "host_state", ["host"])
    op.create_table(
        "agent",
        sa.Column("id", sa.String(), primary_key=True),
        sa.Column("host", sa.String(), sa.ForeignKey("host.name"), nullable=False),
        sa.Column("public_key", sa.String(), nullable=False),
        sa.Column("enrolled_at", sa.Double(), nullable=False),
        sa.Column("revoked_at", sa.Double(), nullable=True),
        sa.Column("beat_at", sa.Double(), nullable=True),
        sa.Column("version", sa.String(), nullable=False),
        sa.Column("release", sa.String(), nullable=False),
        sa.Column("incarnation", sa.String(), nullable=False),
        sa.Column("kinds", sa.JSON(), nullable=False),
        sa.Column("telemetry", sa.JSON(), nullable=True),
        sa.Column("spooled", sa.BigInteger(), nullable=True),
        sa.Column("idle_reason", sa.Text(), nullable=False),
    )
    op.create_index("ix_agent_beat_at", "agent", ["beat_at"])
    op.create_index("ix_agent_host", "agent", ["host"])
    op.create_table(
        "enrolment_token",
        sa.Column("digest", sa.String(), primary_key=True),
        sa.Column("host", sa.String(), sa.ForeignKey("host.name"), nullable=False),
        sa.Column("made_at", sa.Double(), nullable=False),
        sa.Column("expires_at", sa.Double(), nullable=False),
        sa.Column("used_at", sa.Double(), nullable=True),
        sa.Column("used_key", sa.String(), nullable=True),
        sa.Column("agent", sa.String(), nullable=True),
    )
    op.create_index("ix_enrolment_token_host", "enrolment_token", ["host"])


def _work() -> None:
    op.create_table(
        "artifact",
        sa.Column("sha256", sa.String(), primary_key=True),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("stored_at", sa.Double(), nullable=False),
        sa.Column("agent", sa.String(), nullable=True),
    )
    op.create_table(
        "job",
        sa.Column("id", sa.String(), primary_key=True),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("config", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("work", sa.String(), nullable=False, unique=True),
        sa.Column("subject", sa.String(), nullable=False),
        sa.Column("spec", sa.JSON(), nullable=False),
        sa.Column("total", sa.Integer(), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("not_before", sa.Double(), nullable=False),
        sa.Column("avoid", sa.String(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("changed_at", sa.Double(), nullable=False),
    )
    op.create_index("ix_job_config", "job", ["config"])
    op.create_index("ix_job_state_kind", "job", ["state", "kind"])
    op.create_index("ix_job_subject", "job", ["subject"])
    op.create_table(
        "assignment",
        sa.Column("id", sa.String(), primary_key=True),
        sa.Column("job", sa.String(), sa.ForeignKey("job.id"), nullable=False),
        sa.Column("agent", sa.String(), sa.ForeignKey("agent.id"), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("incarnation", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("began_at", sa.Double(), nullable=False),
        sa.Column("expires_at", sa.Double(), nullable=False),
        sa.Column("deadline_at", sa.Double(), nullable=False),
        sa.Column("ended_at", sa.Double(), nullable=True),
        sa.Column("done", sa.Float(), nullable=False),
        sa.Column("amount", sa.Float(), nullable=False),
        sa.Column("unit", sa.String(), nullable=False),
        sa.Column("rate", sa.Float(), nullable=False),
        sa.Column("exit_code", sa.Integer(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("log_tail", sa.Text(), nullable=False),
        sa.UniqueConstraint("job", "epoch", name="uq_assignment_job_epoch"),
    )
    op.create_index("ix_assignment_agent", "assignment", ["agent"])
    op.create_index("ix_assignment_state", "assignment", ["state"])
    op.create_table(
        "result",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("job", sa.String(), sa.ForeignKey("job.id"), nullable=False),
        sa.Column("sequence", sa.Integer(), nullable=False),
        sa.Column("assignment", sa.String(), sa.ForeignKey("assignment.id"), nullable=False),
        sa.Column("agent", sa.String(), sa.ForeignKey("agent.id"), nullable=False),
        sa.Column("games_named", sa.Integer(), nullable=False),
        sa.Column("games_repeated", sa.Integer(), nullable=False),
        sa.Column("received_at", sa.Double(), nullable=False),
        sa.Column("payload", sa.JSON(), nullable=False),
        sa.UniqueConstraint("job", "sequence", name="uq_result_job_sequence"),
    )
    op.create_index("ix_result_agent", "result", ["agent"])
    op.create_index("ix_result_games", "result", ["games_named", "games_repeated"])
    op.create_index("ix_result_received_at", "result", ["received_at"])


def _data() -> None:
    op.create_table(
        "shard",
        sa.Column("sha256", sa.String(), sa.ForeignKey("artifact.sha256"), primary_key=True),
        sa.Column("config", sa.String(), nullable=False),
        sa.Column("purpose", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("job", sa.String(), sa.ForeignKey("job.id"), nullable=False),
        sa.Column("sequence", sa.Integer(), nullable=False),
        sa.Column("agent", sa.String(), sa.ForeignKey("agent.id"), nullable=False),
        sa.Column("games", sa.Integer(), nullable=False),
        sa.Column("positions", sa.BigInteger(), nullable=False),
        sa.Column("soft_target_share", sa.Float(), nullable=False),
        sa.Column("in_dataset", sa.Boolean(), nullable=False),
        sa.Column("received_at", sa.Double(), nullable=False),
        sa.Column("judged_at", sa.Double(), nullable=True),
    )
    op.create_index("ix_shard_agent", "shard", ["agent"])
    op.create_index("ix_shard_config_purpose_state", "shard", ["config", "purpose", "state"])
    op.create_index("ix_shard_fresh", "shard", ["in_dataset", "state", "purpose"])
    op.create_index("ix_shard_job", "shard", ["job"])
    op.create_index("ix_shard_received_at", "shard", ["received_at"])
    op.create_index("ix_shard_state", "shard", ["state"])
    op.create_table(
        "game",
        sa.Column("game_id", sa.String(), primary_key=True),
        sa.Column("shard", sa.String(), sa.ForeignKey("shard.sha256"), nullable=False),
        sa.Column("config", sa.String(), nullable=False),
        sa.Column("purpose", sa.String(), nullable=False),
        sa.Column("winner", sa.Integer(), nullable=True),
        sa.Column("plies", sa.Integer(), nullable=False),
        sa.Column("decisions", sa.Integer(), nullable=False),
    )
    op.create_index("ix_game_shard", "game", ["shard"])
    op.create_table(
        "dataset",
        sa.Column("sha256", sa.String(), primary_key=True),
        sa.Column("config", sa.String(), nullable=False),
        sa.Column("games", sa.Integer(), nullable=False),
        sa.Column("positions", sa.BigInteger(), nullable=False),
        sa.Column("statistics", sa.JSON(), nullable=False),
        sa.Column("made_at", sa.Double(), nullable=False),
    )
    op.create_index("ix_dataset_config", "dataset", ["config"])
    op.create_table(
        "dataset_shard",
        sa.Column("dataset", sa.String(), sa.ForeignKey("dataset.sha256"), primary_key=True),
        sa.Column("position", sa.Integer(), primary_key=True),
        sa.Column("shard", sa.String(), sa.ForeignKey("shard.sha256"), nullable=False),
    )
    op.create_index("ix_dataset_shard_shard", "dataset_shard", ["shard"])


def _models() -> None:
    op.create_table(
        "model",
        sa.Column("sha256", sa.String(), sa.ForeignKey("artifact.sha256"), primary_key=True),
        sa.Column("config", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("parent", sa.String(), sa.ForeignKey("model.sha256"), nullable=True),
        sa.Column("dataset", sa.String(), sa.ForeignKey("dataset.sha256"), nullable=False),
        sa.Column("job", sa.String(), sa.ForeignKey("job.id"), nullable=False),
        sa.Column("architecture", sa.JSON(), nullable=False),
        sa.Column("recipe", sa.JSON(), nullable=False),
        sa.Column("positions", sa.BigInteger(), nullable=False),
        sa.Column("train_loss", sa.Float(), nullable=False),
        sa.Column("holdout_loss", sa.Float(), nullable=False),
        sa.Column("parent_holdout_loss", sa.Float(), nullable=True),
        sa.Column("holdout_value_accuracy", sa.Float(), nullable=False),
        sa.Column("made_at", sa.Double(), nullable=False),
    )
    op.create_index("ix_model_config_state", "model", ["config", "state"])
    op.create_table(
        "evaluation",
        sa.Column("id", sa.String(), primary_key=True),
        sa.Column("config", sa.String(), nullable=False),
        sa.Column("candidate", sa.String(), sa.ForeignKey("model.sha256"), nullable=False),
        sa.Column("opponent", sa.String(), nullable=False),
        sa.Column("registration", sa.JSON(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("blocks", sa.Integer(), nullable=False),
        sa.Column("llr", sa.Float(), nullable=False),
        sa.Column("registered_at", sa.Double(), nullable=False),
        sa.Column("decided_at", sa.Double(), nullable=True),
    )
    op.create_index("ix_evaluation_candidate", "evaluation", ["candidate"])
    op.create_index("ix_evaluation_config_state", "evaluation", ["config", "state"])
    op.create_table(
        "evaluation_block",
        sa.Column("evaluation", sa.String(), sa.ForeignKey("evaluation.id"), primary_key=True),
        sa.Column("block", sa.Integer(), primary_key=True),
        sa.Column("shard", sa.String(), sa.ForeignKey("shard.sha256"), nullable=False),
        sa.Column("result", sa.Integer(), sa.ForeignKey("result.id"), nullable=False),
        sa.Column("wins", sa.Integer(), nullable=False),
        sa.Column("games", sa.Integer(), nullable=False),
        sa.Column("winning_seats", sa.JSON(), nullable=False),
    )
    op.create_table(
        "promotion",
        sa.Column("config", sa.String(), primary_key=True),
        sa.Column("generation", sa.Integer(), primary_key=True),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("model", sa.String(), sa.ForeignKey("model.sha256"), nullable=False),
        sa.Column("previous", sa.String(), sa.ForeignKey("model.sha256"), nullable=True),
        sa.Column("evaluation", sa.String(), sa.ForeignKey("evaluation.id"), nullable=True),
        sa.Column("conditions", sa.JSON(), nullable=False),
        sa.Column("elo", sa.Float(), nullable=True),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("at", sa.Double(), nullable=False),
    )
    op.create_table(
        "alias",
        sa.Column("name", sa.String(), primary_key=True),
        sa.Column("config", sa.String(), primary_key=True),
        sa.Column("model", sa.String(), sa.ForeignKey("model.sha256"), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("changed_at", sa.Double(), nullable=False),
    )


def _production() -> None:
    op.create_table(
        "target",
        sa.Column("name", sa.String(), primary_key=True),
        sa.Column("host", sa.String(), sa.ForeignKey("host.name"), nullable=False),
        sa.Column("port", sa.Integer(), nullable=False),
        sa.Column("configs", sa.JSON(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=True),
        sa.Column("issues", sa.JSON(), nullable=False),
        sa.Column("added_at", sa.Double(), nullable=False),
        sa.Column("checked_at", sa.Double(), nullable=True),
    )
    op.create_index("ix_target_host", "target", ["host"])
    op.create_table(
        "deployment",
        sa.Column("id", sa.String(), primary_key=True),
        sa.Column("generation", sa.Integer(), nullable=False, unique=True),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("actions", sa.JSON(), nullable=False),
        sa.Column("made_at", sa.Double(), nullable=False),
    )
    op.create_table(
        "operation",
        sa.Column("id", sa.String(), primary_key=True),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("subject", sa.String(), nullable=False),
        sa.Column("host", sa.String(), sa.ForeignKey("host.name"), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("order", sa.JSON(), nullable=False),
        sa.Column("error", sa.JSON(), nullable=True),
        sa.Column("deployment", sa.String(), sa.ForeignKey("deployment.id"), nullable=True),
        sa.Column("lock_token", sa.String(), nullable=True),
        sa.Column("lock_expires_at", sa.Double(), nullable=True),
        sa.Column("began_at", sa.Double(), nullable=False),
        sa.Column("ended_at", sa.Double(), nullable=True),
    )
    op.create_index("ix_operation_deployment", "operation", ["deployment"])
    op.create_index("ix_operation_host", "operation", ["host"])
    op.create_index("ix_operation_state", "operation", ["state"])
    op.create_index("ix_operation_subject", "operation", ["subject"])
    op.create_table(
        "operation_step",
        sa.Column("operation", sa.String(), sa.ForeignKey("operation.id"), primary_key=True),
        sa.Column("position", sa.Integer(), primary_key=True),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("detail", sa.String(), nullable=False),
        sa.Column("took", sa.Float(), nullable=True),
    )
    op.create_table(
        "serving",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("target", sa.String(), sa.ForeignKey("target.name"), nullable=False),
        sa.Column("config", sa.String(), nullable=False),
        sa.Column("model", sa.String(), nullable=True),
        sa.Column("generation", sa.Integer(), nullable=True),
        sa.Column("since", sa.Double(), nullable=False),
    )
    op.create_index("ix_serving_target", "serving", ["target"])
