"""Carries on every running operation. One that was under way when the controller died is taken up again."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Awaitable, Callable
from contextlib import suppress

from sqlmodel import Session

from ringrift.control.domain.ports import StepEvent, StepReport
from ringrift.control.reconcile import deploying, provisioning, restarting, staging
from ringrift.control.reconcile.context import Context
from ringrift.control.store import operations
from ringrift.control.store.tables import Operation
from ringrift.errors import RingRiftError

_log = logging.getLogger("ringrift.operations")
_AT_ONCE = 16

Act = Callable[[Context, Operation, str, StepReport], Awaitable[None]]
_ACTS: dict[str, Act] = {
    "provision": provisioning.carry_out,
    "restart": restarting.carry_out,
    "deploy": deploying.carry_out,
    "stage": staging.carry_out,
}


async def step(context: Context) -> bool:
    """Start what runs in the store but not here, one operation per host and at most 16 at once.

    What only waits for its deployment is counted apart, so that no other change ever waits for it.
    """
    running = await context.store.read(operations.running_operations)
    started = False
    for operation in running:
        kind = "staging" if operation.kind == "stage" else "operation"
        key, busy = f"{kind}:{operation.host}", {key for key in context.flights if key.startswith(f"{kind}:")}
        if key in busy or len(busy) >= _AT_ONCE:
            continue
        token = secrets.token_hex(16)
        if await context.store.write(
            "operation.claim", lambda s, o=operation, t=token: operations.claim(s, o.id, t, context.epoch)
        ):
            context.flights.start(key, _run(context, operation, token))
            started = True
    return started


async def _run(context: Context, operation: Operation, token: str) -> None:
    """Run one operation to its end; only the holder of the lock writes its steps and its end."""

    async def report(event: StepEvent) -> None:
        await context.store.write(
            "operation.step", lambda s: operations.record_step(s, operation.id, token, event)
        )

    renewal = asyncio.create_task(_renew(context, operation.id, token, asyncio.current_task()))
    error: RingRiftError | None = None
    try:
        await _ACTS[operation.kind](context, operation, token, report)
    except operations.Superseded:
        _log.warning("%s of %s is carried on by another controller", operation.kind, operation.subject)
    except RingRiftError as failure:
        error = failure
    except Exception as failure:
        _log.exception("%s %s failed", operation.kind, operation.subject)
        error = RingRiftError(f"{operation.kind} of {operation.subject} failed: {type(failure).__name__}")
    finally:
        renewal.cancel()
        with suppress(asyncio.CancelledError):
            await renewal
    if error is not None:
        _log.warning("%s of %s failed: %s", operation.kind, operation.subject, error.line())
        await _fail(context, operation, token, error)
    context.wake()


async def _fail(context: Context, operation: Operation, token: str, error: RingRiftError) -> None:
    def work(session: Session) -> None:
        closed = operations.finish_operation(session, operation.id, token, error)
        if closed is not None and operation.kind == "provision":
            provisioning.note_failure(session, operation, error)

    await context.store.write("operation.failed", work)


async def _renew(context: Context, operation_id: str, token: str, runner: asyncio.Task[None] | None) -> None:
    """Keep the lock; stop the runner once it was taken away."""
    while True:
        await asyncio.sleep(operations.LOCK_SECONDS / 3)
        kept = await context.store.write(
            "operation.renew", lambda s: operations.renew(s, operation_id, token)
        )
        if not kept and runner is not None:
            runner.cancel()
            return
