"""Ends leases that ran out on the database's clock, so that the work is given to somebody else."""

from __future__ import annotations

from ringrift.control.reconcile.base import converge
from ringrift.control.reconcile.context import Context
from ringrift.control.store import jobs


async def step(context: Context) -> bool:
    """Close every assignment past its lease or deadline."""
    settings = context.settings.agents
    return await converge(
        "lease.expire",
        context.store,
        jobs.overdue_assignments,
        lambda session, _: jobs.expire_overdue(session, settings),
    )
