"""Restarts silent agents over SSH a few times, then quarantines their host for a person to look at."""

from __future__ import annotations

import logging

from sqlalchemy import func
from sqlmodel import Session, col, select

from ringrift.control.domain.health import age_text
from ringrift.control.domain.ports import HostSpec
from ringrift.control.reconcile.context import Context
from ringrift.control.settings import AgentSettings
from ringrift.control.store import fleet
from ringrift.control.store.clock import now
from ringrift.control.store.events import CONTROLLER, record
from ringrift.control.store.hostspecs import host_spec
from ringrift.control.store.tables import Agent, Host
from ringrift.errors import RingRiftError
from ringrift.failpoints import side_effect

_log = logging.getLogger("ringrift.recovery")
_PARTS = 3
"""The time of an agent to show a heartbeat is counted in so many parts."""


async def step(context: Context) -> bool:
    """Restart the agents of reachable hosts that are down; give up after the allowed tries."""
    settings = context.settings.agents
    if not await context.store.read(lambda s: silent_hosts(s, settings)):
        return False
    chosen = await context.store.write("recovery.choose", lambda s: _choose(s, settings))
    for spec in chosen:
        key = f"restart:{spec.name}"
        if key not in context.flights:
            context.flights.start(key, _restart(context, spec))
    return True


def silent_hosts(session: Session, settings: AgentSettings) -> list[tuple[Host, float]]:
    """Return ready hosts with an open tunnel whose agent is down, and had a part of its time to beat."""
    time = now(session)
    heard = func.coalesce(Agent.beat_at, Agent.enrolled_at)
    restarted = col(Host.restarted_at)
    query = (
        select(Host, heard)
        .join(Agent, col(Agent.host) == col(Host.name))
        .where(col(Agent.revoked_at).is_(None), heard < time - settings.down_seconds)
        .where(col(Host.state).in_(("ready", "draining")), Host.tunnel == "open")
        .where(restarted.is_(None) | (restarted < time - settings.restart_seconds / _PARTS))
    )
    return [(host, time - at) for host, at in session.exec(query).all()]


def _choose(session: Session, settings: AgentSettings) -> list[HostSpec]:
    chosen: list[HostSpec] = []
    for host, age in silent_hosts(session, settings):
        if not _had_its_time(host, now(session), settings):
            session.add(host)
            continue
        if host.restarts >= settings.restarts:
            reason = f"its agent is silent ({age_text(age)}) after {host.restarts} restarts"
            fleet.quarantine(session, host, reason, settings.quarantine_seconds, CONTROLLER)
            continue
        host.restarts, host.restarted_at, host.unanswered = host.restarts + 1, now(session), 0.0
        session.add(host)
        record(session, CONTROLLER, "agent.restart", host.name, attempt=host.restarts, silence=round(age))
        chosen.append(host_spec(session, host))
    return chosen


def _had_its_time(host: Host, time: float, settings: AgentSettings) -> bool:
    """Note how long an agent could have shown a heartbeat and did not; tell whether that was long enough.

    Only time behind an open tunnel counts, and it is noted part by part: a controller that is killed again
    and again comes to the end of it too.
    """
    if host.restarted_at is None:
        return True
    host.unanswered, host.restarted_at = host.unanswered + time - host.restarted_at, time
    return host.unanswered >= settings.restart_seconds


async def _restart(context: Context, spec: HostSpec) -> None:
    try:
        with side_effect("agent.restart"):
            await context.fleet.restart_agent(spec)
    except RingRiftError as error:
        _log.warning("agent of %s was not restarted: %s", spec.name, error.line())
