"""Jobs in detail and shares of the fleet, as operators see and change them."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from ringrift.protocol.operator import JobView, Line
from ringrift.protocol.types import Reply, Wire


class TryView(Reply):
    """One try of a job. `counts` False: it was before the last retry."""

    assignment: str
    host: str
    epoch: int
    state: str
    crashed: bool
    counts: bool
    exit_code: int | None
    reason: str
    log_tail: str
    age: float
    seconds: float | None


class JobDetail(Reply):
    """A job with its tries, the newest first, and what it needs of a host."""

    job: JobView
    work: str
    spec: dict[str, Any]
    needs: dict[str, Any]
    log_tail: str
    """Of the try for which it was given up, else of the newest that left one."""
    tries: list[TryView]


class JobChange(Wire):
    """Retry a job that was given up, or cancel one."""

    actor: Line = "operator"
    reason: Line = ""
    dry_run: bool = False


class ShareView(Reply):
    """A scope's share of the slots against what it uses. `use` None while nothing is held."""

    scope: str
    share: float
    explicit: bool
    actor: str
    held: int
    use: float | None
    recent_hours: float
    """Slot-hours that its finished tries used of late; older ones count less."""
    waiting: int


class SharesView(Reply):
    """All scopes; those of kinds, and those of configs, are 1 together."""

    slots: int
    reserved: int
    """Slots that self-play gets before anything else while it waits."""
    shares: list[ShareView]


class ShareSet(Wire):
    """Set a share; None takes it away, so that the scope has its default again."""

    scope: Line
    share: Annotated[float, Field(allow_inf_nan=False)] | None
    actor: Line = "operator"
    dry_run: bool = False
