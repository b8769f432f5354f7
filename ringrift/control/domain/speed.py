"""How fast hosts are: what is worth a row, and what may be expected of hosts of one kind."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from statistics import median

CHANGE = 0.1
"""A rate that moved by this share is noted at once."""
GRAIN_SECONDS = 600.0
"""Any rate is noted again after so long."""


def worth_noting(before: float, age: float, now: float) -> bool:
    """Tell whether a rate is to be written over one that is `age` seconds old."""
    return age >= GRAIN_SECONDS or abs(now - before) > CHANGE * before


@dataclass(frozen=True)
class Measured:
    """The units per hour of a host of a `(kind, gpu)` for a `(kind, config)` of work."""

    machine: tuple[str, str]
    work: tuple[str, str]
    per_hour: float


def expected_rates(
    rates: Iterable[Measured],
) -> Mapping[tuple[tuple[str, str], tuple[str, str]], float]:
    """Return the median rate by machine and work. What nobody measured is not there."""
    found: dict[tuple[tuple[str, str], tuple[str, str]], list[float]] = {}
    for rate in rates:
        found.setdefault((rate.machine, rate.work), []).append(rate.per_hour)
    return {key: median(values) for key, values in found.items()}
