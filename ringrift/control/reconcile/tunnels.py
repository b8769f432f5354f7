"""Holds the agents' API open on every host that should have it; a lost one is opened again with jitter."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from typing import NamedTuple

from sqlmodel import Session, col, select

from ringrift.control.domain.ports import HostSpec
from ringrift.control.reconcile.context import Context
from ringrift.control.store import fleet, hostkeys
from ringrift.control.store.clock import now
from ringrift.control.store.hostspecs import host_spec, host_specs
from ringrift.control.store.tables import Host
from ringrift.errors import HostKeyChanged, RingRiftError, Unreachable

_log = logging.getLogger("ringrift.tunnels")
_PREFIX = "tunnel:"
_LONGEST_PAUSE = 60.0
_SETTLED_SECONDS = 30.0
"""A tunnel that stood this long starts its next pauses small again."""


async def step(context: Context) -> bool:
    """Open missing tunnels, and close those of hosts that should have none."""
    wanted = {f"{_PREFIX}{name} {key}": name for name, key in await context.store.read(_wanted)}
    held = {key for key in context.flights if key.startswith(_PREFIX)}
    for key in sorted(held - wanted.keys()):
        await context.flights.stop(key)
    if missing := sorted(wanted.keys() - held):
        # All at once: of a whole fleet that comes back, one question for each host took longest.
        names = {wanted[key] for key in missing}
        since, specs = await context.store.read(lambda s: (now(s), host_specs(s, names)))
        for key in missing:
            name = wanted[key]
            first = _Way(since, specs[name]) if name in specs else None
            context.flights.start(key, _keep(context, name, first))
    return wanted.keys() != held


def _wanted(session: Session) -> list[tuple[str, str]]:
    """Return hosts that were provisioned once, are not retired and showed their pinned key, and that key.

    A tunnel is one of a host and its key: where another key is trusted, the connection of the old one ends.
    """
    query = select(Host.name, Host.fingerprint).where(
        col(Host.release).is_not(None), Host.state != "retired", col(Host.blocked).is_(False)
    )
    return list(session.exec(query).all())


class _Way(NamedTuple):
    """How to reach a host, or why not at all, as known at `since`, in seconds of the database's clock."""

    since: float
    spec: HostSpec | RingRiftError


async def _keep(context: Context, name: str, way: _Way | None) -> None:
    """Hold one host's tunnel until its key changes, first by `way`; every loss is noted with its reason."""
    pause = first = context.settings.limits.reconnect_seconds
    while True:
        began = time.monotonic()
        way = way or await context.store.read(lambda s: _way(s, name))
        loss = await _hold_once(context, name, way.spec)
        _log.info("tunnel to %s closed: %s", name, loss.message)
        blocked = await context.store.write(
            "tunnel.lost", lambda s, e=loss, since=way.since: _lost(s, name, e, since)
        )
        way = None
        context.wake()
        if blocked:
            return
        pause = first if time.monotonic() - began > _SETTLED_SECONDS else pause
        await asyncio.sleep(pause * random.uniform(0.5, 1.5))
        pause = min(pause * 2, _LONGEST_PAUSE)


def _way(session: Session, name: str) -> _Way:
    since = now(session)
    try:
        return _Way(since, host_spec(session, fleet.get_host(session, name)))
    except RingRiftError as error:
        return _Way(since, error)


def _lost(session: Session, name: str, error: RingRiftError, since: float) -> bool:
    """Note why a tunnel that began at `since` ended; return whether a changed host key blocks the next."""
    fleet.tunnel_lost(session, name, error.message)
    if not isinstance(error, HostKeyChanged):
        return False
    return hostkeys.block(session, fleet.get_host(session, name), error.message, since)


async def _hold_once(context: Context, name: str, spec: HostSpec | RingRiftError) -> RingRiftError:
    """Hold the tunnel while it lasts; return why it ended."""

    async def opened() -> None:
        _log.info("tunnel to %s is open", name)
        await context.store.write("tunnel.opened", lambda s: fleet.tunnel_opened(s, name))
        context.wake()

    try:
        if isinstance(spec, RingRiftError):
            return spec
        await context.fleet.hold_tunnel(spec, context.agents_socket, opened)
    except RingRiftError as error:
        return error
    except Exception as error:
        _log.exception("tunnel to %s failed", name)
        return RingRiftError(f"{type(error).__name__}: {error}")
    return Unreachable("the connection was cut")
