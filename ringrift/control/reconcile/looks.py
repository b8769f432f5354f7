"""Looks at hosts: what would provisioning change there now? Nothing is changed by looking."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass

from sqlmodel import Session

from ringrift.control.domain.ports import Fleet, HostPlan, HostSpec
from ringrift.control.store.fleet import get_host
from ringrift.control.store.hostspecs import host_spec
from ringrift.errors import RingRiftError, Unreachable

AT_ONCE = 16
LOOK_SECONDS = 30.0
_SLICE_SECONDS = 1.0


@dataclass(frozen=True)
class Look:
    """The plan of a host, or why there is none."""

    host: str
    plan: HostPlan | None = None
    error: RingRiftError | None = None


Wanted = HostSpec | Look
"""A host to look at, or what is known of it without a look."""


def wanted(session: Session, names: Iterable[str]) -> list[Wanted]:
    """Return what to look at. A host that has no way to it is a failed look of its own."""
    found: list[Wanted] = []
    for name in names:
        try:
            found.append(host_spec(session, get_host(session, name)))
        except RingRiftError as error:
            found.append(Look(name, error=error))
    return found


async def look(fleet: Fleet, host: Wanted) -> Look:
    """Look at one host; every failure is a look of its own."""
    if isinstance(host, Look):
        return host
    try:
        async with asyncio.timeout(LOOK_SECONDS):
            return Look(host.name, plan=await fleet.plan(host))
    except TimeoutError:
        return Look(
            host.name, error=Unreachable(f"{host.name} did not answer a look within {LOOK_SECONDS:.0f} s")
        )
    except RingRiftError as error:
        return Look(host.name, error=error)
    except Exception as error:
        return Look(host.name, error=RingRiftError(f"the look at {host.name} failed: {type(error).__name__}"))


async def looks(fleet: Fleet, hosts: Sequence[Wanted]) -> AsyncIterator[list[Look]]:
    """Look at hosts, at most 16 at once; give what is known once a second, or once all is."""
    gate = asyncio.Semaphore(AT_ONCE)

    async def one(host: Wanted) -> Look:
        async with gate:
            return await look(fleet, host)

    pending = {asyncio.create_task(one(host)) for host in hosts}
    try:
        while pending:
            done, pending = await asyncio.wait(pending, timeout=_SLICE_SECONDS)
            if done:
                yield [task.result() for task in done]
    finally:
        for task in pending:
            task.cancel()
