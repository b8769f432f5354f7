"""Units of work: one writer thread with group commit, readers in threads apart.

A unit of work is a plain function of a session, so that no network can be awaited inside it. Calls that
wait at the same time share one transaction, each in a savepoint where there are several: a failing one
undoes itself only, and nobody is answered before the commit is durable.
"""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, TypeVar

from sqlalchemy import text
from sqlalchemy.engine import URL
from sqlalchemy.exc import DataError, DBAPIError
from sqlmodel import Session

from ringrift.control.store.engine import (
    READERS,
    Engines,
    checkpoint,
    environment_problem,
    open_engines,
    unfit_value,
)
from ringrift.control.store.fence import fenced
from ringrift.errors import EnvironmentProblem
from ringrift.failpoints import reach

T = TypeVar("T")
MAX_BATCH = 256
CHECKPOINT_SECONDS = 3.0
WRITER_LOCK = 0x52494E47
"""Postgres advisory lock that serialises the write transactions of several controllers."""


@dataclass(frozen=True)
class _Call:
    name: str
    work: Callable[[Session], Any]
    future: Future[Any]


class Store:
    """The state store. `write` and `read` run a function of a session and return its value."""

    def __init__(self, url: URL) -> None:
        self.url = url
        self.engines: Engines = open_engines(url)
        self._calls: queue.SimpleQueue[_Call | None] = queue.SimpleQueue()
        self._readers = ThreadPoolExecutor(READERS, thread_name_prefix="store-reader")
        self._writer = threading.Thread(target=self._write_forever, name="store-writer", daemon=True)
        self._closed = False
        self.commits = self.units = 0
        """Transactions that were committed, and the units of work in them."""
        self._writer.start()
        self._stopping = threading.Event()
        self._checkpointer = threading.Thread(target=self._checkpoint_forever, name="store-wal", daemon=True)
        if self.engines.dialect == "sqlite":
            self._checkpointer.start()

    @property
    def dialect(self) -> str:
        """`sqlite` or `postgres`."""
        return self.engines.dialect

    @property
    def waiting(self) -> int:
        """Units of work that wait for the writer."""
        return self._calls.qsize()

    async def write(self, name: str, work: Callable[[Session], T]) -> T:
        """Run `work` in the writer thread; return after its transaction was committed.

        `name` says what is done, `subject.verb`; its commit is the failpoint of that name.

        Whatever `work` raises undoes its own changes only and is raised here. Raises `EnvironmentProblem`
        when the database fails.
        """
        return await asyncio.wrap_future(self.submit(name, work))

    def submit(self, name: str, work: Callable[[Session], T]) -> Future[T]:
        """Queue `work` for the writer thread; the future is done after the commit.

        What a reconciler submits fails with `Superseded` once another controller leads (`fence`).
        """
        future: Future[T] = Future()
        if self._closed:
            future.set_exception(EnvironmentProblem("the store is closed"))
        else:
            self._calls.put(_Call(name, fenced(work), future))
        return future

    async def read(self, work: Callable[[Session], T]) -> T:
        """Run `work` in a reader thread on one consistent snapshot that cannot be written."""
        return await asyncio.get_running_loop().run_in_executor(self._readers, self._read, work)

    def close(self) -> None:
        """Finish what waits, then close every connection."""
        if self._closed:
            return
        self._closed = True
        self._calls.put(None)
        self._stopping.set()
        self._writer.join()
        if self._checkpointer.is_alive():
            self._checkpointer.join()
        self._readers.shutdown()
        self.engines.dispose()

    def _read(self, work: Callable[[Session], T]) -> T:
        try:
            with Session(self.engines.reader, expire_on_commit=False, autoflush=False) as session:
                return work(session)
        except (DataError, OverflowError) as error:
            raise unfit_value(error) from error
        except DBAPIError as error:
            raise environment_problem(error) from error

    def _write_forever(self) -> None:
        while (first := self._calls.get()) is not None:
            batch, last = self._gather(first)
            self._commit([call for call in batch if call.future.set_running_or_notify_cancel()])
            if last:
                return

    def _checkpoint_forever(self) -> None:
        """Copy SQLite's log back into the database beside the writer, which never waits for it."""
        seen = 0
        while not self._stopping.wait(CHECKPOINT_SECONDS):
            if self.commits != seen:
                seen = self.commits
                checkpoint(self.url)

    def _gather(self, first: _Call) -> tuple[list[_Call], bool]:
        batch = [first]
        while len(batch) < MAX_BATCH:
            try:
                call = self._calls.get_nowait()
            except queue.Empty:
                break
            if call is None:
                return batch, True
            batch.append(call)
        return batch, False

    def _commit(self, batch: list[_Call]) -> None:
        """Run a batch in one transaction, then answer every call; a failed commit fails them all."""
        outcomes: list[tuple[_Call, Any, BaseException | None]] = []
        try:
            with Session(self.engines.writer, expire_on_commit=False) as session:
                if self.engines.dialect == "postgres":
                    session.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": WRITER_LOCK})
                scope = session.begin_nested if len(batch) > 1 else nullcontext
                outcomes.extend((call, *_undoable(session, call.work, scope)) for call in batch)
                if len(batch) == 1 and outcomes[0][2] is not None:
                    session.rollback()
                for call in batch:
                    reach(call.name, "before")
                session.commit()
                self.commits, self.units = self.commits + 1, self.units + len(batch)
                for call in batch:
                    reach(call.name, "after")
        except BaseException as error:
            problem = environment_problem(error) if isinstance(error, DBAPIError) else error
            for call in batch:
                call.future.set_exception(problem)
            return
        for call, value, failure in outcomes:
            if failure is None:
                call.future.set_result(value)
            else:
                call.future.set_exception(failure)


def _undoable(
    session: Session, work: Callable[[Session], Any], scope: Callable[[], AbstractContextManager[Any]]
) -> tuple[Any, BaseException | None]:
    """Run one unit of work in its scope, a savepoint unless it is alone; raise only when all is lost."""
    try:
        with scope():
            value = work(session)
            session.flush()
    except (DataError, OverflowError) as error:
        return None, unfit_value(error)
    except DBAPIError as error:
        if error.connection_invalidated:
            raise
        return None, environment_problem(error)
    except Exception as error:
        return None, error
    finally:
        session.expunge_all()
    return value, None
