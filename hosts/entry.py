"""Entry points: how many handshakes run at once at one address and port, and how a cut one is repeated."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TypeVar

import asyncssh

from ringrift.control.domain.ports import HostSpec

AT_ONCE = 6
"""Handshakes at one entry point. sshd's MaxStartups (10:30:100) drops some from the tenth on, and a busy sshd
counts a login as unfinished for a moment longer than we do."""
AT_ONCE_OVERALL = 64
"""Handshakes over all entry points: 3.5 ms of the event loop each, far below the time a login may take."""
ATTEMPTS = 4
FIRST_PAUSE = 0.3
"""Seconds; doubled from attempt to attempt and jittered."""
CUT = (ConnectionResetError, BrokenPipeError, asyncssh.ConnectionLost)
"""How a handshake ends that a busy server drops."""

Entry = tuple[str, int]
T = TypeVar("T")


class EntryPoints:
    """The handshakes that run now, by the address and port that they enter the network at."""

    def __init__(self) -> None:
        self._overall = asyncio.Semaphore(AT_ONCE_OVERALL)
        self._each: defaultdict[Entry, asyncio.Semaphore] = defaultdict(lambda: asyncio.Semaphore(AT_ONCE))

    @contextlib.asynccontextmanager
    async def turn(self, entry: Entry) -> AsyncIterator[None]:
        """Wait for a turn at an entry point and hold it."""
        async with self._each[entry], self._overall:
            yield


def entry_of(address: str, port: int, jump: HostSpec | None) -> Entry:
    """Return where the way to an address begins: a jump host, a gateway's port, or the host itself."""
    while jump is not None:
        address, port, jump = jump.address, jump.port, jump.jump
    return address, port


async def with_retries(attempt: Callable[[], Awaitable[T]]) -> T:
    """Try again, with growing and jittered pauses, while the connection is cut during the handshake."""
    pause = FIRST_PAUSE
    for _ in range(ATTEMPTS - 1):
        try:
            return await attempt()
        except CUT:
            await asyncio.sleep(pause * random.uniform(0.5, 1.5))
            pause *= 2
    return await attempt()
