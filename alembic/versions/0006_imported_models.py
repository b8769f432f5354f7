"""Imported models: no data set and no job of ours, but an origin."""

from __future__ import annotations

import sqlalchemy as sa

from alembic import op
from ringrift.errors import EnvironmentProblem

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

OURS = ("dataset", "job")
"""What a model has that was trained here."""


def upgrade() -> None:
    """Let models be without data set and job; those that are there have both."""
    with op.batch_alter_table("model") as model:
        for column in OURS:
            model.alter_column(column, existing_type=sa.String(), nullable=True)
        model.add_column(sa.Column("origin", sa.JSON(), nullable=True))


def downgrade() -> None:
    """Drop the column with its data; refused while there are imported models, which have no way back."""
    found = op.get_bind().execute(sa.text("SELECT count(*) FROM model WHERE dataset IS NULL")).scalar_one()
    if found:
        raise EnvironmentProblem(
            f"{found} models were imported, and the release of before knows none such",
            hint="go back to a backup of before the first import",
        )
    with op.batch_alter_table("model") as model:
        model.drop_column("origin")
        for column in OURS:
            model.alter_column(column, existing_type=sa.String(), nullable=False)
