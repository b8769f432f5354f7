"""Heartbeats on their way to the store: those of a few milliseconds share one transaction.

A quiet controller writes a beat at once. After a window with more than one it waits a little before the next,
so that the number of commits a second stays bounded however many agents there are. Nobody is answered before
the commit: the lease that an answer promises is durable.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import replace

from sqlmodel import Session

from ringrift.control.domain.health import beat_pause
from ringrift.control.reconcile.context import Context
from ringrift.control.settings import AgentSettings
from ringrift.control.store import beats
from ringrift.errors import EnvironmentProblem, RingRiftError
from ringrift.protocol.agent import BeatReply, BeatRequest

GATHER_SECONDS = 0.025
MOST = 256
"""Beats of one transaction."""
_COUNT_SECONDS = 60.0
"""How often agents are counted: a fleet that grows beats more slowly soon after."""

Beat = tuple[str, BeatRequest]
"""(agent, what it says)."""
Told = Callable[[BeatReply | Exception], None]
_log = logging.getLogger("ringrift.api")


class BeatWindow:
    """Gathers heartbeats. Belongs to one event loop."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._waiting: list[tuple[str, BeatRequest, Told]] = []
        self._task: asyncio.Task[None] | None = None
        self._agents, self._count_at = 0, 0.0

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
        try:
            return list(await self._context.store.write("agent.beat", lambda s: self._take(s, pairs)))
        except Exception as error:
            if not isinstance(error, RingRiftError):
                _log.exception("heartbeats failed")
            if len(batch) == 1 or isinstance(error, EnvironmentProblem):
                return [error] * len(batch)
        # One value that the database cannot hold must not cost the others their beat.
        return [answer for beat in batch for answer in await self._write([beat])]

    def _take(self, session: Session, told: Sequence[Beat]) -> list[BeatReply | RingRiftError]:
        if time.monotonic() >= self._count_at:
            self._agents, self._count_at = beats.count_agents(session), time.monotonic() + _COUNT_SECONDS
        return beats.take_beats(session, told, self._paced(self._context.settings.agents))

    def _paced(self, settings: AgentSettings) -> AgentSettings:
        longest = min(settings.stale_seconds / 2, settings.lease_seconds / 3)
        pause = beat_pause(self._agents, settings.beat_seconds, settings.beats_per_second, longest)
        return replace(settings, beat_seconds=pause)
