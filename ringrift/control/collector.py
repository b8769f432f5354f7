"""Python's collector of cyclic garbage in a controller: what start-up made is not looked through again.

With its usual thresholds the collector walks through everything that is imported some ten times a minute,
which at 667 heartbeats a second is a fifth of the CPU and most of the longest answers.
"""

from __future__ import annotations

import gc

_THRESHOLDS = 20_000, 20, 50


def rest() -> None:
    """Collect nothing while the controller starts."""
    gc.disable()


def begin() -> None:
    """Set aside what there is, and collect from now on, seldom."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_THRESHOLDS)
    gc.enable()
