"""What one round of alerts remembers for the next: since when, and how often. Bounded, and a JSON document.

Facts that need a history come from here: since when a GPU idles, how often the same error came in each of the
last six ten minutes, which gate refused how often since the last promotion.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from ringrift.control.domain.alert_facts import ErrorFacts
from ringrift.text import printable

BUCKET = 600.0
_BUCKETS = 6
_SIGNATURES = 200
_GATES = 20
_VARYING = re.compile(r"\b[0-9a-f]{8,}\b|\d+(?:\.\d+)?")
_FAILED = ("failed", "quarantined", "refused", "queued")
_SUBJECTS = ("job", "shard", "backup", "provision", "restart", "deploy", "stage")
ACTIONS = (
    *(f"{subject}.{how}" for subject in _SUBJECTS for how in _FAILED),
    *("artifact.quarantined", "evaluation.rejected", "promotion.refused"),
    *("champion.promote", "champion.rollback"),
)
"""The audit rows that are looked at."""


@dataclass(frozen=True)
class Told:
    """An audit row."""

    at: float
    action: str
    subject: str
    detail: dict[str, Any]


@dataclass(frozen=True)
class Memory:
    """`since`: when the rounds began that were never far apart; `event`: the last audit row that was read."""

    at: float = 0.0
    since: float = 0.0
    event: int | None = None
    idle: dict[str, float] = field(default_factory=dict)
    """Host -> since when its GPU idles."""
    bucket: int = 0
    errors: dict[str, list[int]] = field(default_factory=dict)
    """Signature -> counts in the last ten minutes, newest last."""
    refusals: dict[str, dict[str, int]] = field(default_factory=dict)
    """Config -> gate -> refusals since the last promotion."""

    def document(self) -> dict[str, Any]:
        """Return it as JSON."""
        return asdict(self)


def remember(
    before: Memory, time: float, every: float, idle: Iterable[str], told: Sequence[Told], event: int
) -> Memory:
    """Return the memory after a round at `time`: these GPUs idle now, these audit rows are new."""
    away = time - before.at > max(8 * every, 60.0)
    return Memory(
        at=time,
        since=time if away else before.since,
        event=event,
        idle={name: before.idle.get(name, time) for name in idle},
        bucket=int(time // BUCKET),
        errors=_counted(before, time, told),
        refusals=_refusals(before.refusals, told),
    )


def error_facts(memory: Memory) -> tuple[ErrorFacts, ...]:
    """Return every remembered error: its last full ten minutes (or these, if worse), and the mean before."""
    return tuple(
        ErrorFacts(text, max(counts[-2:]), sum(counts[:-2]) / max(1, len(counts) - 2))
        for text, counts in sorted(memory.errors.items())
    )


def error_signature(action: str, reason: str) -> str:
    """Return an error without what differs from time to time: numbers and hashes."""
    return f"{action} {_VARYING.sub('#', printable(reason, 300))}"[:120].strip()


def _counted(before: Memory, time: float, told: Sequence[Told]) -> dict[str, list[int]]:
    moved = min(_BUCKETS, max(0, int(time // BUCKET) - before.bucket))
    kept = {text: (counts + [0] * moved)[-_BUCKETS:] for text, counts in before.errors.items()}
    for row in told:
        text = _error_of(row)
        if text:
            counts = kept.setdefault(text, [0] * _BUCKETS)
            counts[-1] += 1
    alive = {text: counts for text, counts in kept.items() if any(counts)}
    return dict(sorted(alive.items(), key=lambda item: -sum(item[1]))[:_SIGNATURES])


def _error_of(row: Told) -> str:
    """Return the signature of an error that an audit row tells; empty when it tells none."""
    if not row.action.endswith(_FAILED) or row.action == "promotion.refused":
        return ""
    error = row.detail.get("error")
    reason = error.get("message", "") if isinstance(error, dict) else row.detail.get("reason", "")
    return error_signature(row.action, str(reason)) if reason else ""


def _refusals(before: dict[str, dict[str, int]], told: Sequence[Told]) -> dict[str, dict[str, int]]:
    counts = {config: dict(gates) for config, gates in before.items()}
    for row in told:
        if row.action.startswith("champion."):
            counts.pop(row.subject, None)
        elif row.action == "evaluation.rejected":
            _add(counts, str(row.detail.get("config", "")), "evaluation")
        elif row.action == "promotion.refused":
            failed = [each for each in row.detail.get("conditions", ()) if not each.get("passed")]
            if failed:
                _add(counts, row.subject, str(failed[0].get("name", "")))
    return counts


def _add(counts: dict[str, dict[str, int]], config: str, gate: str) -> None:
    gates = counts.setdefault(config, {})
    if gate in gates or len(gates) < _GATES:
        gates[gate] = gates.get(gate, 0) + 1
