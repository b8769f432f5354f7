"""A network that loses, duplicates, delays, reorders and partitions."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from ringrift.errors import Unreachable

T = TypeVar("T")
_TIMEOUT = 30.0


@dataclass
class Weather:
    """How bad it is now; shares of messages."""

    lost: float = 0.0
    doubled: float = 0.0
    slowest: float = 0.2
    """Seconds; messages overtake each other within it."""


class Network:
    """The links between the controller and the hosts."""

    def __init__(self, rng: random.Random, weather: Weather) -> None:
        self.rng, self.weather = rng, weather
        self.cut: dict[str, float] = {}
        """Hosts whose link is cut, and since when."""
        self._changed = asyncio.Event()
        self._doubles: set[asyncio.Task[Any]] = set()

    def set_cut(self, host: str, cut: bool) -> None:
        """Cut a host's link, or mend it."""
        if cut:
            self.cut.setdefault(host, asyncio.get_running_loop().time())
        else:
            self.cut.pop(host, None)
        self._changed.set()
        self._changed = asyncio.Event()

    async def until_cut(self, host: str) -> None:
        """Return when the host's link is cut; the other side notices seconds later."""
        while host not in self.cut:
            await self._changed.wait()
        await asyncio.sleep(8.0)

    async def call(self, host: str, handle: Callable[[], Awaitable[T]]) -> T:
        """Ask across the link; `Unreachable` when the question or the answer is lost.

        A doubled question is handled twice, at different times; a lost answer was handled all the same.
        """
        await self._cross(host)
        if self.rng.random() < self.weather.doubled:
            task = asyncio.ensure_future(self._again(handle))
            self._doubles.add(task)
            task.add_done_callback(self._doubles.discard)
        answer = await handle()
        await self._cross(host)
        return answer

    async def _cross(self, host: str) -> None:
        if host in self.cut or self.rng.random() < self.weather.lost:
            await asyncio.sleep(_TIMEOUT)
            raise Unreachable(f"{host}: nothing came back")
        await asyncio.sleep(self.rng.random() ** 3 * self.weather.slowest)

    async def _again(self, handle: Callable[[], Awaitable[Any]]) -> None:
        await asyncio.sleep(self.rng.random() * 60.0)
        with contextlib.suppress(Exception):
            await handle()
