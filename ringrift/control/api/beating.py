"""Heartbeats on their way to the store: those of a few milliseconds share one transaction.

A quiet controller writes a beat at once. After a window with more than one it waits a little before the next,
so that the number of commits a second stays bounded however many agents there are. Nobody is answered before
the commit: the lease that an answer promises is durable.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable

from ringrift.control.reconcile.context import Context
from ringrift.control.store import beats
from ringrift.errors import EnvironmentProblem, RingRiftError
from ringrift.protocol.agent import BeatReply, BeatRequest

GATHER_SECONDS = 0.025
MOST = 256
"""Beats of one transaction."""

Told = Callable[[BeatReply | Exception], None]
_log = logging.getLogger("ringrift.api")


class BeatWindow:
    """Gathers heartbeats. Belongs to one event loop."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._waiting: list[tuple[str, BeatRequest, Told]] = []
        self._task: asyncio.Task[None] | None = None

    async def take(self, agent: str, request: BeatRequest) -> BeatReply:
        """Take one heartbeat; return after its commit."""
        future: asyncio.Future[BeatReply] = asyncio.get_running_loop().create_future()

        def told(answer: BeatReply | Exception) -> None:
            if future.done():
                return
            if isinstance(answer, Exception):
                future.set_exception(answer)
            else:
                future.set_result(answer)

        self.add(agent, request, told)
        return await future

    def add(self, agent: str, request: BeatRequest, told: Told) -> None:
        """Take one heartbeat; `told` is called with the answer after its commit."""
        began = time.perf_counter()

        def answered(answer: BeatReply | Exception) -> None:
            self._context.meters.beat_seconds.observe(time.perf_counter() - began)
            told(answer)

        self._waiting.append((agent, request, answered))
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._flush_forever(), name="beats")

    async def _flush_forever(self) -> None:
        """Write what waits until nothing does."""
        try:
            while self._waiting:
                batch, self._waiting = self._waiting[:MOST], self._waiting[MOST:]
                for (_, _, told), answer in zip(batch, await self._write(batch), strict=True):
                    told(answer)
                if len(batch) > 1:
                    await asyncio.sleep(GATHER_SECONDS)
        finally:
            self._task = None

    async def _write(self, batch: list[tuple[str, BeatRequest, Told]]) -> list[BeatReply | Exception]:
        pairs = [(agent, request) for agent, request, _ in batch]
        settings = self._context.settings.agents
        try:
            written = await self._context.store.write(
                "agent.beat", lambda s: beats.take_beats(s, pairs, settings)
            )
            return list(written)
        except Exception as error:
            if not isinstance(error, RingRiftError):
                _log.exception("heartbeats failed")
            if len(batch) == 1 or isinstance(error, EnvironmentProblem):
                return [error] * len(batch)
        # One value that the database cannot hold must not cost the others their beat.
        return [answer for beat in batch for answer in await self._write([beat])]
