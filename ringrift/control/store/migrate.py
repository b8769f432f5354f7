"""Brings a database to this code's schema, on SQLite and Postgres; refuses one that is newer."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DBAPIError

from alembic import command
from ringrift.control.store.engine import environment_problem
from ringrift.errors import EnvironmentProblem

MIGRATION_LOCK = 0x4D494752
"""Postgres advisory lock: of controllers that start at once on one database, one migrates, the rest wait."""


def scripts() -> Path:
    """Return the folder of migrations: `alembic/` of a checkout, or the copy inside the package."""
    here = Path(__file__).resolve()
    for folder in (here.parents[3] / "alembic", here.parent / "alembic"):
        if (folder / "env.py").is_file():
            return folder
    raise EnvironmentProblem(
        "the database migrations are missing", hint="install ringrift again with its extra `control`"
    )


def revision(engine: Engine) -> str | None:
    """Return the schema revision that a database is at; None for an empty one."""
    with engine.connect() as connection:
        return MigrationContext.configure(connection).get_current_revision()


def upgrade(engine: Engine, to: str = "head") -> None:
    """Migrate up to revision `to`; raise `EnvironmentProblem` when the database is newer than the code."""
    _migrate(engine, to, command.upgrade)


def downgrade(engine: Engine, to: str) -> None:
    """Migrate down to revision `to` (`base` empties the database of our tables)."""
    _migrate(engine, to, command.downgrade)


def _migrate(engine: Engine, to: str, direction: Callable[[Config, str], None]) -> None:
    config = _config()
    try:
        with engine.begin() as connection:
            if connection.dialect.name == "postgresql":
                connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": MIGRATION_LOCK})
            _refuse_newer(connection, config)
            config.attributes["connection"] = connection
            direction(config, to)
    except DBAPIError as error:
        raise environment_problem(error) from error


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(scripts()).replace("%", "%%"))
    return config


def newer_than_code(current: str | None, config: Config | None = None) -> bool:
    """Tell whether a database at this revision was written by a newer release."""
    folder = ScriptDirectory.from_config(config or _config())
    return current is not None and current not in {script.revision for script in folder.walk_revisions()}


def _refuse_newer(connection: Connection, config: Config) -> None:
    current = MigrationContext.configure(connection).get_current_revision()
    if newer_than_code(current, config):
        raise EnvironmentProblem(
            f"the database is at revision {current}, which is newer than this code",
            hint="start the newer release, or restore a backup made by this one",
        )
