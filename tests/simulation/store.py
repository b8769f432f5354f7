"""The real store code on a database in memory, without threads: a unit of work runs when its turn comes."""

from __future__ import annotations

import asyncio
import random
import sqlite3
from collections.abc import Callable
from functools import cache
from typing import Any, TypeVar

from sqlalchemy import Engine, create_engine, event
from sqlalchemy.pool import StaticPool
from sqlmodel import Session

from ringrift.control.store import migrate
from ringrift.control.store.fence import fenced
from ringrift.failpoints import reach

T = TypeVar("T")
EPOCH = 1_800_000_000.0
"""Seconds since 1970 at which every simulation begins, by the database's clock."""

_COMPILED: dict[Any, Any] = {}

Committed = Callable[[str, sqlite3.Connection], None]


class GoneError(asyncio.CancelledError):
    """The controller that asked is dead; nobody hears this."""


@cache
def shared() -> Engine:
    """Return an engine whose dialect all seeds of a process share, so that a statement is compiled once."""
    engine = create_engine("sqlite://")
    engine.connect().close()
    return engine


@cache
def template() -> bytes:
    """Return an empty database of the newest schema."""
    engine = create_engine("sqlite://", poolclass=StaticPool)
    migrate.upgrade(engine)
    with engine.connect() as connection:
        raw = connection.connection.driver_connection
        assert isinstance(raw, sqlite3.Connection)
        return raw.serialize()


class Database:
    """One seed's database: it outlives every controller."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.raw = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
        self.raw.deserialize(template())
        # The database's clock is the simulation's: the product asks for julianday('now').
        self.raw.create_function("julianday", 1, lambda _: 2440587.5 + (EPOCH + clock()) / 86400.0)
        self.raw.execute("PRAGMA foreign_keys=ON")
        ours = shared()
        self.engine = Engine(StaticPool(lambda: self.raw), ours.dialect, ours.url)
        self.engine.update_execution_options(compiled_cache=_COMPILED)
        event.listen(self.engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN"))

    def close(self) -> None:
        """Forget everything."""
        self.engine.dispose()
        self.raw.close()


class SimStore:
    """What a controller sees of the database. `dead` is set when its process is killed."""

    dialect = "sqlite"

    def __init__(self, database: Database, rng: random.Random, committed: Committed) -> None:
        self._database, self._rng, self._committed = database, rng, committed
        self.dead = False
        self.awake = asyncio.Event()
        """Not set while the process is suspended."""
        self.awake.set()

    async def write(self, name: str, work: Callable[[Session], T]) -> T:
        """Run `work` in a transaction of its own, after a wait as in the writer's queue."""
        guarded = fenced(work)
        await self._turn()
        reach(f"begin:{name}", "before")
        await self._alive()
        with Session(self._database.engine, expire_on_commit=False) as session:
            value = guarded(session)
            session.flush()
            reach(name, "before")
            if self.dead:
                session.rollback()
                await self._alive()
            session.commit()
        self._committed(name, self._database.raw)
        reach(name, "after")
        await self._alive()
        return value

    async def read(self, work: Callable[[Session], T]) -> T:
        """Run `work` on a snapshot."""
        await self._alive()
        with Session(self._database.engine, expire_on_commit=False, autoflush=False) as session:
            return work(session)

    async def _turn(self) -> None:
        await self._alive()
        await asyncio.sleep(self._rng.random() * 0.02)
        await self.awake.wait()

    async def _alive(self) -> None:
        """A dead process does nothing more, not even its clean-up."""
        if self.dead:
            raise GoneError

    def close(self) -> None:
        """Nothing to close: the database belongs to the simulation."""

    engines: Any = None
