"""How what is under way ends: every cancellation is heard, also one that comes at the moment of a result."""

from __future__ import annotations

import asyncio
import logging

from ringrift.control.reconcile.base import Reconciler, run_forever
from ringrift.control.reconcile.context import Flights, end
from tests.control.world import World


async def test_a_reconciler_that_is_woken_and_cancelled_at_once_ends(world: World) -> None:
    passed = asyncio.Event()

    async def step(context) -> bool:
        passed.set()
        return False

    task = asyncio.create_task(
        run_forever(Reconciler("woken", step), world.context, logging.getLogger("ringrift.test"))
    )
    await passed.wait()
    await asyncio.sleep(0.005)
    world.context.wake()
    task.cancel()
    done, _ = await asyncio.wait([task], timeout=5)
    assert done and task.cancelled()


async def test_a_task_that_loses_a_cancellation_is_cancelled_again() -> None:
    lost = 0

    async def deaf() -> None:
        nonlocal lost
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            lost += 1
        await asyncio.sleep(60)

    flights = Flights()
    flights.start("deaf", deaf())
    await asyncio.sleep(0)
    async with asyncio.timeout(10):
        await flights.close()
    assert lost == 1 and list(flights) == []


async def test_ends_with_a_failure_are_ends(caplog) -> None:
    async def failing() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            raise RuntimeError("while it ended")

    task = asyncio.create_task(failing())
    await asyncio.sleep(0)
    await end([task])
    assert task.done() and "never retrieved" not in caplog.text
