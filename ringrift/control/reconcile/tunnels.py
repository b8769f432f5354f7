"""Holds the agents' API open on every host that should have it; a lost one is opened again with jitter."""

from __future__ import annotations

import asyncio
import logging
import random
import time

from sqlmodel import Session, col, select

from ringrift.control.domain.ports import HostSpec
from ringrift.control.reconcile.context import Context
from ringrift.control.store import fleet
from ringrift.control.store.hostspecs import host_spec, host_specs
from ringrift.control.store.tables import Host
from ringrift.errors import HostKeyChanged, RingRiftError

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
        specs = await context.store.read(lambda s: host_specs(s, {wanted[key] for key in missing}))
        for key in missing:
            context.flights.start(key, _keep(context, wanted[key], specs.get(wanted[key])))
    return wanted.keys() != held


def _wanted(session: Session) -> list[tuple[str, str]]:
    """Return hosts that were provisioned once, are not retired and showed their pinned key, and that key.

    A tunnel is one of a host and its key: where another key is trusted, the connection of the old one ends.
    """
    query = select(Host.name, Host.fingerprint).where(
        col(Host.release).is_not(None), Host.state != "retired", col(Host.blocked).is_(False)
    )
    return list(session.exec(query).all())


async def _keep(context: Context, name: str, spec: HostSpec | RingRiftError | None) -> None:
    """Hold one host's tunnel until its key changes, first by `spec`; every loss is noted with its reason."""
    pause = first = context.settings.limits.reconnect_seconds
    while True:
        began = time.monotonic()
        blocked, reason = await _hold_once(context, name, spec)
        spec = None
        _log.info("tunnel to %s closed: %s", name, reason)
        await context.store.write(
            "tunnel.lost", lambda s, r=reason, b=blocked: fleet.tunnel_lost(s, name, r, blocked=b)
        )
        context.wake()
        if blocked:
            return
        pause = first if time.monotonic() - began > _SETTLED_SECONDS else pause
        await asyncio.sleep(pause * random.uniform(0.5, 1.5))
        pause = min(pause * 2, _LONGEST_PAUSE)


async def _hold_once(context: Context, name: str, spec: HostSpec | RingRiftError | None) -> tuple[bool, str]:
    """Hold the tunnel while it lasts; return whether a changed host key blocks it, and why it ended."""

    async def opened() -> None:
        _log.info("tunnel to %s is open", name)
        await context.store.write("tunnel.opened", lambda s: fleet.tunnel_opened(s, name))
        context.wake()

    try:
        if spec is None:
            spec = await context.store.read(lambda s: host_spec(s, fleet.get_host(s, name)))
        if isinstance(spec, RingRiftError):
            raise spec
        await context.fleet.hold_tunnel(spec, context.agents_socket, opened)
    except HostKeyChanged as error:
        return True, error.message
    except RingRiftError as error:
        return False, error.message
    except Exception as error:
        _log.exception("tunnel to %s failed", name)
        return False, f"{type(error).__name__}: {error}"
    return False, "the connection was cut"
