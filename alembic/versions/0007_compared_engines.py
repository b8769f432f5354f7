"""Compared engines: how far onnxruntime is from torch, model by model."""

from __future__ import annotations

import sqlalchemy as sa

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the column; of models that are there nothing was compared."""
    op.add_column("model", sa.Column("onnx_difference", sa.Float(), nullable=True))


def downgrade() -> None:
    """Drop the column with its data."""
    op.drop_column("model", "onnx_difference")
