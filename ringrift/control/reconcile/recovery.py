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
_AT_ONCE, _SHARE = 10, 0.05
"""So many agents, or that share of all if it is more, are restarted within `restart_seconds`. When many are
silent at once, it may be the controller that hears late (P8)."""


async def step(context: Context) -> bool:
    """Restart the agents of reachable hosts that are down; give up after the allowed tries."""
    settings = context.settings.agents
    if not await context.store.read(lambda s: silent_hosts(s, settings)):
        return False
    chosen, changed = await context.store.write("recovery.choose", lambda s: _choose(s, settings))
    for spec in chosen:
        key = f"restart:{spec.name}"
        if key not in context.flights:
            context.flights.start(key, _restart(context, spec))
    return changed


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


def _choose(session: Session, settings: AgentSettings) -> tuple[list[HostSpec], bool]:
    """Return the hosts whose agents are to be restarted now, and whether anything was written down."""
    chosen: list[HostSpec] = []
    waiting = 0
    free = _free(session, settings)
    silent = sorted(silent_hosts(session, settings), key=lambda found: found[0].restarts)
    for host, age in silent:
        if not _had_its_time(host, now(session), settings):
            session.add(host)
            continue
        if host.restarts >= settings.restarts:
            reason = f"its agent is silent ({age_text(age)}) after {host.restarts} restarts"
            fleet.quarantine(session, host, reason, settings.quarantine_seconds, CONTROLLER)
            continue
        if len(chosen) >= free:
            waiting += 1
            continue
        host.restarts, host.restarted_at, host.unanswered = host.restarts + 1, now(session), 0.0
        session.add(host)
        record(session, CONTROLLER, "agent.restart", host.name, attempt=host.restarts, silence=round(age))
        chosen.append(host_spec(session, host))
    return chosen, len(silent) > waiting


def _free(session: Session, settings: AgentSettings) -> int:
    """Return how many agents may be restarted now."""
    heard = select(func.count()).select_from(Host).where(Host.tunnel == "open")
    since = now(session) - settings.restart_seconds
    recent = select(func.count()).select_from(Host).where(Host.restarts > 0, col(Host.restarted_at) > since)
    return max(_AT_ONCE, int(session.exec(heard).one() * _SHARE)) - session.exec(recent).one()


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
