"""Has chosen shards played again by other hosts, and draws the consequences of what they find."""

from __future__ import annotations

from sqlmodel import Session

from ringrift.control.domain.spotchecks import Verdict
from ringrift.control.reconcile.base import converge
from ringrift.control.reconcile.context import Context
from ringrift.control.store import spotchecks
from ringrift.control.store.tables import SpotCheck

_AT_ONCE = 200
"""Checks that one pass deals with."""


async def step(context: Context) -> bool:
    """Ask for missing repetitions and close the checks that are decided."""
    settings = context.settings.agents
    found: list[str] | None = None

    def decide(session: Session) -> list[tuple[SpotCheck, Verdict]]:
        nonlocal found
        # The writer decides again, but only about what a reader has found something to do for.
        plan = spotchecks.verdicts(session, settings, found)[:_AT_ONCE]
        found = [check.shard for check, _ in plan]
        return plan

    return await converge("spotcheck.judge", context.store, decide, apply)


def apply(session: Session, plan: list[tuple[SpotCheck, Verdict]]) -> None:
    """Carry the plan out."""
    for check, verdict in plan:
        spotchecks.carry_out(session, check, verdict)
