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


def beat_pause(agents: int, least: float, per_second: float, longest: float) -> float:
    """Return the seconds between an agent's heartbeats, in a fleet of `agents`.

    `least` as long as all together send at most `per_second`, then more, up to `longest`: so the cost of
    hearing a fleet is bounded, and silence is still told in time.
    """
    return max(least, min(agents / per_second, longest))


def age_text(seconds: float | None) -> str:
    """Return an age as people say it: `12 s`, `3 min`, `5.2 h`, `4.0 d`, or `unknown`."""
    if seconds is None:
        return "unknown"
    if seconds < 120:
        return f"{max(seconds, 0):.0f} s"
    if seconds < 7200:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h" if seconds < 172_800 else f"{seconds / 86_400:.1f} d"
