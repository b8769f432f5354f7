"""When a backup is due, and which old ones go."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Past:
    """One backup of the schedule's place: seconds since it began, and `running`, `verified` or `failed`."""

    age: float
    state: str


def is_due(past: Sequence[Past], every: float, again: float) -> bool:
    """Tell whether to begin a backup: the last good one is `every` seconds old, the last try `again`.

    `every` 0 means never.
    """
    if every <= 0 or any(one.state == "running" for one in past):
        return False
    good = min((one.age for one in past if one.state == "verified"), default=every)
    tried = min((one.age for one in past), default=again)
    return good >= every and tried >= again


def superfluous(names: Sequence[str], keep: int) -> Sequence[str]:
    """Return the backups beyond the newest `keep` (at least one stays); `names` are oldest first."""
    return names[: -max(1, keep)]


def unreferenced(stored: Collection[str], kept: Sequence[Mapping[str, int]]) -> list[str]:
    """Return the artifacts of a place that none of the kept backups names."""
    named = {sha256 for artifacts in kept for sha256 in artifacts}
    return sorted(sha256 for sha256 in stored if sha256 not in named)
