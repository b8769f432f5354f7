"""Hosts: add, provision, quarantine, drain, resume, remove, and how each stands."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Response
from sqlmodel import Session, select

from ringrift.control.api.access import OWNER, By, Caller
from ringrift.control.api.recent import Recent
from ringrift.control.api.views.hosts import HostFilter, history_views, host_view, host_views
from ringrift.control.api.views.work import operation_view
from ringrift.control.domain.hostkeys import bare_key
from ringrift.control.domain.inventory import trust_command
from ringrift.control.reconcile.context import Context
from ringrift.control.store import debts, fleet, hostkeys, operations
from ringrift.control.store.clock import now
from ringrift.control.store.hostspecs import host_spec
from ringrift.control.store.tables import Agent, Assignment, Host
from ringrift.errors import Conflict, Refused
from ringrift.protocol.hosts import HostAdd, HostStateView, QuarantineRequest
from ringrift.protocol.operator import HostState, HostView, OperationView


def add_routes(router: APIRouter, context: Context) -> None:
    """Add the routes of hosts."""
    _reading(router, context)
    _joining(router, context)
    _leaving(router, context)


def _reading(router: APIRouter, context: Context) -> None:

    recent = Recent(context, list[HostView])

    @router.get("/hosts", response_model=list[HostView])
    async def hosts(
        kind: str | None = None,
        role: str | None = None,
        state: HostState | None = None,
        spot: bool | None = None,
    ) -> Response:
        wanted = HostFilter(kind, role, state, spot)
        return await recent.answer(wanted, lambda s: host_views(s, context.settings.agents, wanted))

    @router.get("/hosts/{name}")
    async def host(name: str) -> HostView:
        return await context.store.read(lambda s: host_view(s, name, context.settings.agents))

    @router.get("/hosts/{name}/history")
    async def history(name: str, limit: Annotated[int, Query(ge=1, le=1000)] = 100) -> list[HostStateView]:
        return await context.store.read(lambda s: history_views(s, name, limit))


def _joining(router: APIRouter, context: Context) -> None:

    @router.post("/hosts")
    async def add(wish: HostAdd, by: By) -> HostView:
        await context.store.write("host.add", lambda s: _add(s, wish, by.actor()))
        return await context.store.read(lambda s: host_view(s, wish.name, context.settings.agents))

    @router.post("/hosts/{name}/provision")
    async def provision(name: str, by: By) -> OperationView:
        operation = await context.store.write("host.provision", lambda s: _provision(s, name, by.actor()))
        context.wake()
        return await context.store.read(lambda s: operation_view(s, operations.get_operation(s, operation)))


def _leaving(router: APIRouter, context: Context) -> None:

    async def change(name: str, what: str, by: Caller) -> HostView:
        act = {"drain": fleet.drain, "resume": fleet.resume, "remove": _remove}[what]
        await context.store.write("host.act", lambda s: act(s, fleet.get_host(s, name), by.actor()))
        context.wake()
        return await context.store.read(lambda s: host_view(s, name, context.settings.agents))

    @router.post("/hosts/{name}/drain")
    async def drain(name: str, by: By) -> HostView:
        return await change(name, "drain", by)

    @router.post("/hosts/{name}/resume")
    async def resume(name: str, by: By) -> HostView:
        return await change(name, "resume", by)

    @router.post("/hosts/{name}/remove")
    async def remove(name: str, by: By) -> HostView:
        return await change(name, "remove", by)

    @router.post("/hosts/{name}/quarantine")
    async def quarantine(name: str, wish: QuarantineRequest, by: By) -> HostView:
        await context.store.write(
            "host.quarantine",
            lambda s: fleet.quarantine(s, fleet.get_host(s, name), wish.reason, wish.seconds, by.actor()),
        )
        return await context.store.read(lambda s: host_view(s, name, context.settings.agents))


def _add(session: Session, wish: HostAdd, actor: str) -> None:
    """Add a host, or bring a retired one back; adding the same again changes nothing."""
    wanted = wish.model_dump(exclude={"host_key", "confirmed_by"})
    host, time, key = session.get(Host, wish.name), now(session), bare_key(wish.host_key)
    if host is not None and host.state != "retired":
        if host.host_key == key and all(getattr(host, name) == value for name, value in wanted.items()):
            return
        login = f"{host.user}@{host.address}:{host.port}"
        hint = "remove it first, or take another name" if host.host_key else trust_command(host.name)
        raise Conflict(f"host {wish.name} is {login} already", hint=hint)
    fresh = {"host_key": "", "fingerprint": "", "confirmed_by": ""}
    if host is None:
        host = Host(**wanted, **fresh, state="new", added_at=time, changed_at=time)
        session.add(host)
        session.flush()
    else:
        host.sqlmodel_update({**wanted, **fresh, "draining": False, "release": None, "tunnel": "unknown"})
        fleet.set_state(session, host, "new", "", actor)
    how = hostkeys.OPERATOR if wish.confirmed_by == "fingerprint" else hostkeys.FIRST_CONTACT
    login = f"{wish.user}@{wish.address}:{wish.port}"
    hostkeys.pin(session, host, key, how, actor, "host.added", login=login)


def _provision(session: Session, name: str, actor: str = OWNER) -> str:
    """Begin to provision, or return the operation that does so already."""
    host = fleet.get_host(session, name)
    if host.state == "retired":
        raise Refused(f"host {name} is retired", hint="add it again first")
    if host.blocked:
        why = host.tunnel_reason or "it shows another host key than the pinned one"
        raise Refused(f"host {name} is blocked: {why}", hint=trust_command(name))
    host_spec(session, host)
    running = operations.running_operation(session, "provision", name)
    if running is not None:
        return running.id
    return operations.start_operation(session, "provision", name, name, actor, {}).id


def _remove(session: Session, host: Host, actor: str) -> None:
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
    behind = session.exec(select(Host.name).where(Host.jump == host.name, Host.state != "retired")).first()
    if behind is not None:
        raise Refused(f"host {behind} is reached through {host.name}", hint=f"remove {behind} first")
    busy = next((op for op in operations.running_operations(session) if op.host == host.name), None)
    if busy is not None:
        raise Refused(f"{busy.kind} {busy.id} is under way on {host.name}", hint="wait for its end")
    fleet.revoke_agents(session, host.name, "the host was removed")
    host.tunnel = "closed"
    session.add(host)
    for debt in debts.open_debts(session, host.name):
        debts.forgive(session, debt, "the host was removed")
    fleet.set_state(session, host, "retired", "", actor)
