"""Words for values, the same in the shell and in the terminal: ages, sizes, rates, hashes, hostile text."""

from __future__ import annotations

from ringrift.text import printable

UNKNOWN = "unknown"


def plain(text: object, limit: int = 2000) -> str:
    """Return text from the wire as one harmless line: whatever is no visible character becomes U+FFFD."""
    return printable(text, limit)


def lines(text: object, limit: int = 20_000) -> list[str]:
    """Return text from the wire as harmless lines."""
    return [plain(line) for line in str(text)[:limit].splitlines()]


def short(sha: str | None, none: str = "-") -> str:
    """Return the first 8 digits of a hash, other names whole."""
    if not sha:
        return none
    text = plain(sha)
    return text[:8] if len(text) >= 32 else text


def age(seconds: float | None) -> str:
    """Return a duration in its two largest fitting units' worth of precision: `8s`, `3m`, `5.2h`, `3d`."""
    if seconds is None:
        return UNKNOWN
    if seconds < 60:
        return f"{max(0.0, seconds):.0f}s"
    if seconds < 3600:
        return f"{seconds / 60:.0f}m"
    if seconds < 36_000:
        return f"{seconds / 3600:.1f}h"
    if seconds < 172_800:
        return f"{seconds / 3600:.0f}h"
    return f"{seconds / 86_400:.0f}d"


def count(number: float | None) -> str:
    """Return a count in at most five characters: `999`, `12.3k`, `4.1M`; `-` when unknown."""
    if number is None:
        return "-"
    for limit, unit in ((1e3, ""), (1e6, "k"), (1e9, "M")):
        if abs(number) < limit:
            scaled = number / (limit / 1e3)
            return f"{scaled:.0f}{unit}" if not unit or scaled >= 100 else f"{scaled:.1f}{unit}"
    return f"{number / 1e9:.1f}G"


def size(octets: float | None) -> str:
    """Return bytes with a binary unit: `512 MiB`, `94 GiB`."""
    if octets is None:
        return UNKNOWN
    for unit in ("B", "KiB", "MiB", "GiB"):
        if octets < 1024:
            return f"{octets:.0f} {unit}"
        octets /= 1024
    return f"{octets:.1f} TiB"


def share(part: float | None, whole: float | None) -> float | None:
    """Return part / whole within 0..1; None when either is unknown or the whole is nothing."""
    if part is None or not whole:
        return None
    return min(1.0, max(0.0, part / whole))


def percent(value: float | None) -> str:
    """Return a share as `63%`, `-` when unknown."""
    return "-" if value is None else f"{value * 100:.0f}%"


def elo(value: float | None, low: float | None = None, high: float | None = None) -> str:
    """Return an Elo difference with its interval: `+41 [+12, +70]`."""
    if value is None:
        return "-"
    interval = "" if low is None or high is None else f" [{low:+.0f}, {high:+.0f}]"
    return f"{value:+.0f}{interval}"
