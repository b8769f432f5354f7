"""Asks every deployed inference target what it serves, and notes what has drifted."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from sqlmodel import Session, col, select

from ringrift.control.domain.ports import HostSpec
from ringrift.control.reconcile.context import Context
from ringrift.control.store import production
from ringrift.control.store.clock import now
from ringrift.control.store.hostspecs import host_spec
from ringrift.control.store.tables import DeploymentTarget, Host, Target
from ringrift.errors import RingRiftError

FLIGHT = "target:"
_AT_ONCE = 32
_BAKING_SECONDS, _LEAST_PAUSE = 0.5, 0.1
"""How often targets are asked on which a rollout waits: so often, and when the bake is over."""


@dataclass(frozen=True)
class _Question:
    spec: HostSpec
    target: str
    port: int
    at: float


async def step(context: Context) -> bool:
    """Begin to ask the targets whose last answer is older than `observe_seconds`.

    Each is asked on its own, so that one that is silent holds up no other.
    """
    every = context.settings.limits.observe_seconds
    for question in await context.store.read(lambda s: _due(s, every)):
        asked = sum(key.startswith(FLIGHT) for key in context.flights)
        if FLIGHT + question.target not in context.flights and asked < _AT_ONCE:
            context.flights.start(FLIGHT + question.target, _observe(context, question))
    return False


def _due(session: Session, every: float) -> list[_Question]:
    """Return targets that were deployed to, are not being deployed to, and were not asked lately."""
    query = select(Target, Host).join(Host, col(Host.name) == col(Target.host)).where(Target.state != "new")
    baking, time = _baking(session), now(session)
    return [
        _Question(host_spec(session, host), target.name, target.port, time)
        for target, host in session.exec(query.order_by(col(Target.checked_at))).all()
        if host.state != "retired"
        and not host.blocked
        and (target.name in baking or _stale(time, target.checked_at, every))
        and not production.deployed_since(session, target.name, time)
    ]


def _baking(session: Session) -> dict[str, float | None]:
    """Return the targets that rollouts watch, and the times of their first samples."""
    query = select(DeploymentTarget).where(DeploymentTarget.state == "baking")
    return {row.target: row.first and row.first["at"] for row in session.exec(query).all()}


def _left(session: Session, target: str, bake: float) -> float | None:
    """Return the seconds until a target's bake is over; None where no rollout watches it."""
    watched = _baking(session)
    if target not in watched:
        return None
    return (watched[target] or now(session)) + bake - now(session)


def _stale(time: float, checked_at: float | None, every: float) -> bool:
    return checked_at is None or time - checked_at >= every


async def _observe(context: Context, question: _Question) -> None:
    """Ask a target, and keep others from asking until it is time again."""
    changed = await _ask(context, question)
    bake = context.settings.rollouts.bake_seconds
    left = await context.store.read(lambda s: _left(s, question.target, bake))
    if changed or left is not None:
        context.wake()
    if left is not None:
        await asyncio.sleep(min(_BAKING_SECONDS, max(_LEAST_PAUSE, left)))
        context.wake()


async def _ask(context: Context, question: _Question) -> bool:
    """Note what a target says; tell whether that is new.

    An answer that a deployment overtook may be of before or after it, and tells nothing.
    """
    target = question.target

    def heard(note: Callable[[Session], bool]) -> Callable[[Session], bool]:
        return lambda s: not production.deployed_since(s, target, question.at) and note(s)

    try:
        serving = await context.fleet.observe(question.spec, target, question.port)
    except RingRiftError as error:
        reason = error.message
        silence = heard(lambda s: production.record_silence(s, target, reason))
        return await context.store.write("target.silent", silence)
    answer = heard(lambda s: production.record_serving(s, target, serving))
    return await context.store.write("target.serving", answer)
