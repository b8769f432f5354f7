"""How fast hosts are: what is worth a row, and what may be expected of hosts of one kind."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from statistics import median

CHANGE = 0.1
"""A rate that moved by this share is noted at once."""
GRAIN_SECONDS = 600.0
"""Any rate is noted again after so long."""


def worth_noting(before: float, age: float, now: float) -> bool:
    """Tell whether a rate is to be written over one that is `age` seconds old."""
    return age >= GRAIN_SECONDS or abs(now - before) > CHANGE * before


Work = tuple[str, str, str]
"""The kind and the GPU of a machine, and the config that it plays."""


def medians(rates: Iterable[tuple[Work, float]]) -> dict[Work, float]:
    """Return the median games an hour of like machines by config. What nobody measured is not there."""
    found: dict[Work, list[float]] = {}
    for work, per_hour in rates:
        found.setdefault(work, []).append(per_hour)
    return {work: median(values) for work, values in found.items()}


def expected_games(
    machine: tuple[str, str], playing: Sequence[str], usual: Mapping[Work, float]
) -> float | None:
    """Return games an hour that a machine should play with these configs running; None when unknown."""
    rates = [usual.get((*machine, config)) for config in playing]
    known = [rate for rate in rates if rate is not None]
    return sum(known) if known and len(known) == len(rates) else None
