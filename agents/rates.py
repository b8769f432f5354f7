"""How fast jobs of each kind and config go on this host: a moving figure for each."""

from __future__ import annotations

import math
import threading

from ringrift.protocol.agent import Rate

_MEMORY_SECONDS = 900.0
"""What was measured so long ago counts a third of what is measured now."""
_MOST = 64


class Rates:
    """Units per hour of one running job, by kind and config. Threads of all slots note what they see."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._per_hour: dict[tuple[str, str], float] = {}

    def note(self, kind: str, config: str, units: float, seconds: float) -> None:
        """Count `units` that one job did within `seconds`; figures that cannot be are left out."""
        if seconds <= 0 or units < 0:
            return
        now = 3600.0 * units / seconds
        with self._guard:
            before = self._per_hour.pop((kind, config), now)
            share = 1.0 - math.exp(-seconds / _MEMORY_SECONDS)
            self._per_hour[kind, config] = before + share * (now - before)
            if len(self._per_hour) > _MOST:
                del self._per_hour[next(iter(self._per_hour))]

    def told(self) -> list[Rate]:
        """Return the figures for a beat."""
        with self._guard:
            return [
                Rate(kind=kind, config=config, per_hour=rate)
                for (kind, config), rate in self._per_hour.items()
            ]
