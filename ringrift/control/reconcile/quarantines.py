"""Ends quarantines whose time is over."""

from __future__ import annotations

from ringrift.control.reconcile.base import converge
from ringrift.control.reconcile.context import Context
from ringrift.control.store import fleet


async def step(context: Context) -> bool:
    """Let hosts work again whose quarantine was for a time that has passed."""
    return await converge("quarantine.end", context.store, fleet.expired_quarantines, fleet.end_quarantines)
