"""Has chosen shards played again by other hosts, and draws the consequences of what they find."""

from __future__ import annotations

from functools import partial

from sqlmodel import Session

from ringrift.control.domain.spotchecks import Verdict
from ringrift.control.reconcile.base import converge
from ringrift.control.reconcile.context import Context
from ringrift.control.settings import AgentSettings
from ringrift.control.store import spotchecks
from ringrift.control.store.tables import SpotCheck


async def step(context: Context) -> bool:
    """Ask for missing repetitions and close the checks that are decided."""
    settings = context.settings.agents
    return await converge("spotcheck.judge", context.store, partial(decide, settings), apply)


def decide(settings: AgentSettings, session: Session) -> list[tuple[SpotCheck, Verdict]]:
    """Return the open checks with what is to be done about them."""
    return spotchecks.verdicts(session, settings)


def apply(session: Session, plan: list[tuple[SpotCheck, Verdict]]) -> None:
    """Carry the plan out."""
    for check, verdict in plan:
        spotchecks.carry_out(session, check, verdict)
