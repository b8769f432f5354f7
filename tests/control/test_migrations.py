"""Migrations on both databases: up, down, up again, data, and a database that is newer."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import MetaData, inspect, select, text
from sqlalchemy.engine import URL
from sqlmodel import Session, SQLModel

from ringrift.control.store import migrate
from ringrift.control.store.clock import now
from ringrift.control.store.engine import Engines, open_engines
from ringrift.control.store.events import record, verify_chain
from ringrift.control.store.tables import Event, Host
from ringrift.errors import EnvironmentProblem
from tests.control.doubles import HOST_KEY
from tests.control.rows import fill as fill_rows

NEWEST = max(migrate._known())


@pytest.fixture
def engines(database: URL) -> Iterator[Engines]:
    opened = open_engines(database)
    yield opened
    with opened.writer.begin() as connection:
        connection.execute(text(f"UPDATE alembic_version SET version_num = '{NEWEST}'"))
    migrate.upgrade(opened.writer)
    opened.dispose()


def fill(engines: Engines) -> None:
    with Session(engines.writer) as session:
        time = now(session)
        session.add(
            Host(
                name="alpha",
                state="new",
                user="u",
                address="a",
                port=22,
                host_key=HOST_KEY,
                fingerprint="f",
                confirmed_by="fingerprint",
                root="r",
                added_at=time,
                changed_at=time,
            )
        )
        record(session, "ann", "host.added", "alpha", weights=[0.1, None, "ü"])
        session.commit()


def test_the_schema_after_all_migrations_is_the_tables(engines: Engines) -> None:
    with engines.reader.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), SQLModel.metadata) == []


def test_migrating_again_changes_nothing_and_keeps_data(engines: Engines) -> None:
    fill(engines)
    migrate.upgrade(engines.writer)
    with Session(engines.reader) as session:
        assert session.get(Host, "alpha") is not None
        assert verify_chain(session).sound
        assert session.execute(select(Event.detail)).scalar_one() == {"weights": [0.1, None, "ü"]}


def reflected(engines: Engines) -> MetaData:
    """Return the tables as the database has them at its present revision, with the types of our code."""
    found = MetaData()
    found.reflect(engines.writer)
    for table in found.tables.values():
        known = SQLModel.metadata.tables.get(table.name)
        for column in table.columns if known is not None else ():
            column.type = known.c[column.name].type
    return found


def contents(engines: Engines, metadata: MetaData) -> dict[str, list[str]]:
    with engines.reader.connect() as connection:
        return {
            table.name: sorted(map(repr, connection.execute(select(table)).all()))
            for table in metadata.sorted_tables
            if table.name != "alembic_version"
        }


def test_up_and_down_with_rows_in_every_table_keep_what_both_revisions_know(engines: Engines) -> None:
    migrate.downgrade(engines.writer, "0001")
    old = reflected(engines)
    with Session(engines.writer) as session:
        filled = fill_rows(session, old)
        session.commit()
    assert set(filled) | {"alembic_version"} == set(old.tables)
    before = contents(engines, old)
    assert all(before[name] for name in filled)
    migrate.upgrade(engines.writer)
    assert contents(engines, old) == before, "the old columns are as they were"
    engines.dispose()
    new = reflected(engines)
    with Session(engines.writer) as session:
        for table in reversed(new.sorted_tables):
            if table.name != "alembic_version":
                session.connection().execute(table.delete())
        filled = fill_rows(session, new)
        session.commit()
        assert verify_chain(session).sound
    assert set(filled) == set(SQLModel.metadata.tables)
    full = contents(engines, old)
    migrate.downgrade(engines.writer, "0001")
    assert contents(engines, old) == full, "down to 0002 all keep what 0001 knows"
    assert set(reflected(engines).tables) == set(old.tables)
    migrate.upgrade(engines.writer)
    with Session(engines.writer) as session:
        assert verify_chain(session).sound


def test_down_and_up_again_with_data(engines: Engines) -> None:
    fill(engines)
    migrate.downgrade(engines.writer, "base")
    assert set(inspect(engines.writer).get_table_names()) <= {"alembic_version"}
    assert migrate.revision(engines.writer) is None
    migrate.upgrade(engines.writer)
    fill(engines)
    assert migrate.revision(engines.writer) == NEWEST


def test_a_database_newer_than_the_code_is_refused_in_one_line(engines: Engines) -> None:
    with engines.writer.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(EnvironmentProblem) as refused:
        migrate.upgrade(engines.writer)
    assert "revision 9999, which is newer than this code" in refused.value.line()
    assert refused.value.exit_status == 9 and "\n" not in refused.value.line()


OLDER = (
    "INSERT INTO target (name, host, port, configs, state, issues, added_at)"
    " VALUES ('front', 'alpha', 9000, '[]', 'serving', '[]', 1)",
    "INSERT INTO deployment (id, generation, actor, actions, made_at) VALUES ('dep_1', 1, 'ann', '[]', 1),"
    " ('dep_2', 2, 'ann', '[]', 2), ('dep_3', 3, 'ann', '[]', 3)",
    'INSERT INTO operation (id, kind, subject, host, state, "order", deployment, began_at) VALUES'
    " ('op_1', 'deploy', 'front', 'alpha', 'succeeded', '{}', 'dep_1', 1),"
    " ('op_2', 'deploy', 'front', 'alpha', 'failed', '{}', 'dep_2', 2),"
    " ('op_3', 'deploy', 'front', 'alpha', 'running', '{}', 'dep_3', 3)",
)


def test_deployments_that_are_there_become_rollouts_of_one_wave(engines: Engines) -> None:
    fill(engines)
    migrate.downgrade(engines.writer, "0002")
    with engines.writer.begin() as connection:
        for statement in OLDER:
            connection.execute(text(statement))
    migrate.upgrade(engines.writer)
    with engines.reader.connect() as connection:
        wholes = connection.execute(text("SELECT id, state FROM deployment ORDER BY id")).all()
        parts = connection.execute(
            text("SELECT deployment, target, wave, state, operation FROM deployment_target ORDER BY 1")
        ).all()
    assert [tuple(row) for row in wholes] == [
        ("dep_1", "succeeded"),
        ("dep_2", "failed"),
        ("dep_3", "running"),
    ]
    assert [tuple(row) for row in parts] == [
        ("dep_1", "front", 1, "succeeded", "op_1"),
        ("dep_2", "front", 1, "failed", "op_2"),
        ("dep_3", "front", 1, "running", "op_3"),
    ]
