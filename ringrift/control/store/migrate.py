"""Brings a database to this code's schema, on SQLite and Postgres; refuses one that is newer."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from sqlalchemy import Connection, Engine, inspect, text
from sqlalchemy.exc import DBAPIError

from ringrift.control.store.engine import environment_problem
from ringrift.errors import EnvironmentProblem

if TYPE_CHECKING:
    from alembic.config import Config

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
        return _revision(connection)


def _revision(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    return connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one_or_none()


def upgrade(engine: Engine, to: str = "head") -> None:
    """Migrate up to revision `to`; raise `EnvironmentProblem` when the database is newer than the code."""
    try:
        if to == "head" and revision(engine) == max(_known()):
            return  # Nearly every start, which then need not even import alembic.
    except DBAPIError as error:
        raise environment_problem(error) from error
    _migrate(engine, to, "upgrade")


def downgrade(engine: Engine, to: str) -> None:
    """Migrate down to revision `to` (`base` empties the database of our tables)."""
    _migrate(engine, to, "downgrade")


def _migrate(engine: Engine, to: str, direction: Literal["upgrade", "downgrade"]) -> None:
    from alembic import command

    config = _config()
    try:
        with _migrating(engine) as connection:
            if connection.dialect.name == "postgresql":
                connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": MIGRATION_LOCK})
            _refuse_newer(connection)
            config.attributes["connection"] = connection
            getattr(command, direction)(config, to)
            _refuse_dangling(connection)
    except DBAPIError as error:
        raise environment_problem(error) from error


@contextmanager
def _migrating(engine: Engine) -> Iterator[Connection]:
    """Open a transaction in which tables may be made anew.

    SQLite would take the rows of a table that is replaced for removed while it watches references, and that
    can be switched outside of transactions only.
    """
    if engine.dialect.name != "sqlite":
        with engine.begin() as connection:
            yield connection
        return
    with engine.connect() as connection:
        driver = connection.connection.driver_connection
        driver.execute("PRAGMA foreign_keys=OFF")
        try:
            with connection.begin():
                yield connection
        finally:
            driver.execute("PRAGMA foreign_keys=ON")


def _refuse_dangling(connection: Connection) -> None:
    """Undo a migration after which a row refers to none."""
    if connection.dialect.name == "sqlite":
        found = connection.execute(text("PRAGMA foreign_key_check")).first()
        if found is not None:
            raise EnvironmentProblem(
                f"a row of {found[0]} refers to a row of {found[2]} that is not there",
                hint="restore the newest backup that was read back",
            )


def _config() -> Config:
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(scripts()).replace("%", "%%"))
    return config


def newer_than_code(current: str | None) -> bool:
    """Tell whether a database at this revision was written by a newer release."""
    return current is not None and current not in _known()


def _known() -> set[str]:
    """Return the revisions of this code: a migration's file begins with its own."""
    return {file.name.partition("_")[0] for file in (scripts() / "versions").glob("[0-9]*_*.py")}


def _refuse_newer(connection: Connection) -> None:
    current = _revision(connection)
    if newer_than_code(current):
        raise EnvironmentProblem(
            f"the database is at revision {current}, which is newer than this code",
            hint="start the newer release, or restore a backup made by this one",
        )
