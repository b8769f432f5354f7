"""Batches and debts as operators see them."""

from __future__ import annotations

from sqlmodel import Session

from ringrift.control.domain.batches import tally
from ringrift.control.reconcile.looks import Look
from ringrift.control.store import batches, debts
from ringrift.control.store.clock import now
from ringrift.control.store.tables import Batch, BatchHost
from ringrift.protocol.batches import BatchHostView, BatchView, DebtView, PlanView


def batch_views(session: Session, limit: int) -> list[BatchView]:
    """Return the newest batches first."""
    return [_view(session, batch) for batch in batches.recent_batches(session, limit)]


def batch_view(session: Session, batch_id: str) -> BatchView:
    """Return one batch; `NotFound` for an unknown id."""
    return _view(session, batches.get_batch(session, batch_id))


def _view(session: Session, batch: Batch) -> BatchView:
    rows = batches.rows_of(session, batch.id)
    return BatchView(
        id=batch.id,
        kind=batch.kind,
        state=batch.state,
        reason=batch.reason,
        actor=batch.actor,
        canary=batch.canary,
        width=batch.width,
        budget=batch.budget,
        counts=tally(row.state for row in rows),
        hosts=[_host_view(row) for row in rows],
        age=now(session) - batch.began_at,
        seconds=batch.ended_at - batch.began_at if batch.ended_at is not None else None,
    )


def _host_view(row: BatchHost) -> BatchHostView:
    return BatchHostView(
        host=row.host,
        state=row.state,
        wave=row.wave,
        reason=row.reason,
        operation=row.operation,
        lines=row.lines,
    )


def plan_view(look: Look) -> PlanView:
    """Return what a look found, or why it found nothing."""
    if look.plan is None:
        return PlanView(host=look.host, error=look.error.line() if look.error else "")
    return PlanView(host=look.host, hash=look.plan.hash, lines=list(look.plan.lines))


def debt_views(session: Session) -> list[DebtView]:
    """Return what is owed, oldest first."""
    time = now(session)
    return [
        DebtView(
            id=debt.id,
            host=debt.host,
            kind=debt.kind,
            batch=debt.batch,
            reason=debt.reason,
            age=time - debt.made_at,
        )
        for debt in debts.open_debts(session)
    ]
