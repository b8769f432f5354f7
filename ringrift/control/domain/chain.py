"""The audit chain: every row's digest covers the row and the digest of the row before (P10)."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

GENESIS = "0" * 64
"""Digest that stands before the first row."""
_canonical = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode


@dataclass(frozen=True)
class Entry:
    """One audit row without its digest. `at` is seconds since 1970 by the database's clock."""

    id: int
    at: float
    actor: str
    action: str
    subject: str
    detail: Mapping[str, Any]


@dataclass(frozen=True)
class ChainCheck:
    """Result of walking the chain: rows seen, whether all fit, and the id of the first that does not."""

    rows: int
    sound: bool
    first_bad: int | None


def digest(previous: str, entry: Entry) -> str:
    """Return SHA-256 over the previous digest and the row as canonical JSON."""
    body = _canonical([entry.id, entry.at, entry.actor, entry.action, entry.subject, entry.detail])
    return hashlib.sha256(f"{previous}\n{body}".encode()).hexdigest()


def verify(rows: Iterable[tuple[Entry, str]], head: tuple[int, str]) -> ChainCheck:
    """Walk rows in order of id; `head` is the id and digest that the store recorded last.

    A changed, inserted, missing or reordered row breaks the chain at that id; rows cut off at the end are
    noticed because the last digest is not the head.
    """
    previous, seen = GENESIS, 0
    for entry, recorded in rows:
        if entry.id != seen + 1 or digest(previous, entry) != recorded:
            return ChainCheck(seen, False, seen + 1)
        previous, seen = recorded, entry.id
    if seen != head[0]:
        return ChainCheck(seen, False, min(seen, head[0]) + 1)
    if previous != head[1]:
        return ChainCheck(seen, False, seen)
    return ChainCheck(seen, True, None)
