"""The fence around the lead: what a reconciler writes counts only while its controller leads.

A controller that was suspended may wake up long after another one took over, in the middle of a pass. Each
take-over begins a new epoch, and every unit of work that a reconciler submits, or an action that it started,
compares the epoch in its own transaction.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypeVar

from sqlmodel import Session

from ringrift.control.store.operations import Superseded, current_epoch

T = TypeVar("T")
_epoch: ContextVar[int | None] = ContextVar("leader-epoch", default=None)


@contextmanager
def leading(epoch: int) -> Iterator[None]:
    """Let what is submitted inside, and by tasks that begin inside, count in this epoch only."""
    token = _epoch.set(epoch)
    try:
        yield
    finally:
        _epoch.reset(token)


def fenced(work: Callable[[Session], T]) -> Callable[[Session], T]:
    """Return `work`, raising `Superseded` where it was submitted as leader and a newer epoch has begun."""
    epoch = _epoch.get()
    if epoch is None:
        return work

    def checked(session: Session) -> T:
        if current_epoch(session) != epoch:
            raise Superseded(f"epoch {epoch} of the lead is over")
        return work(session)

    return checked
