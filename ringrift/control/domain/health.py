"""How a host is, by the age of its heartbeat. Silence is `unknown` or `down`, never dead (P8)."""

from __future__ import annotations

from typing import Literal

Health = Literal["up", "stale", "down", "unknown"]


def host_health(beat_age: float | None, stale_seconds: float, down_seconds: float) -> Health:
    """Return `up` below `stale_seconds`, `stale` up to `down_seconds`, then `down`; `unknown` for no beat."""
    if beat_age is None:
        return "unknown"
    if beat_age < stale_seconds:
        return "up"
    return "stale" if beat_age <= down_seconds else "down"


def age_text(seconds: float | None) -> str:
    """Return an age as people say it: `12 s`, `3 min`, `5.2 h`, `4.0 d`, or `unknown`."""
    if seconds is None:
        return "unknown"
    if seconds < 120:
        return f"{max(seconds, 0):.0f} s"
    if seconds < 7200:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h" if seconds < 172_800 else f"{seconds / 86_400:.1f} d"
