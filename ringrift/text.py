"""The one place where text from elsewhere becomes harmless: names, labels, banners, programs' last words.

Errors pass through it when they are made, logs when they are written, shell and terminal when they show.
"""

from __future__ import annotations

import json
import unicodedata

_HIDDEN = {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"}
"""Unicode categories that move the cursor, reorder text or show nothing."""


def escaped(text: str) -> str:
    """Return a line of JSON that means the same, with its invisible characters as escapes."""
    if text.isprintable():
        return text
    return "".join(json.dumps(c)[1:-1] if unicodedata.category(c) in _HIDDEN else c for c in text)


def printable(text: object, limit: int | None = None) -> str:
    """Return text as one harmless line of at most `limit` characters.

    Line breaks and tabs become blanks, everything else that is no visible character U+FFFD.
    """
    raw = str(text)
    if limit is not None and len(raw) > limit:
        raw = raw[: limit - 1] + "…"
    if raw.isascii() and raw.isprintable():
        return raw
    return "".join(" " if c in "\n\t" else "\ufffd" if unicodedata.category(c) in _HIDDEN else c for c in raw)
