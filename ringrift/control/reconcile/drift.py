"""Looks at every ready host again and again: names drift, and lets hosts that are back pay what they owe."""

from __future__ import annotations

from sqlmodel import Session, col, select

from ringrift.control.domain.batches import due
from ringrift.control.reconcile import looks
from ringrift.control.reconcile.context import Context
from ringrift.control.reconcile.looks import Look, Wanted
from ringrift.control.settings import Settings
from ringrift.control.store import debts, drift, fleet, operations
from ringrift.control.store.clock import now
from ringrift.control.store.events import CONTROLLER
from ringrift.control.store.tables import Host, Operation

_PREFIX = "look:"
_AT_ONCE = 8
_CONSIDERED = 500
"""Of the hosts that were not looked at for longest, so many are asked whether they are due."""


async def step(context: Context) -> bool:
    """Begin the looks that are due, at most 8 at once; none waits for a slow host."""
    under_way = {key.removeprefix(_PREFIX) for key in context.flights if key.startswith(_PREFIX)}
    every = context.settings.hosts.drift_seconds

    def load(session: Session) -> list[Wanted]:
        names = [name for name in _due(session, every) if name not in under_way]
        return looks.wanted(session, names[: _AT_ONCE - len(under_way)])

    for host in await context.store.read(load):
        name = host.host if isinstance(host, Look) else host.name
        context.flights.start(_PREFIX + name, _look(context, host))
    return False


def _due(session: Session, every: float) -> list[str]:
    """Return whom to look at, those first who waited longest.

    Ready hosts with an open tunnel, and hosts that owe something and have no tunnel since nothing was ever
    put there; none that an operation is working on.
    """
    owing = {debt.host for debt in debts.open_debts(session)}
    busy = select(Operation.host).where(Operation.state == "running")
    reachable = (Host.tunnel == "open") & col(Host.state).in_(("ready", "draining"))
    fresh = col(Host.release).is_(None) & col(Host.name).in_(owing)
    query = (
        select(Host.name, Host.drift_at)
        .where(col(Host.blocked).is_(False), col(Host.name).not_in(busy), reachable | fresh)
        .order_by(col(Host.drift_at).is_not(None), col(Host.drift_at))
        .limit(_CONSIDERED)
    )
    time = now(session)
    return [name for name, looked_at in session.exec(query).all() if due(time, looked_at, every, name)]


async def _look(context: Context, host: Wanted) -> None:
    found = await looks.look(context.fleet, host)
    if await context.store.write("drift.look", lambda s: _note(s, found, context.settings)):
        context.wake()


def _note(session: Session, found: Look, settings: Settings) -> bool:
    """Write what was found; return whether an operation follows from it.

    A look that failed says nothing about the host: what was known stays, and it is looked at again in time.
    """
    host = fleet.get_host(session, found.host)
    if any(running.host == host.name for running in operations.running_operations(session)):
        return False
    if found.plan is None:
        host.drift_at = now(session)
        session.add(host)
        return False
    agent = fleet.active_agent(session, host.name)
    drift.note_look(session, host, agent, found.plan)
    down = settings.agents.down_seconds
    unchanged = drift.is_unchanged(host, agent, found.plan, now(session), down)
    if debts.pay(session, host.name, found.plan, unchanged=unchanged):
        return True
    return bool(settings.hosts.repair_drift) and _repair(session, host, found)


def _repair(session: Session, host: Host, found: Look) -> bool:
    """Begin to carry the plan out, once: a plan that failed before is for a person."""
    if found.plan is None or not found.plan.lines or host.release is None:
        return False
    tried = select(Operation.id).where(
        Operation.host == host.name, Operation.plan_hash == found.plan.hash, Operation.state == "failed"
    )
    if session.exec(tried).first() is not None:
        return False
    debts.begin(session, "provision", host.name, CONTROLLER, None, found.plan.hash)
    return True
