"""Batches: one operation on many hosts, kept as rows so that any controller can carry them on."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sqlmodel import Session, col, select

from ringrift.control.domain import batches as domain
from ringrift.control.domain.batches import Row, Shape
from ringrift.control.domain.states import BATCH, advance
from ringrift.control.store import debts, fleet
from ringrift.control.store.clock import now
from ringrift.control.store.events import record
from ringrift.control.store.ids import new_id
from ringrift.control.store.tables import Agent, Batch, BatchHost, Host
from ringrift.errors import BadInput, NotFound, Refused


@dataclass(frozen=True)
class Order:
    """What a person asks for; None takes the default of the kind. `named` hosts are taken as they are."""

    kind: str
    canary: int | None = None
    width: int | None = None
    budget: int | None = None
    named: bool = True
    retries: str | None = None
    """The batch whose failed hosts are tried again."""


def get_batch(session: Session, batch_id: str) -> Batch:
    """Return a batch; `NotFound` for an unknown id."""
    batch = session.get(Batch, batch_id)
    if batch is None:
        raise NotFound(f"no batch {batch_id!r}", hint="`ringrift-ctl batches list` shows the known ones")
    return batch


def rows_of(session: Session, batch_id: str) -> list[BatchHost]:
    """Return the hosts of a batch in the order of their start."""
    query = select(BatchHost).where(BatchHost.batch == batch_id)
    return list(session.exec(query.order_by(col(BatchHost.position))).all())


def running_batches(session: Session) -> list[Batch]:
    """Return batches that go on, oldest first."""
    query = select(Batch).where(Batch.state == "running").order_by(col(Batch.began_at), col(Batch.id))
    return list(session.exec(query).all())


def choose_hosts(
    session: Session, names: Sequence[str], everything: bool, filters: dict[str, Sequence[str]]
) -> list[Host]:
    """Return the hosts that are meant: by name, or all, or those with one of the wanted values per column.

    Raises `BadInput` when nothing was chosen by, `NotFound` for a name that is not known or a filter that
    fits none, `Refused` for a retired host.
    """
    filters = {column: wanted for column, wanted in filters.items() if wanted}
    if bool(names) + bool(everything or filters) != 1:
        raise BadInput("name hosts, or choose them by a filter, not both", hint="or take all with --all")
    if names:
        hosts = [fleet.get_host(session, name) for name in dict.fromkeys(names)]
        gone = [host.name for host in hosts if host.state == "retired"]
        if gone:
            raise Refused(f"host {gone[0]} is retired", hint="add it again first")
        return hosts
    query = select(Host).where(Host.state != "retired")
    for column, wanted in filters.items():
        query = query.where(getattr(Host, column).in_(wanted))
    hosts = list(session.exec(query.order_by(col(Host.name))).all())
    if not hosts:
        raise NotFound("no host fits", hint="`ringrift-ctl hosts list` shows the known ones")
    return hosts


def start_batch(session: Session, hosts: Sequence[Host], order: Order, actor: str) -> Batch:
    """Begin a batch, or return the running one of the same kind on the same hosts."""
    names = {host.name for host in hosts}
    for running in running_batches(session):
        same = running.kind == order.kind and names == {row.host for row in rows_of(session, running.id)}
        if same:
            return running
    usual = domain.defaults(order.kind, len(hosts))
    asked = (order.canary, order.width, order.budget)
    canary, width, budget = (
        given if given is not None else default for given, default in zip(asked, usual, strict=True)
    )
    batch = Batch(
        id=new_id("batch"),
        kind=order.kind,
        actor=actor,
        order={"retries": order.retries} if order.retries else {},
        canary=min(canary, len(hosts)),
        width=width,
        budget=budget,
        state="running",
        began_at=now(session),
    )
    session.add(batch)
    session.flush()
    detail = {"hosts": sorted(names), "canary": batch.canary, "width": width, "budget": budget}
    record(session, actor, f"batch.{order.kind}", batch.id, **detail, **batch.order)
    _place(session, batch, hosts, order)
    return batch


def _place(session: Session, batch: Batch, hosts: Sequence[Host], order: Order) -> None:
    by_name = {host.name: host for host in hosts}
    good = [domain.Candidate(host.name, host.state == "ready", host.spot) for host in hosts]
    for position, name in enumerate(domain.ordered(good)):
        state, reason = _entrance(session, by_name[name], order)
        row = BatchHost(batch=batch.id, host=name, position=position, wave=0, state="waiting")
        if state == "owed":
            debts.owe(session, row, batch, reason)
        elif state != "waiting":
            close(session, row, state, reason)
        if order.kind not in domain.LOOKED_AT:
            row.plan_hash = ""
        session.add(row)


def _entrance(session: Session, host: Host, order: Order) -> tuple[str, str]:
    """Return the state in which a host enters a batch, and why when it is not `waiting`."""
    if not domain.KINDS[order.kind]:
        return "waiting", ""
    if host.blocked:
        return "failed", f"it shows another host key: ringrift-ctl hosts trust {host.name}"
    if host.state == "quarantined" and not order.named:
        return "skipped", f"it is quarantined: {host.reason}"
    if order.kind == "restart" and fleet.active_agent(session, host.name) is None:
        return "skipped", "it has no agent"
    if host.release is not None and (host.state == "unreachable" or host.tunnel == "closed"):
        return "owed", host.tunnel_reason or host.reason or "it cannot be reached"
    return "waiting", ""


def close(session: Session, row: BatchHost, state: str, reason: str) -> None:
    """Write how a host of a batch ended."""
    row.state, row.reason, row.ended_at = state, reason, now(session)
    session.add(row)


def shape(batch: Batch, hosts: int) -> Shape:
    """Return how a batch of so many hosts goes."""
    stages = domain.gates(batch.kind, batch.canary, hosts)
    return Shape(stages, batch.width, batch.budget, int(batch.order.get("forgiven", 0)))


def pure(rows: Iterable[BatchHost]) -> list[Row]:
    """Return rows as the decisions see them."""
    return [
        Row(
            host=row.host,
            state=row.state,
            planned=row.plan_hash is not None,
            proved=row.state == "succeeded" and row.operation is not None,
        )
        for row in rows
    ]


def resume_batch(session: Session, batch_id: str, actor: str) -> Batch:
    """Let a halted batch go on; its failures until now are forgiven."""
    batch = get_batch(session, batch_id)
    if batch.state == "running":
        return batch
    failed = sum(row.state == "failed" for row in rows_of(session, batch_id))
    batch.order = {**batch.order, "forgiven": failed}
    move(session, batch, "running", "", actor)
    return batch


def cancel_batch(session: Session, batch_id: str, actor: str) -> Batch:
    """Start nothing more and forgive what is owed, also of a batch that has ended; what runs goes on."""
    batch, owed = get_batch(session, batch_id), debts.open_debts(session, batch=batch_id)
    if batch.state != "cancelled" and not (owed and batch.ended_at is not None):
        move(session, batch, "cancelled", f"by {actor}", actor)
    for debt in owed:
        debts.forgive(session, debt, "cancelled")
    for row in rows_of(session, batch_id):
        if row.state == "waiting":
            close(session, row, "skipped", "cancelled")
    return batch


def retry_batch(session: Session, batch_id: str, actor: str) -> Batch:
    """Begin a batch of the same kind on those hosts of an older one that failed."""
    batch = get_batch(session, batch_id)
    if batch.state == "running":
        raise Refused(f"{batch_id} is still running", hint=f"ringrift-ctl batches show {batch_id}")
    names = [row.host for row in rows_of(session, batch_id) if row.state == "failed"]
    if not names:
        raise Refused(f"no host of {batch_id} failed")
    hosts = choose_hosts(session, names, False, {})
    return start_batch(session, hosts, Order(batch.kind, width=batch.width, retries=batch_id), actor)


def move(session: Session, batch: Batch, state: str, reason: str, actor: str) -> None:
    """Move a batch to a state, with its audit row."""
    batch.state, batch.reason = advance(BATCH, f"batch {batch.id}", batch.state, state), reason
    batch.ended_at = now(session) if state not in ("running", "halted") else None
    session.add(batch)
    record(session, actor, f"batch.{state}", batch.id, reason=reason)


def host_agents(session: Session, names: Iterable[str]) -> dict[str, Agent]:
    """Return the active agents of hosts, by host."""
    query = select(Agent).where(col(Agent.revoked_at).is_(None), col(Agent.host).in_(list(names)))
    return {agent.host: agent for agent in session.exec(query).all()}


def recent_batches(session: Session, limit: int) -> list[Batch]:
    """Return the newest batches first."""
    query = select(Batch).order_by(col(Batch.began_at).desc(), col(Batch.id)).limit(limit)
    return list(session.exec(query).all())
