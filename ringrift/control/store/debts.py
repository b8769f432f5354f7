"""What unreachable hosts still owe, and how it is paid when they return."""

from __future__ import annotations

from sqlmodel import Session, col, select

from ringrift.control.domain.batches import KINDS
from ringrift.control.domain.ports import HostPlan
from ringrift.control.store import operations
from ringrift.control.store.clock import now
from ringrift.control.store.events import CONTROLLER, record
from ringrift.control.store.ids import new_id
from ringrift.control.store.tables import Batch, BatchHost, Debt, Host


def open_debts(session: Session, host: str | None = None, batch: str | None = None) -> list[Debt]:
    """Return what is owed (by one host, or for one batch), oldest first; retired hosts owe nothing."""
    query = select(Debt).join(Host, col(Host.name) == col(Debt.host)).where(col(Debt.paid_at).is_(None))
    query = query.where(Host.state != "retired")
    if host is not None:
        query = query.where(Debt.host == host)
    if batch is not None:
        query = query.where(Debt.batch == batch)
    return list(session.exec(query.order_by(col(Debt.made_at))).all())


def owe(session: Session, row: BatchHost, batch: Batch, reason: str) -> None:
    """Note that a host of a batch could not be reached; the newest order of a kind replaces older ones."""
    kind = KINDS[batch.kind]
    row.state, row.reason, row.operation, row.ended_at = "owed", reason, None, now(session)
    session.add(row)
    for older in open_debts(session, row.host):
        if older.kind == kind:
            forgive(session, older, f"replaced by {batch.id}")
    debt = Debt(
        id=new_id("debt"), host=row.host, kind=kind, batch=batch.id, reason=reason, made_at=now(session)
    )
    session.add(debt)
    session.flush()
    record(session, CONTROLLER, "debt.made", row.host, debt=debt.id, kind=kind, batch=batch.id, reason=reason)


def forgive(session: Session, debt: Debt, reason: str) -> None:
    """Close a debt without an operation; its row of the batch says why."""
    debt.paid_at, debt.reason = now(session), reason
    session.add(debt)
    row = session.get(BatchHost, (debt.batch, debt.host)) if debt.batch is not None else None
    if row is not None and row.state == "owed" and row.operation is None:
        row.state, row.reason = "skipped", reason
        session.add(row)
    record(session, CONTROLLER, "debt.forgiven", debt.host, debt=debt.id, reason=reason)


def payable(session: Session, host: str) -> list[Debt]:
    """Return what a host that is back can pay: the debts of batches that ended without a stop.

    A batch that was halted may have found a bad release: nobody gets it unless a person lets it go on.
    """
    debts = open_debts(session, host)
    batches = {debt.id: session.get(Batch, debt.batch) for debt in debts if debt.batch is not None}
    return [
        debt
        for debt in debts
        if (batch := batches.get(debt.id)) is None or batch.state in ("succeeded", "failed")
    ]


def pay(session: Session, host: str, plan: HostPlan, *, unchanged: bool) -> int:
    """Pay every payable debt of a host that was reached just now; return how many.

    Each is closed in the transaction that begins its operation, so that it is paid once.
    """
    debts = payable(session, host)
    for debt in debts:
        row = session.get(BatchHost, (debt.batch, host)) if debt.batch is not None else None
        debt.paid_at = now(session)
        if debt.kind == "provision" and unchanged:
            _settle(session, row, "succeeded", "unchanged")
        else:
            plan_hash = plan.hash if debt.kind == "provision" else None
            debt.operation = begin(session, debt.kind, host, CONTROLLER, debt.batch, plan_hash)
            if row is not None and row.state == "owed":
                row.operation = debt.operation
                session.add(row)
        session.add(debt)
        record(session, CONTROLLER, "debt.paid", host, debt=debt.id, operation=debt.operation)
    return len(debts)


def _settle(session: Session, row: BatchHost | None, state: str, reason: str) -> None:
    if row is not None and row.state == "owed":
        row.state, row.reason = state, reason
        session.add(row)


def begin(
    session: Session, kind: str, host: str, actor: str, batch: str | None, plan_hash: str | None
) -> str:
    """Begin an operation on a host, or join the one of its kind that runs; return its id."""
    running = operations.running_operation(session, kind, host)
    if running is not None:
        return running.id
    return operations.start_operation(
        session, kind, host, host, actor, {}, batch=batch, plan_hash=plan_hash
    ).id
