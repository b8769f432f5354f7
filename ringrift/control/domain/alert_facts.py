"""What the rules of alerts look at. Ages in seconds, shares 0..1; None is unknown, never a finding."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple


class HostFacts(NamedTuple):
    """A provisioned host that should work. `silent` is since its last beat, `fruitless` since when it holds
    leases without a result, `gpu_idle` since when its GPU does next to nothing while work waits."""

    name: str
    silent: float | None
    live: bool
    cost: float
    disk: float | None = None
    memory: float | None = None
    fruitless: float | None = None
    gpu_idle: float | None = None


@dataclass(frozen=True)
class ConfigFacts:
    """An enabled config. Ages are since its last training began and since its newest sound shard, at most
    since it was enabled. `elo` is the champion's, `best_elo` that of the best champion before it, `rejected`
    whether a test of the champion itself ended against it; `refusals` counts by gate."""

    key: str
    untrained: float
    data_age: float
    elo: float | None = None
    best_elo: float | None = None
    rejected: bool = False
    refusals: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True)
class QueueFacts:
    """Waiting jobs of one kind: how many, how long the oldest waits, and since when none was handed out."""

    kind: str
    waiting: int
    oldest: float
    unserved: float


@dataclass(frozen=True)
class TargetFacts:
    """An inference target that was deployed to; `behind` are configs where the champion is another model."""

    name: str
    state: str
    issue: str
    behind: tuple[str, ...] = ()


@dataclass(frozen=True)
class ErrorFacts:
    """One error by its signature: how many in ten minutes lately, and on average before."""

    text: str
    lately: int
    before: float


@dataclass(frozen=True)
class Facts:
    """Everything that the rules look at. `open` are the signatures of the alerts that are open."""

    watching: float
    open: frozenset[str]
    hosts: tuple[HostFacts, ...] = ()
    configs: tuple[ConfigFacts, ...] = ()
    evaluations: tuple[tuple[str, float], ...] = ()
    """Running ones with the seconds since their last block."""
    queues: tuple[QueueFacts, ...] = ()
    targets: tuple[TargetFacts, ...] = ()
    errors: tuple[ErrorFacts, ...] = ()
    controller_disk: float | None = None
    unsaved: float | None = None
    """Since the last verified backup, or since there is something to save."""

    def lasting(self, age: float | None, signature: str) -> float:
        """Return for how long something is known to last."""
        if age is None:
            return 0.0
        return age if signature in self.open else min(age, self.watching)
