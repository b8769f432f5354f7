"""Database engines: SQLite (WAL, FULL, foreign keys) by default, Postgres by URL."""

from __future__ import annotations

import sqlite3
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from sqlalchemy import Engine, create_engine, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from ringrift.errors import BadInput, EnvironmentProblem

DATABASE_URL = "RINGRIFT_DATABASE_URL"
READERS = 4
BUSY_MILLISECONDS = 15_000
WRITER_CACHE_KIB = 24 << 10
"""Holds what the heartbeats of 10,000 agents touch: without that, each row costs a read."""
CHECKPOINT_PAGES = 32_000
"""Only a log this long (128 MB) is copied back by the writer itself; `Store` does it beside it."""
IDLE_MILLISECONDS = 8_000
"""After this a silent Postgres connection that holds a lock of ours is ended, and the lock is free."""


@dataclass(frozen=True)
class Engines:
    """One engine for the writer thread, one read-only engine for the reader threads."""

    dialect: Literal["sqlite", "postgres"]
    writer: Engine
    reader: Engine

    def dispose(self) -> None:
        """Close every pooled connection."""
        self.reader.dispose()
        self.writer.dispose()


def database_url(home: Path, override: str | None) -> URL:
    """Return the store's address: `override` (the environment variable) or SQLite in the home.

    `postgres://` and `postgresql://` are both taken to mean psycopg 3. Raises `BadInput` for other schemes.
    """
    if not override:
        return URL.create("sqlite", database=str(home / "ringrift.db"))
    try:
        url = make_url(override.replace("postgres://", "postgresql://", 1))
    except ArgumentError as error:
        raise BadInput(
            f"{DATABASE_URL} is not a database URL", hint="use postgresql://user@host/name or sqlite:///file"
        ) from error
    backend = url.get_backend_name()
    if backend == "postgresql":
        return url.set(drivername="postgresql+psycopg")
    if backend == "sqlite" and url.database:
        return url.set(drivername="sqlite")
    raise BadInput(
        f"{DATABASE_URL} names {backend!r}, which is not supported",
        hint="use postgresql:// or sqlite:///file",
    )


def open_engines(url: URL) -> Engines:
    """Open the writer's and the readers' engine for a database; nothing is connected yet."""
    if url.get_backend_name() == "sqlite":
        return Engines("sqlite", _sqlite(url, writes=True), _sqlite(url, writes=False))
    return Engines("postgres", _postgres(url, writes=True), _postgres(url, writes=False))


def _sqlite(url: URL, *, writes: bool) -> Engine:
    engine = create_engine(
        url,
        connect_args={"check_same_thread": False, "timeout": BUSY_MILLISECONDS / 1000},
        pool_size=1 if writes else READERS,
        max_overflow=0,
    )

    @event.listens_for(engine, "connect")
    def configure(connection: Any, record: Any) -> None:
        connection.isolation_level = None
        for pragma in (
            f"busy_timeout={BUSY_MILLISECONDS}",
            "journal_mode=WAL",
            "synchronous=FULL",
            "foreign_keys=ON",
            f"query_only={'OFF' if writes else 'ON'}",
            f"cache_size={-WRITER_CACHE_KIB if writes else -2048}",
            f"wal_autocheckpoint={CHECKPOINT_PAGES}",
        ):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def begin(connection: Any) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine


def checkpoint(url: URL) -> None:
    """Copy what SQLite's log holds into the database; what is in the way now is for the next time."""
    with suppress(sqlite3.Error), closing(sqlite3.connect(str(url.database))) as connection:
        connection.execute("PRAGMA wal_checkpoint(PASSIVE)")


def _postgres(url: URL, *, writes: bool) -> Engine:
    """Return an engine; the readers' has one more connection for the lead's advisory lock.

    Readers see one snapshot per transaction, as SQLite's do.
    """
    engine = create_engine(
        url,
        pool_size=1 if writes else READERS + 1,
        max_overflow=0,
        pool_pre_ping=True,
        connect_args={"connect_timeout": 10},
    )
    if writes:
        event.listen(engine, "connect", _bound_idleness)
        return engine
    return engine.execution_options(postgresql_readonly=True, isolation_level="REPEATABLE READ")


def _bound_idleness(connection: Any, record: Any) -> None:
    """Let the server end a write transaction whose controller was suspended: it would block all others."""
    connection.execute(f"SET idle_in_transaction_session_timeout = {IDLE_MILLISECONDS}")
    connection.commit()


def environment_problem(error: Exception) -> EnvironmentProblem:
    """Turn a driver's failure into one line, without the SQL text or the password."""
    return EnvironmentProblem(
        f"database problem: {_first_line(error)}", hint=f"check the disk of RINGRIFT_HOME or {DATABASE_URL}"
    )


def unfit_value(error: Exception) -> BadInput:
    """Turn the refusal of a value (a NUL character, too large a number) into one line: no retry mends it."""
    return BadInput(f"the database cannot hold a given value: {_first_line(error)}")


def _first_line(error: Exception) -> str:
    cause = getattr(error, "orig", None) or error
    return (str(cause).strip().splitlines() or [type(cause).__name__])[0]
