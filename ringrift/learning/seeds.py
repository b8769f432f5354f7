"""Random numbers by name: each draw of a unit of work follows from what it is for, not from earlier draws.

So games can be batched in any way, and a unit done again is the same unit on every machine.
"""

from __future__ import annotations

import hashlib


def derive(*parts: int | str) -> int:
    """Return a 64-bit number for a tuple of names and numbers (SHA-256 of their text)."""
    text = "|".join(str(part) for part in parts)
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "little")


def uniform(*parts: int | str) -> float:
    """Return a number in [0, 1) for a tuple of names and numbers."""
    return (derive(*parts) >> 11) / (1 << 53)
