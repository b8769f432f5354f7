"""How many self-play jobs a config should have waiting, and what is in one."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class SelfplayNeed:
    """Facts for one config. `slots` are those of all live agents, `configs` the number of enabled configs."""

    enabled: bool
    queued: int
    fresh_positions: int
    slots: int
    configs: int


def wanted_jobs(need: SelfplayNeed, *, queue_limit: int, min_positions: int, ahead: float) -> int:
    """Return how many self-play jobs to add so that no slot idles and no queue grows without bound.

    A config keeps its part of the live slots waiting (at least one, at most `queue_limit`), and none once its
    fresh positions are `ahead` times what a training needs.
    """
    if not need.enabled or need.fresh_positions >= ahead * min_positions:
        return 0
    share = math.ceil(need.slots / max(1, need.configs))
    return max(0, min(queue_limit, max(1, share)) - need.queued)
