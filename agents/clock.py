"""Time as the agent knows it, and how it comes back after the controller was away.

Decisions follow a monotonic clock only: what the host believes the date to be never matters.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable

CATCH_UP_SECONDS = 60.0
"""After a long outage an agent begins to deliver at a random moment within so many seconds."""
_CATCH_UP_SHARE = 0.25
"""After a short one within this share of its length, so that a blink of the tunnel delays nothing."""
_LOOK_SECONDS = 1.0

Clock = Callable[[], float]
"""Seconds since any moment, never going back."""
MONOTONIC: Clock = time.monotonic


class Outage:
    """Whether the controller answers. Threads share it: what one of them learns holds for all.

    While the controller is away only beats ask for it; when one is answered, everything else goes on after a
    pause that is drawn for this agent, so that a fleet does not deliver a day's results in one second.
    """

    def __init__(self, clock: Clock = MONOTONIC, dice: random.Random | None = None) -> None:
        self._clock = clock
        self._dice = dice or random.Random()
        self._guard = threading.Lock()
        self._since: float | None = None
        self._resume_at = 0.0

    def begin(self) -> None:
        """Note that a call was not answered."""
        with self._guard:
            if self._since is None:
                self._since = self._clock()

    def end(self) -> None:
        """Note that a beat was answered."""
        with self._guard:
            if self._since is None:
                return
            now = self._clock()
            window = min(CATCH_UP_SECONDS, _CATCH_UP_SHARE * (now - self._since))
            self._since, self._resume_at = None, now + self._dice.uniform(0.0, window)

    def pause(self) -> float:
        """Return how many seconds to wait before the controller is asked for anything but a beat."""
        with self._guard:
            if self._since is not None:
                return _LOOK_SECONDS
            return max(0.0, self._resume_at - self._clock())
