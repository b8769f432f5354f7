"""Engines of targets: what computes the models there."""

from __future__ import annotations

import sqlalchemy as sa

from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the column; there was only torch."""
    op.add_column("target", sa.Column("engine", sa.String(), nullable=False, server_default="torch"))


def downgrade() -> None:
    """Drop the column with its data."""
    op.drop_column("target", "engine")
