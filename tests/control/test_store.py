"""Units of work: group commit, savepoints, snapshots, the database's clock."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlmodel import Session, col, select

from ringrift.control.store.clock import now
from ringrift.control.store.engine import database_url
from ringrift.control.store.events import record, verify_chain
from ringrift.control.store.store import Store
from ringrift.control.store.tables import ConfigRow, Event
from ringrift.errors import BadInput, EnvironmentProblem


def add(session: Session, key: str) -> str:
    session.add(ConfigRow(key=key, enabled=True, changed_at=now(session)))
    return key


async def keys(store: Store) -> list[str]:
    return list(await store.read(lambda s: s.exec(select(ConfigRow.key).order_by(col(ConfigRow.key))).all()))


async def test_a_write_is_readable_when_it_returns(store: Store) -> None:
    assert await store.write("test", lambda session: add(session, "a")) == "a"
    assert await keys(store) == ["a"]


async def test_a_failing_call_undoes_itself_only_though_it_shares_a_transaction(store: Store) -> None:
    holding = threading.Event()
    first = store.submit("test", lambda session: holding.wait(10) and add(session, "first"))

    def failing(session: Session) -> None:
        add(session, "lost")
        session.flush()
        raise ValueError("no")

    together = [asyncio.ensure_future(store.write("test", lambda s, k=key: add(s, k))) for key in ("b", "c")]
    lost = asyncio.ensure_future(store.write("test", failing))
    clash = asyncio.ensure_future(store.write("test", lambda session: add(session, "b")))
    await asyncio.sleep(0)
    holding.set()
    assert await asyncio.wrap_future(first) == "first"
    assert await asyncio.gather(*together) == ["b", "c"]
    with pytest.raises(ValueError, match="no"):
        await lost
    with pytest.raises(EnvironmentProblem, match="database problem"):
        await clash
    assert await keys(store) == ["b", "c", "first"]


async def test_concurrent_audit_rows_form_one_chain(store: Store) -> None:
    await asyncio.gather(
        *(store.write("test", lambda s, n=number: record(s, "ann", "act", str(n))) for number in range(60))
    )
    found = await store.read(verify_chain)
    assert found.sound and found.rows == 60


async def test_two_stores_on_one_database_write_one_chain(database) -> None:
    stores = [Store(database), Store(database)]
    await asyncio.gather(
        *(
            stores[number % 2].write("test", lambda s, n=number: record(s, "ann", "act", str(n)))
            for number in range(30)
        )
    )
    found = await stores[0].read(verify_chain)
    for opened in stores:
        opened.close()
    assert found.sound and found.rows == 30


async def test_an_event_is_undone_with_the_change_that_it_tells(store: Store) -> None:
    def failing(session: Session) -> None:
        record(session, "ann", "act", "thing")
        add(session, "a")
        raise ValueError("undone")

    with pytest.raises(ValueError, match="undone"):
        await store.write("test", failing)
    assert await store.read(lambda s: s.exec(select(Event)).all()) == []
    assert await keys(store) == []


async def test_readers_cannot_write(store: Store) -> None:
    def sneak(session: Session) -> None:
        add(session, "a")
        session.flush()

    with pytest.raises(EnvironmentProblem, match=r"read-?only"):
        await store.read(sneak)


async def test_the_clock_is_the_databases_and_moves(store: Store) -> None:
    first = await store.read(now)
    spent = await store.read(lambda session: [now(session) for _ in range(200)][-1])
    assert spent >= first > 1.7e9


async def test_a_closed_store_refuses_calls(store: Store) -> None:
    store.close()
    with pytest.raises(EnvironmentProblem, match="closed"):
        await store.write("test", lambda session: add(session, "a"))


async def test_sqlite_is_opened_durable_with_foreign_keys(tmp_path: Path) -> None:
    opened = Store(database_url(tmp_path, None))
    values = await opened.write(
        "test",
        lambda session: {
            name: session.execute(text(f"PRAGMA {name}")).scalar_one()
            for name in ("journal_mode", "synchronous", "foreign_keys")
        },
    )
    opened.close()
    assert values == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1}


@pytest.mark.parametrize(
    ("given", "driver"),
    [
        (None, "sqlite"),
        ("postgres://u:p@h/db", "postgresql+psycopg"),
        ("postgresql://u@h:5/db?x=1", "postgresql+psycopg"),
        ("sqlite:////tmp/x.db", "sqlite"),
    ],
)
def test_database_urls_are_understood(given: str | None, driver: str) -> None:
    assert database_url(Path("/home"), given).drivername == driver


@pytest.mark.parametrize("given", ["mysql://h/db", "not a url", "sqlite://"])
def test_other_database_urls_are_refused(given: str) -> None:
    with pytest.raises(BadInput, match="RINGRIFT_DATABASE_URL"):
        database_url(Path("/home"), given)


async def test_an_unreachable_database_is_one_line(tmp_path: Path) -> None:
    opened = Store(database_url(tmp_path, "postgresql://nobody:secret@127.0.0.1:1/none"))
    with pytest.raises(EnvironmentProblem) as refused:
        await opened.read(now)
    opened.close()
    assert "\n" not in refused.value.line() and "secret" not in refused.value.line()
