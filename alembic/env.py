"""Runs migrations on the connection that the controller hands over, or by hand on the configured store."""

from __future__ import annotations

import os
from pathlib import Path

from sqlalchemy import Connection, create_engine
from sqlmodel import SQLModel

from alembic import context
from ringrift.control.store import tables  # noqa: F401 - fills the metadata
from ringrift.control.store.engine import DATABASE_URL, database_url


def migrate(connection: Connection) -> None:
    """Run the migrations in one transaction of `connection`."""
    context.configure(
        connection=connection,
        target_metadata=SQLModel.metadata,
        render_as_batch=connection.dialect.name == "sqlite",
        compare_type=True,
    )
    with context.begin_transaction():
        context.run_migrations()


def by_hand() -> None:
    """Open the store that the environment names."""
    home = Path(os.environ.get("RINGRIFT_HOME", "~/.ringrift")).expanduser()
    engine = create_engine(database_url(home, os.environ.get(DATABASE_URL)))
    with engine.connect() as connection:
        migrate(connection)
        connection.commit()


given = context.config.attributes.get("connection")
if given is None:
    by_hand()
else:
    migrate(given)
