"""Hosts: scan, add, provision, drain, resume, remove, trust."""

from __future__ import annotations

from fastapi import APIRouter
from pydantic import Field
from sqlmodel import Session, select

from ringrift.control.api.views.hosts import host_view, host_views
from ringrift.control.api.views.work import operation_view
from ringrift.control.domain.hostkeys import fingerprint
from ringrift.control.reconcile.context import Context
from ringrift.control.store import fleet, operations
from ringrift.control.store.clock import now
from ringrift.control.store.events import record
from ringrift.control.store.tables import Agent, Assignment, Host
from ringrift.errors import Conflict, Refused
from ringrift.protocol.operator import HostAdd, HostKey, HostView, Line, OperationView, ScanRequest
from ringrift.protocol.types import Wire

OPERATOR = "operator"


class TrustRequest(Wire):
    """Replace the pinned host key by one that a person has compared."""

    host_key: Line = Field(min_length=1)


def add_routes(router: APIRouter, context: Context) -> None:
    """Add the routes of hosts."""
    _reading(router, context)
    _joining(router, context)
    _leaving(router, context)


def _reading(router: APIRouter, context: Context) -> None:

    @router.get("/hosts")
    async def hosts() -> list[HostView]:
        return await context.store.read(lambda s: host_views(s, context.settings.agents))

    @router.get("/hosts/{name}")
    async def host(name: str) -> HostView:
        return await context.store.read(lambda s: host_view(s, name, context.settings.agents))

    @router.post("/hosts/scan")
    async def scan(wish: ScanRequest) -> list[HostKey]:
        keys = await context.fleet.scan(wish.address, wish.port)
        return [
            HostKey(type=key.type, fingerprint=key.fingerprint, public_key=key.public_key) for key in keys
        ]


def _joining(router: APIRouter, context: Context) -> None:

    @router.post("/hosts")
    async def add(wish: HostAdd) -> HostView:
        await context.store.write("host.add", lambda s: _add(s, wish))
        return await context.store.read(lambda s: host_view(s, wish.name, context.settings.agents))

    @router.post("/hosts/{name}/provision")
    async def provision(name: str) -> OperationView:
        operation = await context.store.write("host.provision", lambda s: _provision(s, name))
        context.wake()
        return await context.store.read(lambda s: operation_view(s, operations.get_operation(s, operation)))

    @router.post("/hosts/{name}/trust")
    async def trust(name: str, wish: TrustRequest) -> HostView:
        await context.store.write("host.trust", lambda s: _trust(s, name, wish.host_key))
        context.wake()
        return await context.store.read(lambda s: host_view(s, name, context.settings.agents))


def _leaving(router: APIRouter, context: Context) -> None:

    async def change(name: str, what: str) -> HostView:
        act = {"drain": _drain, "resume": _resume, "remove": _remove}[what]
        await context.store.write("host.act", lambda s: act(s, fleet.get_host(s, name)))
        context.wake()
        return await context.store.read(lambda s: host_view(s, name, context.settings.agents))

    @router.post("/hosts/{name}/drain")
    async def drain(name: str) -> HostView:
        return await change(name, "drain")

    @router.post("/hosts/{name}/resume")
    async def resume(name: str) -> HostView:
        return await change(name, "resume")

    @router.post("/hosts/{name}/remove")
    async def remove(name: str) -> HostView:
        return await change(name, "remove")


def _add(session: Session, wish: HostAdd) -> None:
    """Add a host, or bring a retired one back; adding the same again changes nothing."""
    print_ = fingerprint(wish.host_key)
    facts = {**wish.model_dump(), "host_key": " ".join(wish.host_key.split()[:2]), "fingerprint": print_}
    existing, time = session.get(Host, wish.name), now(session)
    if existing is not None and existing.state != "retired":
        if all(getattr(existing, key) == value for key, value in facts.items() if key != "confirmed_by"):
            return
        login = f"{existing.user}@{existing.address}:{existing.port}"
        raise Conflict(f"host {wish.name} is {login} already", hint="remove it first, or take another name")
    if existing is None:
        session.add(Host(**facts, state="new", added_at=time, changed_at=time))
    else:
        existing.sqlmodel_update(
            {**facts, "draining": False, "release": None, "blocked": False, "tunnel": "unknown"}
        )
        fleet.set_state(session, existing, "new", "", OPERATOR)
    login = f"{wish.user}@{wish.address}:{wish.port}"
    record(
        session,
        OPERATOR,
        "host.added",
        wish.name,
        login=login,
        fingerprint=print_,
        confirmed_by=wish.confirmed_by,
    )


def _provision(session: Session, name: str) -> str:
    """Begin to provision, or return the operation that does so already."""
    host = fleet.get_host(session, name)
    if host.state == "retired":
        raise Refused(f"host {name} is retired", hint="add it again first")
    if host.blocked:
        raise Refused(
            f"host {name} shows another host key than the pinned one", hint=f"ringrift-ctl hosts trust {name}"
        )
    running = operations.running_operation(session, "provision", name)
    if running is not None:
        return running.id
    return operations.start_operation(session, "provision", name, name, OPERATOR, {}).id


def _trust(session: Session, name: str, host_key: str) -> None:
    """Replace the pin; the tunnel is tried again at once."""
    host = fleet.get_host(session, name)
    before, host.fingerprint = host.fingerprint, fingerprint(host_key)
    host.host_key, host.blocked = " ".join(host_key.split()[:2]), False
    session.add(host)
    record(session, OPERATOR, "host.trusted", name, before=before, fingerprint=host.fingerprint)


def _drain(session: Session, host: Host) -> None:
    if host.state in ("retired", "new"):
        raise Refused(f"host {host.name} is {host.state}, there is nothing to drain")
    host.draining = True
    session.add(host)
    if host.state in ("ready", "quarantined"):
        fleet.set_state(session, host, "draining", "", OPERATOR)
    else:
        record(session, OPERATOR, "host.drain", host.name)


def _resume(session: Session, host: Host) -> None:
    if host.state == "retired":
        raise Refused(f"host {host.name} is retired", hint="add it again first")
    host.draining, host.restarts, host.restarted_at = False, 0, None
    session.add(host)
    if host.state in ("draining", "quarantined"):
        fleet.set_state(session, host, fleet.reachable_state(host), "", OPERATOR)
    else:
        record(session, OPERATOR, "host.resume", host.name)


def _remove(session: Session, host: Host) -> None:
    """Retire a host; refused while it has work, so that nothing is lost on a mere silence."""
    if host.state == "retired":
        return
    query = (
        select(Assignment.id)
        .join(Agent, Agent.id == Assignment.agent)  # type: ignore[arg-type]
        .where(Agent.host == host.name, Assignment.state == "running")
    )
    if session.exec(query).first() is not None:
        raise Refused(
            f"host {host.name} has work under way", hint=f"first: ringrift-ctl hosts drain {host.name}"
        )
    busy = next((op for op in operations.running_operations(session) if op.host == host.name), None)
    if busy is not None:
        raise Refused(f"{busy.kind} {busy.id} is under way on {host.name}", hint="wait for its end")
    fleet.revoke_agents(session, host.name, "the host was removed")
    host.tunnel = "closed"
    session.add(host)
    fleet.set_state(session, host, "retired", "", OPERATOR)
