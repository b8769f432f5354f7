"""The shape of every reconciler: load, decide, apply; another pass changes nothing (P6)."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from sqlmodel import Session

from ringrift.control.reconcile.context import Context
from ringrift.control.store.fence import leading
from ringrift.control.store.store import Store

Plan = TypeVar("Plan")
Step = Callable[[Context], Awaitable[bool]]
_MAX_PAUSE = 30.0
_SHORT = 0.01
_REST, _LONGEST_REST = 100.0, 5.0
"""What a pass takes above `_SHORT` seconds is followed by a rest so many times as long, up to the longest."""
PROMPT = 0.2
"""Longest rest of what a person waits for: on a busy machine every pass takes long, whatever it has to do."""


@dataclass(frozen=True)
class Reconciler:
    """A named step. `step` makes one pass and returns whether it changed anything.

    `longest_rest` in seconds is shorter where a person waits for what it does.
    """

    name: str
    step: Step
    longest_rest: float = _LONGEST_REST


async def converge(
    name: str,
    store: Store,
    decide: Callable[[Session], list[Plan]],
    apply: Callable[[Session, list[Plan]], None],
) -> bool:
    """Decide on a snapshot; when there is something to do, decide again and apply in one transaction.

    Nothing is written by a pass that has nothing to do, and a decision on rows that have changed since is
    never applied.
    """
    if not await store.read(decide):
        return False

    def work(session: Session) -> bool:
        plan = decide(session)
        apply(session, plan)
        return bool(plan)

    return await store.write(name, work)


class Complaints:
    """Logs each distinct failure once, then counts it, until it ends."""

    def __init__(self, log: logging.Logger, name: str) -> None:
        self._log, self._name = log, name
        self._signature, self._count = "", 0

    def add(self, error: Exception) -> int:
        """Count a failure and return the count; the same one again is logged at powers of two only."""
        signature = f"{type(error).__name__}: {error}"
        self._count = self._count + 1 if signature == self._signature else 1
        self._signature = signature
        if self._count & (self._count - 1) == 0:
            text = " ".join(signature.split())
            self._log.error("reconciler %s failed (%d times): %s", self._name, self._count, text)
            self._log.debug("reconciler %s", self._name, exc_info=error)
        return self._count

    def clear(self) -> None:
        """Note that it works again."""
        if self._count:
            self._log.info("reconciler %s works again after %d failures", self._name, self._count)
        self._signature, self._count = "", 0


def rest(took: float, longest: float) -> float:
    """Return the seconds to rest after a pass that took so many."""
    return min(longest, max(0.0, took - _SHORT) * _REST)


async def run_forever(reconciler: Reconciler, context: Context, log: logging.Logger) -> None:
    """Make passes for ever: at once when woken or after a change, else at a pace; retry a failing one.

    After each pass it rests, so that it takes a small share of the time however large the fleet is.
    """
    wake = asyncio.Event()
    context.wakers.append(wake)
    complaints = Complaints(log, reconciler.name)
    while True:
        pause = context.settings.limits.pass_seconds
        wake.clear()
        began = time.monotonic()
        try:
            with leading(context.epoch):
                if context.leading and await reconciler.step(context):
                    context.wake()
                    pause = min(pause, 0.05)
            complaints.clear()
            context.meters.passed(reconciler.name, time.monotonic() - began)
        except Exception as error:
            context.meters.failed(reconciler.name)
            pause = min(_MAX_PAUSE, pause * 2 ** min(complaints.add(error), 10))
        resting = rest(time.monotonic() - began, reconciler.longest_rest)
        await asyncio.sleep(resting)
        try:
            # Not `wait_for`, which until Python 3.12 loses a cancellation that comes with the wake-up.
            async with asyncio.timeout(max(0.0, pause - resting)):
                await wake.wait()
        except TimeoutError:
            continue
