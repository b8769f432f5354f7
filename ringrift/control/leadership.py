"""Who reconciles: on SQLite whoever holds the home, on Postgres whoever holds the advisory lock.

The lock elects, the epoch fences: what a former leader still submits after a take-over is not written
(`store/fence.py`).
"""

from __future__ import annotations

import asyncio
import logging
import os

from sqlalchemy import Connection, text
from sqlalchemy.exc import SQLAlchemyError

from ringrift.control.reconcile.base import Complaints
from ringrift.control.reconcile.context import Context
from ringrift.control.store import fleet, jobs, operations
from ringrift.control.store.engine import IDLE_MILLISECONDS
from ringrift.control.store.events import CONTROLLER, record
from ringrift.control.store.store import Store

LEADER_LOCK = 0x4C454144
_CHECK_SECONDS = 2.0
_log = logging.getLogger("ringrift.leadership")


class Leadership:
    """Holds the advisory lock on a connection of its own; losing the connection is losing the lead."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._connection: Connection | None = None

    def hold(self) -> bool:
        """Take the lead if it is free, or confirm it; return whether this controller leads. Blocks."""
        if self._store.dialect == "sqlite":
            return True
        try:
            if self._connection is None:
                self._connection = self._store.engines.reader.connect()
                query = text("SELECT pg_try_advisory_lock(:key)")
                if not self._connection.execute(query, {"key": LEADER_LOCK}).scalar_one():
                    self.release()
                    return False
                # A suspended controller keeps its connection: the server ends it, so that another may lead.
                self._connection.execute(text(f"SET idle_session_timeout = {IDLE_MILLISECONDS}"))
            self._connection.execute(text("SELECT 1"))
            self._connection.commit()
        except SQLAlchemyError:
            self.release()
            return False
        return True

    def release(self) -> None:
        """Give the lead up."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.invalidate()
            connection.close()


async def take_over(context: Context, after: int | None = None) -> None:
    """Begin to reconcile: leases start anew, locks of a former controller fall, tunnels are unknown (P7).

    The epoch that begins here ends the right of every former leader to write as such. It follows the epoch
    `after`, seen before the lock was taken: raises `Superseded` when another one has begun since, as for a
    controller that was suspended between its election and this write.
    """
    settings = context.settings.agents

    def work(session: fleet.Session) -> int:
        if after is not None and operations.current_epoch(session) != after:
            raise operations.Superseded(f"epoch {after} of the lead is over")
        jobs.extend_leases(session, settings)
        fleet.tunnels_unknown(session)
        epoch = operations.begin_epoch(session)
        record(session, CONTROLLER, "leader.began", str(epoch), process=os.getpid())
        return epoch

    context.epoch = await context.store.write("leader.take-over", work)


async def watch(context: Context, leadership: Leadership) -> None:
    """Follow the lead for ever: take over when it falls to us, stop long actions when it is lost.

    A database that fails now is asked again: without this loop nobody would ever reconcile.
    """
    complaints = Complaints(_log, "leadership")
    while True:
        try:
            await _follow(context, leadership)
            complaints.clear()
        except Exception as error:
            complaints.add(error)
        await asyncio.sleep(_CHECK_SECONDS)


async def _follow(context: Context, leadership: Leadership) -> None:
    seen = await context.store.read(operations.current_epoch)
    leads = await asyncio.to_thread(leadership.hold)
    if leads and not context.leading:
        await take_over(context, seen)
        _log.info("this controller reconciles now")
        context.leading = True
        context.wake()
    elif context.leading and not (leads and seen == context.epoch):
        _log.warning("another controller reconciles; this one only answers")
        context.leading = False
        await context.flights.close()
