"""Ends leases that ran out on the database's clock, so that the work is given to somebody else."""

from __future__ import annotations

from functools import partial

from sqlmodel import Session

from ringrift.control.reconcile.base import converge
from ringrift.control.reconcile.context import Context
from ringrift.control.settings import AgentSettings
from ringrift.control.store import jobs

_MARK = "mark"


async def step(context: Context) -> bool:
    """Close every assignment past its lease or deadline, if the controller was there to hear its agent.

    To move the mark of listening is no change that others must hear of.
    """
    settings = context.settings.agents
    closed: list[str] = []

    def apply(session: Session, plan: list[str]) -> None:
        jobs.expire_overdue(session, settings)
        closed.extend(item for item in plan if item != _MARK)

    await converge("lease.expire", context.store, partial(due, settings), apply)
    return bool(closed)


def due(settings: AgentSettings, session: Session) -> list[str]:
    """Return what is to be closed, or that the mark of listening is to be moved."""
    overdue = [assignment.id for assignment in jobs.overdue_assignments(session)]
    return [*overdue, _MARK] if jobs.mark_is_old(session, settings) else overdue
