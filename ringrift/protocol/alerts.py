"""Wire types of alerts, in the operators' API."""

from __future__ import annotations

from typing import Literal

from ringrift.protocol.types import Line, Reply, Wire


class AlertView(Reply):
    """One thing that is wrong, or was. `age` is seconds since it opened (the last time)."""

    signature: str
    """Kind and subject: the same thing again is the same alert."""
    kind: str
    subject: str
    severity: Literal["warning", "critical"]
    message: str
    state: Literal["open", "acknowledged", "cleared"]
    count: int
    """How often it opened."""
    age: float
    seen_age: float
    """Since it was last found."""
    cleared_age: float | None
    notified: str
    """How the last message to the webhook about it went; empty when there was none."""
    notified_age: float | None
    acknowledged_by: str | None
    acknowledged_age: float | None


class AlertAck(Wire):
    """Somebody looks after it: it stays open, and calls for nobody else."""

    actor: Line = "operator"


class AlertCount(Reply):
    """The open alerts in short; `worst` is the first of them in words."""

    open: int = 0
    critical: int = 0
    unacknowledged: int = 0
    worst: str = ""
