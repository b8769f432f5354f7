"""What every reconciler and every API handler works with."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ringrift.control.artifacts import ArtifactStore
from ringrift.control.domain.ports import Fleet
from ringrift.control.keys import Keys
from ringrift.control.meters import Meters
from ringrift.control.sessions import Sessions
from ringrift.control.settings import Settings
from ringrift.control.store.store import Store

_CANCEL_AGAIN_SECONDS = 1.0


async def end(tasks: Iterable[asyncio.Task[Any]]) -> None:
    """Cancel tasks and wait for their ends.

    `asyncio.wait_for` until Python 3.12, which libraries use, loses a cancellation that comes at the moment
    of its result: a task that lives on is cancelled again.
    """
    alive = set(tasks)
    while alive:
        for task in alive:
            task.cancel()
        ended, alive = await asyncio.wait(alive, timeout=_CANCEL_AGAIN_SECONDS)
        # Asked for, so that none is reported as never looked at.
        await asyncio.gather(*ended, return_exceptions=True)


class Flights:
    """Long actions under way, one task per key, so that a pass never starts the same one twice."""

    def __init__(self) -> None:
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def __contains__(self, key: str) -> bool:
        return key in self._tasks

    def __iter__(self) -> Iterator[str]:
        """Iterate over the keys of what is under way."""
        return iter(list(self._tasks))

    def start(self, key: str, action: Coroutine[Any, Any, None]) -> None:
        """Start an action; its key is free again when it ended."""
        task = asyncio.create_task(action, name=key)
        self._tasks[key] = task
        task.add_done_callback(lambda _: self._tasks.pop(key, None))

    async def stop(self, key: str) -> None:
        """Cancel an action and wait for its end."""
        if key in self._tasks:
            await end([self._tasks[key]])

    async def close(self) -> None:
        """Cancel everything and wait for the ends."""
        await end(self._tasks.values())


@dataclass
class Context:
    """The controller's parts: rows, files, hosts, numbers, and what is under way."""

    store: Store
    artifacts: ArtifactStore
    fleet: Fleet
    settings: Settings
    home: Path
    agents_socket: Path
    flights: Flights = field(default_factory=Flights)
    sessions: Sessions = field(default_factory=Sessions)
    wakers: list[asyncio.Event] = field(default_factory=list)
    started: float = field(default_factory=time.monotonic)
    meters: Meters = field(default_factory=Meters)
    leading: bool = True
    """Whether this controller reconciles; on Postgres only one does."""
    epoch: int = 0
    """Of its last take-over: operations are taken up only while it is the newest."""

    def __post_init__(self) -> None:
        self.keys = Keys(self.store)

    def wake(self) -> None:
        """Let every reconciler make a pass now instead of at its next time."""
        for event in self.wakers:
            event.set()
