"""Searches run here, off the event loop: a bounded number at a time, a bounded number waiting."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from ringrift.errors import EnvironmentProblem

_Answer = TypeVar("_Answer")


class Overloaded(EnvironmentProblem):
    """More requests wait than can be answered in time."""

    code = "overloaded"


class SearchPool:
    """`workers` threads and room for `waiting` more requests."""

    def __init__(self, workers: int, waiting: int) -> None:
        self._threads = ThreadPoolExecutor(workers, thread_name_prefix="search")
        self._room = workers + waiting
        self._guard = threading.Lock()
        self._present = 0

    @property
    def present(self) -> int:
        """Return how many tasks run or wait."""
        return self._present

    async def run(self, task: Callable[[], _Answer]) -> _Answer:
        """Run a task in a worker thread; raise `Overloaded` at once when there is no room.

        A task whose caller went away keeps its place until it ends.
        """
        with self._guard:
            if self._present >= self._room:
                raise Overloaded(
                    f"{self._present} requests are being answered already", hint="try again later"
                )
            self._present += 1
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._run, task)

    def close(self) -> None:
        """Let running tasks end."""
        self._threads.shutdown()

    def _run(self, task: Callable[[], _Answer]) -> _Answer:
        try:
            return task()
        finally:
            with self._guard:
                self._present -= 1
