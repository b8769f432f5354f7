"""When a target is told anew which models should wait on it for their deployment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ringrift.errors import Unreachable

RETRY_SECONDS = 60.0
"""Pause before a target is told again that could not be reached."""


@dataclass(frozen=True)
class Ordered:
    """What was ordered last, and what became of it. `code` is that of its error."""

    order: Mapping[str, Any]
    state: str
    ended_at: float | None
    code: str


def is_due(wanted: Mapping[str, Any], latest: Ordered | None, time: float) -> bool:
    """Tell whether an order should be given: it differs from the last, or nobody was there to hear that.

    Models that were refused are not sent again: the deployment will say why as well.
    """
    if latest is None:
        return bool(wanted["models"])
    if latest.state == "running":
        return False
    if wanted["models"] != latest.order["models"]:
        return True
    if wanted["release"] != latest.order["release"]:
        return bool(wanted["models"])
    unheard = latest.state == "failed" and latest.code == Unreachable.code
    return unheard and time - (latest.ended_at or 0.0) >= RETRY_SECONDS
