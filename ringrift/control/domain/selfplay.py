"""How many self-play jobs a config should have waiting."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from ringrift.protocol.operator import Condition

MENDED_BY_DATA = frozenset({"fresh positions", "data age", "search targets"})
"""Conditions of a training that new data can bring about."""


@dataclass(frozen=True)
class SelfplayNeed:
    """Facts for one config.

    `free` are the free slots of all live agents, `configs` the number of enabled configs, `drained` how many
    jobs of this config are handed out a minute; `blocked` tells that a training waits for what data mends.
    `unreplayed` are positions that were received and not yet replayed.
    """

    enabled: bool
    queued: int
    fresh_positions: int
    free: int
    configs: int
    drained: float = 0.0
    blocked: bool = False
    unreplayed: int = 0


def wanted_jobs(
    need: SelfplayNeed, *, queue_limit: int, minutes: float, min_positions: int, ahead: float
) -> int:
    """Return how many self-play jobs to add so that no slot idles and no queue grows without bound.

    As many wait as the config's part of the free slots takes at once, or as are handed out in `minutes`
    by the measured rate; at least one, at most `queue_limit`. None waits once the fresh positions are `ahead`
    times what a training needs, unless the training is blocked for a reason that more of them would mend,
    or once so many wait to be replayed: then replaying is what lacks.
    """
    enough = ahead * min_positions
    plenty = need.fresh_positions >= enough and not need.blocked
    if not need.enabled or plenty or need.unreplayed >= enough:
        return 0
    part = math.ceil(need.free / max(1, need.configs))
    drained = math.ceil(need.drained * minutes - 1e-9)
    return max(0, min(queue_limit, max(1, part, drained)) - need.queued)


def waits_for_data(conditions: Iterable[Condition]) -> bool:
    """Tell whether nothing but missing, old or poor data keeps a training from starting."""
    failed = {condition.name for condition in conditions if not condition.passed}
    return bool(failed) and failed <= MENDED_BY_DATA
