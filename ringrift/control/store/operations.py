"""Long actions on hosts: recorded step by step, resumed after a restart, applied by the lock's holder."""

from __future__ import annotations

from typing import Any

from sqlalchemy import select as columns
from sqlalchemy import update
from sqlmodel import Session, col, select

from ringrift.control.domain.ports import StepEvent
from ringrift.control.domain.states import OPERATION, advance
from ringrift.control.store.clock import now
from ringrift.control.store.events import CONTROLLER, record
from ringrift.control.store.ids import new_id
from ringrift.control.store.tables import Operation, OperationStep, Setting
from ringrift.errors import NotFound, RingRiftError

LOCK_SECONDS = 60.0
"""A lock is renewed every third of this while its operation runs."""
EPOCH = "leader.epoch"
"""How often a controller has begun to reconcile; only the newest may take up operations."""
_settings = Setting.__table__
_EPOCH = columns(_settings.c.value).where(_settings.c.key == EPOCH)


class Superseded(Exception):
    """Another controller carries the operation on: leave everything as it is."""


def get_operation(session: Session, operation_id: str) -> Operation:
    """Return an operation; `NotFound` for an unknown id."""
    operation = session.get(Operation, operation_id)
    if operation is None:
        raise NotFound(f"no operation {operation_id!r}")
    return operation


def start_operation(
    session: Session,
    kind: str,
    subject: str,
    host: str,
    actor: str,
    order: dict[str, Any],
    deployment: str | None = None,
    batch: str | None = None,
    plan_hash: str | None = None,
) -> Operation:
    """Begin an operation; the reconciler carries it out."""
    operation = Operation(
        id=new_id("op"),
        kind=kind,
        subject=subject,
        host=host,
        state="running",
        order=order,
        deployment=deployment,
        batch=batch,
        plan_hash=plan_hash,
        began_at=now(session),
    )
    session.add(operation)
    session.flush()
    more = {"batch": batch, "plan": plan_hash} if batch or plan_hash else {}
    record(session, actor, f"{kind}.started", subject, operation=operation.id, order=order, **more)
    return operation


def running_operations(session: Session) -> list[Operation]:
    """Return what is not finished, oldest first."""
    query = select(Operation).where(Operation.state == "running")
    return list(session.exec(query.order_by(col(Operation.began_at))).all())


def running_operation(session: Session, kind: str, subject: str) -> Operation | None:
    """Return the unfinished operation of this kind on a subject."""
    query = select(Operation).where(
        Operation.kind == kind, Operation.subject == subject, Operation.state == "running"
    )
    return session.exec(query).first()


def latest_operation(session: Session, kind: str, subject: str) -> Operation | None:
    """Return the newest operation of this kind on a subject, finished or not."""
    query = select(Operation).where(Operation.kind == kind, Operation.subject == subject)
    return session.exec(query.order_by(col(Operation.began_at).desc())).first()


def claim(session: Session, operation_id: str, token: str, epoch: int) -> bool:
    """Take the free lock of a running operation; False when somebody else holds it, or leads by now.

    Locks and steps are telemetry of a change that has audit rows for its begin and its end: they write none.
    """
    if epoch != current_epoch(session):
        return False
    time = now(session)
    free = col(Operation.lock_token).is_(None) | (col(Operation.lock_expires_at) < time)
    return _lock(session, operation_id, token, time, free)


def renew(session: Session, operation_id: str, token: str) -> bool:
    """Keep a lock that is held; False when it was taken away, and then it must not come back."""
    return _lock(session, operation_id, token, now(session), col(Operation.lock_token) == token)


def _lock(session: Session, operation_id: str, token: str, time: float, allowed: Any) -> bool:
    taken = session.execute(
        update(Operation)
        .where(col(Operation.id) == operation_id, col(Operation.state) == "running", allowed)
        .values(lock_token=token, lock_expires_at=time + LOCK_SECONDS)
    )
    return bool(taken.rowcount == 1)


def current_epoch(session: Session) -> int:
    """Return the epoch of the controller that leads; 0 before the first."""
    # Asked for every unit of work of a reconciler: past the ORM it costs a quarter.
    value = session.connection().execute(_EPOCH).scalar_one_or_none()
    return int(value["epoch"]) if value is not None else 0


def begin_epoch(session: Session) -> int:
    """Drop every lock and return a new epoch: called by the one controller that begins to reconcile.

    Whoever led before can neither renew its locks nor take new ones, and its steps and ends are not written.
    """
    row = session.get(Setting, EPOCH) or Setting(key=EPOCH, value={})
    row.value = {"epoch": current_epoch(session) + 1, "at": now(session)}
    session.add(row)
    session.execute(
        update(Operation)
        .where(col(Operation.state) == "running")
        .values(lock_token=None, lock_expires_at=None)
    )
    return int(row.value["epoch"])


def guard(session: Session, operation_id: str, token: str) -> Operation:
    """Return the operation that `token` holds; otherwise `Superseded` undoes the unit of work."""
    operation = held(session, operation_id, token)
    if operation is None:
        raise Superseded(operation_id)
    return operation


def held(session: Session, operation_id: str, token: str) -> Operation | None:
    """Return the operation if `token` still holds it and it still runs; None means superseded."""
    operation = get_operation(session, operation_id)
    return operation if operation.lock_token == token and operation.state == "running" else None


def record_step(session: Session, operation_id: str, token: str, event: StepEvent) -> bool:
    """Write the state of one step, by its name; nothing is written by a superseded holder."""
    if held(session, operation_id, token) is None:
        return False
    steps = steps_of(session, operation_id)
    step = next((step for step in steps if step.name == event.name), None)
    if step is None:
        step = OperationStep(operation=operation_id, position=len(steps), name=event.name, state=event.state)
    step.state, step.detail, step.took = event.state, event.detail[:2000], event.seconds
    session.add(step)
    return True


def steps_of(session: Session, operation_id: str) -> list[OperationStep]:
    """Return the steps of an operation in order."""
    query = select(OperationStep).where(OperationStep.operation == operation_id)
    return list(session.exec(query.order_by(col(OperationStep.position))).all())


def finish_operation(
    session: Session, operation_id: str, token: str, error: RingRiftError | None = None
) -> Operation | None:
    """Close an operation: `succeeded`, or `failed` with its error. None when superseded: change nothing."""
    operation = held(session, operation_id, token)
    if operation is None:
        return None
    state = "failed" if error else "succeeded"
    operation.state = advance(OPERATION, operation.id, operation.state, state)
    operation.error = error_body(error) if error else None
    operation.ended_at, operation.lock_token = now(session), None
    session.add(operation)
    for step in steps_of(session, operation_id):
        if step.state == "running":
            step.state = "failed" if error else "done"
            session.add(step)
    record(
        session,
        CONTROLLER,
        f"{operation.kind}.{state}",
        operation.subject,
        operation=operation.id,
        error=operation.error,
    )
    return operation


def error_body(error: RingRiftError) -> dict[str, str]:
    """Return an error as it stands on the wire."""
    return {"code": error.code, "message": error.message, "hint": error.hint}
