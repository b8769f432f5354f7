"""One glyph, one word and one tone for every state. State is never told by colour alone.

A tone is what colour may add: good, busy, warn, bad or dim.
"""

from __future__ import annotations

from typing import NamedTuple

from ringrift.client.display import plain


class Mark(NamedTuple):
    """How a state looks: one cell of glyph, the word, the tone."""

    glyph: str
    word: str
    tone: str


_MARKS: dict[str, dict[str, tuple[str, ...]]] = {
    "good": {
        "●": ("ready", "up", "serving", "open"),
        "✔": ("succeeded", "done", "accepted", "passed", "ok", "yes", "added", "verified", "cleared"),
        "◆": ("champion",),
    },
    "busy": {
        "◐": (
            "provisioning",
            "running",
            "leased",
            "baking",
            "acknowledged",
            "halting",
            "cancelling",
            "rolling_back",
        ),
        "◇": ("candidate", "planned"),
    },
    "warn": {
        "▲": ("draining", "stale", "drifted", "closed", "change", "changed", "warning", "owed", "rolled_back")
    },
    "bad": {
        "✖": (
            "unreachable",
            "down",
            "failed",
            "rejected",
            "unhealthy",
            "no",
            "refused",
            "halted",
            "critical",
            "revoked",
        ),
        "■": ("quarantined",),
    },
    "dim": {
        "○": ("new", "queued", "pending", "off", "waiting"),
        "=": ("unchanged", "same"),
        "–": ("retired", "cancelled", "skipped"),
        "?": ("unknown",),
    },
}
_BY_WORD = {
    word: Mark(glyph, word, tone)
    for tone, glyphs in _MARKS.items()
    for glyph, words in glyphs.items()
    for word in words
}


def mark(state: str) -> Mark:
    """Return the look of a state; a word that this version doesn't know is shown as it came, with `?`."""
    known = _BY_WORD.get(state)
    return known or Mark("?", plain(state, 20), "dim")
