"""Golden vectors: what a model's net says in fixed positions."""

from __future__ import annotations

import sqlalchemy as sa

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the column; models that are there have no vectors."""
    op.add_column("model", sa.Column("golden", sa.JSON(), nullable=True))


def downgrade() -> None:
    """Drop the column with its data."""
    op.drop_column("model", "golden")
