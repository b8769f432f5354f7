"""Keeps the views fresh: asks, waits, asks again; goes on when the controller is away.

At most two rounds a second, fewer when nothing moves, nobody types, or the link is slow.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Protocol, TypeVar

from ringrift.client import routes
from ringrift.client.routes import Call
from ringrift.errors import AccessRefused, RingRiftError, Unreachable

T = TypeVar("T")
FAST, USUAL, IDLE = 0.5, 2.0, 5.0
"""Seconds between rounds: while an action runs under the operator's eyes; usually; when nobody typed long."""
IDLE_AFTER = 300.0
LOST = (Unreachable, AccessRefused)
RETRY = (1.0, 2.0, 4.0, 8.0, 15.0)
"""Pauses between tries to reach a controller that is away."""


class Sender(Protocol):
    """What the feed wants of a client."""

    async def send(self, call: Call[T]) -> T:
        """Return the answer of a call or raise a `RingRiftError`."""

    async def close(self) -> None:
        """Close the connection."""


@dataclass(frozen=True)
class Link:
    """How the controller is reached. `since` and `retry_at` are on the feed's clock."""

    up: bool = False
    ever: bool = False
    reason: str = ""
    since: float = 0.0
    retry_at: float = 0.0


def pause(typed: float, hurry: bool, round_trip: float) -> float:
    """Return how long to wait for the next round; a slow link is busy a quarter of the time at most."""
    wanted = FAST if hurry else IDLE if typed > IDLE_AFTER else USUAL
    return max(wanted, 4 * round_trip)


class Feed:
    """The views by name, when each was taken, and the state of the link."""

    def __init__(
        self,
        connect: Callable[[], Sender],
        wanted: Callable[[], dict[str, Call[Any]]],
        changed: Callable[[], None],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.views: dict[str, Any] = {}
        self.problems: dict[str, RingRiftError] = {}
        self.taken: dict[str, float] = {}
        self.link = Link()
        self.clock = clock
        self.hurry_until = 0.0
        self.typed_at = clock()
        self._connect, self._wanted, self._changed = connect, wanted, changed
        self._sender: Sender | None = None
        self._left: list[Sender] = []
        self._wake = asyncio.Event()
        self._tries = 0

    def age(self, name: str) -> float | None:
        """Return how old a view is in seconds, None when it was never seen."""
        return max(0.0, self.clock() - self.taken[name]) if name in self.taken else None

    def wake(self) -> None:
        """Ask soon, instead of at the end of the pause. Many wakes are one round."""
        self._wake.set()

    def hurry(self, seconds: float) -> None:
        """Ask often for a while: something goes on that the operator watches."""
        self.hurry_until = max(self.hurry_until, self.clock() + seconds)

    async def send(self, call: Call[T]) -> T:
        """Send one call of the operator; when the controller doesn't answer, the link is down from now on."""
        try:
            if self._sender is None:
                self._sender = self._connect()
            return await self._sender.send(call)
        except LOST as error:
            self._lost(error)
            raise

    async def run(self) -> None:
        """Ask for ever: at most every `FAST` seconds, and at the end of the pause or when woken."""
        while True:
            wait = await self.round()
            await asyncio.sleep(min(FAST, wait))
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(max(0.0, wait - FAST)):
                    await self._wake.wait()
            self._wake.clear()

    async def round(self) -> float:
        """Ask once for everything that is wanted; return how long to wait for the next round."""
        started = self.clock()
        problem = await self._ask()
        if problem is None:
            while self._left:
                await self._left.pop().close()
        if problem is not None:
            self._lost(problem)
        self._changed()
        now = self.clock()
        if problem is not None:
            return max(0.0, self.link.retry_at - now)
        return pause(now - self.typed_at, now < self.hurry_until, now - started)

    async def _ask(self) -> RingRiftError | None:
        """Return why the controller can't be read, None when it can. A single view may fail by itself."""
        calls: dict[str, Call[Any]] = {"status": routes.status(), **self._wanted()}
        try:
            if self._sender is None:
                self._sender = self._connect()
        except RingRiftError as error:
            return error
        answers = await asyncio.gather(*map(self._sender.send, calls.values()), return_exceptions=True)
        found = dict(zip(calls, answers, strict=True))
        for name, answer in found.items():
            if isinstance(answer, BaseException) and not isinstance(answer, RingRiftError):
                raise answer
            if isinstance(answer, LOST) or (name == "status" and isinstance(answer, RingRiftError)):
                return answer
        self._keep(found)
        return None

    def _keep(self, answers: dict[str, Any]) -> None:
        now = self.clock()
        for name, answer in answers.items():
            if isinstance(answer, RingRiftError):
                self.problems[name] = answer
            else:
                self.views[name], self.taken[name] = answer, now
                self.problems.pop(name, None)
        self._tries = 0
        if not self.link.up:
            self.link = Link(up=True, ever=True, since=now)

    def _lost(self, error: RingRiftError) -> None:
        # Not closed yet: another call may still wait for its answer there.
        if self._sender is not None:
            self._left.append(self._sender)
            self._sender = None
        now = self.clock()
        wait = RETRY[min(self._tries, len(RETRY) - 1)]
        self._tries += 1
        since = self.link.since if self._tries > 1 else now
        self.link = replace(self.link, up=False, reason=error.line(), since=since, retry_at=now + wait)

    async def close(self) -> None:
        """Close every connection, also those that were left."""
        for sender in (*self._left, *((self._sender,) if self._sender else ())):
            await sender.close()
        self._left.clear()
