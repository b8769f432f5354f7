"""Host keys: scan, pin, history, revoke, authorities."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from fastapi import APIRouter
from sqlmodel import Session, col, select

from ringrift.control.api.access import By
from ringrift.control.api.views.hostkeys import authority_views, pinned_views, revoked_views
from ringrift.control.api.views.hosts import host_view
from ringrift.control.domain.ports import HostSpec, ShownKey
from ringrift.control.reconcile.context import Context
from ringrift.control.store import fleet, hostkeys
from ringrift.control.store.hostspecs import host_spec
from ringrift.control.store.tables import Host
from ringrift.errors import RingRiftError, Unreachable
from ringrift.protocol.hosts import (
    AuthorityAdd,
    AuthorityRemove,
    AuthorityView,
    PinnedKeyView,
    RevokedKeyView,
    RevokeRequest,
    ScanHostsRequest,
    ScannedHost,
    ScanRequest,
    TrustRequest,
)
from ringrift.protocol.operator import HostKey, HostView

SCANS_AT_ONCE = 16


def add_routes(router: APIRouter, context: Context) -> None:
    """Add the routes of host keys."""
    _scanning(router, context)
    _pinning(router, context)
    _trusting_authorities(router, context)


def _scanning(router: APIRouter, context: Context) -> None:

    @router.post("/hosts/scan")
    async def scan(wish: ScanRequest) -> list[HostKey]:
        return _wire(await context.fleet.scan(wish.address, wish.port))

    @router.post("/host-keys/scan")
    async def scan_hosts(wish: ScanHostsRequest) -> list[ScannedHost]:
        places = await context.store.read(lambda s: _places(s, wish.names))
        gate = asyncio.Semaphore(SCANS_AT_ONCE)
        found = await asyncio.gather(*(_scan(context, gate, place) for place in places))
        silent = {view.name: reason for view, reason in found if reason}
        if silent:
            await context.store.write("host.silent", lambda s: _silent(s, silent))
        return [view for view, _ in found]


def _pinning(router: APIRouter, context: Context) -> None:

    @router.post("/hosts/{name}/trust")
    async def trust(name: str, wish: TrustRequest, by: By) -> HostView:
        await context.store.write(
            "host.trust",
            lambda s: hostkeys.pin(s, fleet.get_host(s, name), wish.host_key, wish.how, by.actor()),
        )
        context.wake()
        return await context.store.read(lambda s: host_view(s, name, context.settings.agents))

    @router.get("/hosts/{name}/keys")
    async def keys(name: str) -> list[PinnedKeyView]:
        return await context.store.read(lambda s: pinned_views(s, name))

    @router.get("/host-keys/revoked")
    async def revoked() -> list[RevokedKeyView]:
        return await context.store.read(revoked_views)

    @router.post("/host-keys/revoke")
    async def revoke(wish: RevokeRequest, by: By) -> RevokedKeyView:
        hosts = await context.store.write(
            "host.revoke-key", lambda s: hostkeys.revoke(s, wish.fingerprint, wish.reason, by.actor())
        )
        context.wake()
        views = await context.store.read(revoked_views)
        found = next(view for view in views if view.fingerprint == wish.fingerprint)
        return found.model_copy(update={"hosts": hosts})


def _trusting_authorities(router: APIRouter, context: Context) -> None:

    @router.get("/host-authorities")
    async def authorities() -> list[AuthorityView]:
        return await context.store.read(authority_views)

    @router.post("/host-authorities")
    async def add(wish: AuthorityAdd, by: By) -> list[AuthorityView]:
        await context.store.write(
            "host.add-authority", lambda s: hostkeys.add_authority(s, wish.public_key, by.actor())
        )
        return await context.store.read(authority_views)

    @router.post("/host-authorities/remove")
    async def remove(wish: AuthorityRemove, by: By) -> list[AuthorityView]:
        await context.store.write(
            "host.remove-authority", lambda s: hostkeys.remove_authority(s, wish.fingerprint, by.actor())
        )
        return await context.store.read(authority_views)


@dataclass(frozen=True)
class _Place:
    """Where a host shows its key; `problem` says why it cannot be asked."""

    name: str
    login: str
    address: str
    port: int
    expected: str
    jump: HostSpec | None = None
    problem: str = ""


def _places(session: Session, names: list[str]) -> list[_Place]:
    """Return the named hosts, or all that wait for their first key."""
    if names:
        hosts = [fleet.get_host(session, name) for name in names]
    else:
        query = select(Host).where(Host.state != "retired").order_by(col(Host.name))
        hosts = [host for host in session.exec(query).all() if not hostkeys.trusted(host)]
    return [_place(session, host) for host in hosts]


def _place(session: Session, host: Host) -> _Place:
    jump, problem = None, ""
    try:
        jump = host_spec(session, fleet.get_host(session, host.jump)) if host.jump else None
    except RingRiftError as error:
        problem = f"it is reached through {host.jump}: {error.line()}"
    login = f"{host.user}@{host.address}:{host.port}"
    expected = "" if host.host_key else host.fingerprint
    return _Place(host.name, login, host.address, host.port, expected, jump, problem)


async def _scan(context: Context, gate: asyncio.Semaphore, place: _Place) -> tuple[ScannedHost, str]:
    """Return what a host shows, and its silence in words if it does not answer."""
    keys: list[HostKey] = []
    problem, silence = place.problem, ""
    if not problem:
        try:
            async with gate:
                keys = _wire(await context.fleet.scan(place.address, place.port, place.jump))
        except RingRiftError as error:
            problem = error.message
            silence = problem if isinstance(error, Unreachable) else ""
    view = ScannedHost(name=place.name, login=place.login, keys=keys, expected=place.expected, error=problem)
    return view, silence


def _wire(keys: list[ShownKey]) -> list[HostKey]:
    return [HostKey(type=key.type, fingerprint=key.fingerprint, public_key=key.public_key) for key in keys]


def _silent(session: Session, silent: dict[str, str]) -> None:
    for name, reason in silent.items():
        hostkeys.silent(session, name, reason)
