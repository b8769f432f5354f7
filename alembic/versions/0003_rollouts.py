"""Rollouts: deployments in waves, a row for each target, and what a target counted."""

from __future__ import annotations

import sqlalchemy as sa

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

TARGET = (
    sa.Column("process", sa.Integer(), nullable=True),
    sa.Column("traffic", sa.JSON(), nullable=True),
    sa.Column("restarted_at", sa.Double(), nullable=True),
)
DEPLOYMENT = (
    sa.Column("state", sa.String(), nullable=False, server_default="succeeded"),
    sa.Column("reason", sa.Text(), nullable=False, server_default=""),
    sa.Column("back_generation", sa.Integer(), nullable=True),
    sa.Column("ended_at", sa.Double(), nullable=True),
)
"""SQLite adds and drops columns in place; a default fills the rows that are there."""

INDEXED = ("target", "state", "back")
"""Columns of `deployment_target` that are looked up."""

_ROWS = """
INSERT INTO deployment_target (deployment, target, position, wave, state, reason, since, operation, before)
SELECT deployment, subject, 0, 1, state, '', coalesce(ended_at, began_at), id, '[]' FROM operation
WHERE id IN (
    SELECT max(id) FROM operation JOIN target ON target.name = operation.subject
    WHERE deployment IS NOT NULL GROUP BY deployment, subject
)
"""
_STATES = """
UPDATE deployment SET state = '{state}' WHERE EXISTS (
    SELECT 1 FROM operation WHERE operation.deployment = deployment.id AND operation.state = '{state}'
)
"""


def upgrade() -> None:
    """Make the columns and the table; deployments that are there become rollouts of one wave."""
    for column in TARGET:
        op.add_column("target", column.copy())
    for column in DEPLOYMENT:
        op.add_column("deployment", column.copy())
    op.create_index("ix_deployment_state", "deployment", ["state"])
    op.create_index("ix_deployment_back_generation", "deployment", ["back_generation"], unique=True)
    op.create_table(
        "deployment_target",
        sa.Column("deployment", sa.String(), sa.ForeignKey("deployment.id"), primary_key=True),
        sa.Column("target", sa.String(), sa.ForeignKey("target.name"), primary_key=True),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("wave", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("since", sa.Double(), nullable=False),
        sa.Column("operation", sa.String(), sa.ForeignKey("operation.id"), nullable=True),
        sa.Column("back", sa.String(), sa.ForeignKey("operation.id"), nullable=True),
        sa.Column("before", sa.JSON(), nullable=False),
        sa.Column("first", sa.JSON(), nullable=True),
    )
    for column in INDEXED:
        op.create_index(f"ix_deployment_target_{column}", "deployment_target", [column])
    op.execute(_ROWS)
    for state in ("failed", "running"):
        op.execute(_STATES.format(state=state))


def downgrade() -> None:
    """Drop what `upgrade` made, with its data."""
    for column in INDEXED:
        op.drop_index(f"ix_deployment_target_{column}", table_name="deployment_target")
    op.drop_table("deployment_target")
    op.drop_index("ix_deployment_back_generation", table_name="deployment")
    op.drop_index("ix_deployment_state", table_name="deployment")
    for column in reversed(DEPLOYMENT):
        op.drop_column("deployment", column.name)
    for column in reversed(TARGET):
        op.drop_column("target", column.name)
