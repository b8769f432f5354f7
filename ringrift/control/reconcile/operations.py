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
_SHOWN_SECONDS = 0.2
"""A step that takes less is written once, at its end: a commit costs more than a look at it is worth."""

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

    steps = _Steps(context, operation.id, token)
    renewal = asyncio.create_task(_renew(context, operation.id, token, asyncio.current_task()))
    error: RingRiftError | None = None
    try:
        await _ACTS[operation.kind](context, operation, token, steps.report)
    except operations.Superseded:
        _log.warning("%s of %s is carried on by another controller", operation.kind, operation.subject)
    except RingRiftError as failure:
        error = failure
    except Exception as failure:
        _log.exception("%s %s failed", operation.kind, operation.subject)
        error = RingRiftError(f"{operation.kind} of {operation.subject} failed: {type(failure).__name__}")
    finally:
        steps.close()
        renewal.cancel()
        with suppress(asyncio.CancelledError):
            await renewal
    if error is not None:
        _log.warning("%s of %s failed: %s", operation.kind, operation.subject, error.line())
        await steps.failed()
        await _fail(context, operation, token, error)
    context.wake()


class _Steps:
    """Writes the steps of an operation; that one began is a commit of its own only if it goes on a while."""

    def __init__(self, context: Context, operation: str, token: str) -> None:
        self._context, self._operation, self._token = context, operation, token
        self._begun: StepEvent | None = None
        self._waiting: asyncio.Task[None] | None = None

    async def report(self, event: StepEvent) -> None:
        """Write how a step ended; write that it began unless it ends meanwhile."""
        self.close()
        if event.state == "running":
            self._begun, self._waiting = event, asyncio.create_task(self._later(event))
        else:
            self._begun = None
            await self._write(event)

    async def failed(self) -> None:
        """Write what had begun when the operation failed."""
        if self._begun is not None:
            await self._write(self._begun)

    def close(self) -> None:
        """Wait for nothing any more."""
        if self._waiting is not None:
            self._waiting.cancel()

    async def _later(self, event: StepEvent) -> None:
        await asyncio.sleep(_SHOWN_SECONDS)
        # What is wrong with the store, the end of the step will meet as well.
        with suppress(RingRiftError, operations.Superseded):
            await self._write(event)

    async def _write(self, event: StepEvent) -> None:
        await self._context.store.write(
            "operation.step", lambda s: operations.record_step(s, self._operation, self._token, event)
        )


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
