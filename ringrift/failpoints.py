"""Named places where a process can be made to die, so that a test shows that nothing is lost there.

Every commit of the store and every side effect outside it has a name. `RINGRIFT_FAILPOINT=NAME:before` or
`NAME:after` kills the process (SIGKILL: no clean-up runs) when that place is reached; `NAME:after@3` at the
third time. Without the variable a place costs one comparison. `tests/failpoints` enumerates the names.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

VARIABLE = "RINGRIFT_FAILPOINT"
Moment = Literal["before", "after"]
Watcher = Callable[[str, Moment], None]


@dataclass
class _Armed:
    place: str
    left: int

    def __call__(self, name: str, moment: Moment) -> None:
        if f"{name}:{moment}" == self.place:
            self.left -= 1
            if self.left == 0:
                os.kill(os.getpid(), signal.SIGKILL)


def armed() -> Watcher | None:
    """Return what kills this process at the place that the environment names; None when it names none."""
    wanted = os.environ.get(VARIABLE)
    if not wanted:
        return None
    place, _, count = wanted.partition("@")
    return _Armed(place, int(count or 1))


_watcher: Watcher | None = armed()


def watch(watcher: Watcher | None) -> None:
    """Let `watcher` see every place that is reached from now on; what it raises is raised there."""
    global _watcher
    _watcher = watcher


def reach(name: str, moment: Moment) -> None:
    """Note that the place `name` was reached, before or after what it does."""
    if _watcher is not None:
        _watcher(name, moment)


@contextmanager
def side_effect(name: str) -> Iterator[None]:
    """Name what the block does outside the store; `after` is reached only when it went well."""
    reach(name, "before")
    yield
    reach(name, "after")
