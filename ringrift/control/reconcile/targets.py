"""Asks every deployed inference target what it serves, and notes what has drifted."""

from __future__ import annotations

import asyncio

from sqlmodel import Session, col, select

from ringrift.control.domain.ports import HostSpec
from ringrift.control.reconcile.context import Context
from ringrift.control.store import production
from ringrift.control.store.clock import now
from ringrift.control.store.hostspecs import host_spec
from ringrift.control.store.operations import running_operation
from ringrift.control.store.tables import Host, Target
from ringrift.errors import RingRiftError

_AT_ONCE = 8


async def step(context: Context) -> bool:
    """Ask the targets whose last answer is older than `observe_seconds`."""
    every = context.settings.limits.observe_seconds
    due = await context.store.read(lambda s: _due(s, every))
    gate = asyncio.Semaphore(_AT_ONCE)

    async def ask(spec: HostSpec, target: str, port: int) -> bool:
        async with gate:
            return await _observe(context, spec, target, port)

    return any(await asyncio.gather(*(ask(*item) for item in due)))


def _due(session: Session, every: float) -> list[tuple[HostSpec, str, int]]:
    """Return targets that were deployed to, are not being deployed to, and were not asked lately."""
    query = select(Target, Host).join(Host, col(Host.name) == col(Target.host)).where(Target.state != "new")
    time = now(session)
    due: list[tuple[HostSpec, str, int]] = []
    for target, host in session.exec(query).all():
        fresh = target.checked_at is not None and time - target.checked_at < every
        absent = host.state == "retired" or host.blocked
        if not fresh and not absent and running_operation(session, "deploy", target.name) is None:
            due.append((host_spec(session, host), target.name, target.port))
    return due


async def _observe(context: Context, spec: HostSpec, target: str, port: int) -> bool:
    try:
        serving = await context.fleet.observe(spec, target, port)
    except RingRiftError as error:
        reason = error.message
        return await context.store.write(
            "target.silent", lambda s: production.record_silence(s, target, reason)
        )
    return await context.store.write(
        "target.serving", lambda s: production.record_serving(s, target, serving)
    )
