"""Software of targets: which release of ours answers there, is installed, and ran before."""

from __future__ import annotations

import sqlalchemy as sa

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

TABLES = ("target", "deployment", "deployment_target")


def upgrade() -> None:
    """Make the columns; nothing is known of what is there."""
    for table in TABLES:
        op.add_column(table, sa.Column("release", sa.String(), nullable=True))


def downgrade() -> None:
    """Drop the columns with their data."""
    for table in TABLES:
        op.drop_column(table, "release")
