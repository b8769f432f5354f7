"""Jobs, operations, events and the whole, as operators see them."""

from __future__ import annotations

from sqlalchemy import func
from sqlmodel import Session, col, select

from ringrift.control.store import events
from ringrift.control.store.clock import now, timestamp
from ringrift.control.store.operations import steps_of
from ringrift.control.store.tables import Agent, Assignment, Event, Game, Job, Operation, Result, Shard
from ringrift.protocol.operator import (
    ErrorBody,
    EventView,
    JobView,
    OperationView,
    ReceiptCount,
    StepView,
)


def operation_view(session: Session, operation: Operation) -> OperationView:
    """Return an operation with its steps."""
    steps = [
        StepView(name=step.name, state=step.state, detail=step.detail, seconds=step.took)
        for step in steps_of(session, operation.id)
    ]
    error = ErrorBody.model_validate(operation.error) if operation.error else None
    return OperationView(
        id=operation.id,
        kind=operation.kind,
        subject=operation.subject,
        state=operation.state,
        steps=steps,
        error=error,
        age=now(session) - operation.began_at,
    )


def job_views(session: Session, state: str | None, kind: str | None, limit: int) -> list[JobView]:
    """Return jobs, newest first, in a state and of a kind if named."""
    query = select(Job).order_by(col(Job.changed_at).desc(), col(Job.id)).limit(limit)
    if state:
        query = query.where(Job.state == state)
    if kind:
        query = query.where(Job.kind == kind)
    found = session.exec(query).all()
    done = _receipts(session, [job.id for job in found])
    return [_job_view(session, job, done.get(job.id, 0)) for job in found]


def job_view(session: Session, job: Job) -> JobView:
    """Return one job."""
    return _job_view(session, job, _receipts(session, [job.id]).get(job.id, 0))


def _receipts(session: Session, ids: list[str]) -> dict[str, int]:
    query = select(Result.job, func.count()).where(col(Result.job).in_(ids)).group_by(col(Result.job))
    return dict(session.exec(query).all())


def _newest_try(session: Session, job: Job) -> tuple[Assignment, str] | None:
    query = (
        select(Assignment, Agent.host)
        .join(Agent, col(Agent.id) == col(Assignment.agent))
        .where(Assignment.job == job.id)
        .order_by(col(Assignment.epoch).desc())
    )
    return session.exec(query).first()


def _job_view(session: Session, job: Job, done: int) -> JobView:
    newest = _newest_try(session, job)
    running = newest[0] if newest and newest[0].state == "running" else None
    reported = running.done / running.amount if running and running.amount > 0 else 0.0
    return JobView(
        id=job.id,
        kind=job.kind,
        config=job.config,
        state=job.state,
        host=newest[1] if newest else None,
        attempts=job.attempts,
        done=done,
        total=job.total,
        progress=min(1.0, max(done / job.total, reported, 0.0)),
        rate=running.rate if running else None,
        unit=running.unit if running else "",
        reason=job.reason,
        age=now(session) - job.created_at,
    )


def job_counts(session: Session) -> dict[str, int]:
    """Return the number of jobs in each state."""
    rows = session.exec(select(Job.state, func.count()).group_by(col(Job.state))).all()
    return dict(rows)


def receipt_count(session: Session) -> ReceiptCount:
    """Return the query of promises P1 and P2."""
    named, repeated = session.exec(
        select(func.sum(Result.games_named), func.sum(Result.games_repeated))
    ).one()
    rows = session.exec(
        select(Shard.state, func.count())
        .join(Game, col(Game.shard) == col(Shard.sha256))
        .group_by(col(Shard.state))
    ).all()
    by_state = {state: int(count) for state, count in rows}
    return ReceiptCount(
        games_receipted=int(named or 0) - int(repeated or 0),
        games_stored=session.exec(select(func.count()).select_from(Game)).one(),
        games_ingested=by_state.get("sound", 0),
        games_awaiting_ingest=by_state.get("received", 0),
        games_refused=by_state.get("refused", 0),
    )


def event_views(session: Session, after: int | None, limit: int) -> list[EventView]:
    """Return audit rows, oldest first; without `after` the newest `limit`."""
    time = now(session)
    return [_event_view(row, time) for row in events.recent(session, after, limit)]


def _event_view(row: Event, time: float) -> EventView:
    return EventView(
        id=row.id,
        at=timestamp(row.at),
        age=time - row.at,
        actor=row.actor,
        action=row.action,
        subject=row.subject,
        detail=row.detail,
        digest=row.digest,
    )
