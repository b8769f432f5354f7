"""Which targets of a rollout change now, whether a changed one holds, and when all are taken back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, inf
from typing import Any

from ringrift.control.domain.ports import Traffic

ACTIVE = ("running", "halting", "cancelling")
"""States of a rollout that goes on: forward, or back because of a failure or of a person."""
_TOUCHED = ("baking", "succeeded", "failed")
_ENDS = {"halting": "failed", "cancelling": "cancelled"}


def waves(targets: int, share: float) -> list[int]:
    """Return the wave of each of so many targets: one first, then up to a share of all, then the rest."""
    second = max(1, ceil(targets * share))
    last = 3 if second > 1 else 2
    return [1 if place == 0 else 2 if place < second else last for place in range(targets)]


@dataclass(frozen=True)
class Row:
    """One target of a rollout. `returning` is whether an order took it back already, or began to.

    `returnable` is whether it served anything before.
    """

    target: str
    wave: int
    state: str
    reason: str = ""
    returnable: bool = True
    returning: bool = False


@dataclass(frozen=True)
class Verdict:
    """`state` that the rollout should have, why, and the targets that start, go back or are left out now."""

    state: str
    reason: str = ""
    start: tuple[str, ...] = ()
    back: tuple[str, ...] = ()
    skip: tuple[str, ...] = ()


def decide(state: str, rows: Sequence[Row]) -> Verdict:
    """Say how a rollout goes on; the same rows give the same answer whenever it is asked."""
    if state == "running":
        return _forward(rows)
    back = tuple(row.target for row in rows if _goes_back(row))
    skip = tuple(row.target for row in rows if row.state == "waiting")
    open_ones = back or any(row.state in ("running", "rolling_back") for row in rows)
    return Verdict(state if open_ones else _ENDS[state], back=back, skip=skip)


def _forward(rows: Sequence[Row]) -> Verdict:
    failed = next((row for row in rows if row.state == "failed"), None)
    if failed is not None:
        return Verdict("halting", f"{failed.target}: {failed.reason}")
    unproven = [row for row in rows if row.state != "succeeded"]
    if not unproven:
        return Verdict("succeeded")
    wave = min(row.wave for row in unproven)
    start = [row.target for row in unproven if row.wave == wave and row.state == "waiting"]
    return Verdict("running", start=tuple(start))


def _goes_back(row: Row) -> bool:
    return row.state in _TOUCHED and row.returnable and not row.returning


@dataclass(frozen=True)
class Limits:
    """What a changed target must keep while it is watched: times in seconds, shares 0..1."""

    bake: float
    patience: float
    error_share: float
    p99: float
    moves: int


@dataclass(frozen=True)
class Sample:
    """A target's process and counters at a time of the database's clock."""

    at: float
    process: int | None
    traffic: Traffic


@dataclass(frozen=True)
class Watch:
    """A changed target while it bakes, and what it said when it was asked last.

    `first` is the first sample after the change; None before there is one.
    """

    since: float
    state: str
    issues: tuple[str, ...]
    checked_at: float | None
    last: Sample | None
    first: Sample | None


def watched(watch: Watch, time: float, limits: Limits) -> tuple[str, str]:
    """Return state and reason of a baking target.

    What it shows is a proof or a failure at once; of one that cannot be asked nothing is known, so that it
    waits, for `patience` seconds after the time in which it should have proven itself.
    """
    asked = watch.checked_at is not None and watch.checked_at > watch.since
    late = time - watch.since > limits.bake + limits.patience
    issue = f": {watch.issues[0]}" if watch.issues else ""
    if not asked or watch.state == "unreachable":
        return ("failed", f"it could not be asked while it was watched{issue}") if late else ("baking", "")
    if watch.state != "serving":
        return "failed", f"it is {watch.state}{issue}"
    if watch.last is None:
        return "failed", "it shows no counters of moves and errors"
    first = watch.first or watch.last
    if watch.last.process != first.process or watch.last.traffic.answered < first.traffic.answered:
        return "failed", "its service started anew while it was watched"
    return _judged(first, watch.last, late, limits)


def _judged(first: Sample, last: Sample, late: bool, limits: Limits) -> tuple[str, str]:
    """Compare what was counted between two samples with the budget."""
    moves = last.traffic.answered - first.traffic.answered
    errors = last.traffic.errors - first.traffic.errors
    if errors > limits.error_share * (moves + errors):
        return "failed", f"{errors} errors beside {moves} moves, {limits.error_share:.1%} are allowed"
    if last.at - first.at < limits.bake:
        return "baking", ""
    if moves < limits.moves:
        told = f"{moves} moves were asked of it, {limits.moves} are needed"
        return ("failed", told) if late else ("baking", "")
    slowest = percentile(first.traffic, last.traffic, 0.99)
    if slowest > limits.p99:
        return "failed", f"p99 is {_seconds(slowest)}, {limits.p99:g} s are allowed"
    told = f", p99 {_seconds(slowest)}" if moves else ""
    return "succeeded", f"{moves} moves{told}, {errors} errors"


def percentile(first: Traffic, last: Traffic, share: float) -> float:
    """Return a bound of the latency that `share` of the moves between two samples kept; 0 without a move."""
    moves, before = last.answered - first.answered, dict(first.latency)
    if moves <= 0:
        return 0.0
    kept = (bound for bound, count in last.latency if count - before.get(bound, 0) >= share * moves)
    return next(kept, inf)


def _seconds(bound: float) -> str:
    return "above what is measured" if bound == inf else f"at most {bound:g} s"


def traffic_document(traffic: Traffic) -> dict[str, Any]:
    """Return counters as they are stored."""
    return {"answered": traffic.answered, "errors": traffic.errors, "latency": list(traffic.latency)}


def read_traffic(document: dict[str, Any]) -> Traffic:
    """Return stored counters."""
    latency = tuple((float(bound), int(count)) for bound, count in document["latency"])
    return Traffic(document["answered"], document["errors"], latency)


def differences(ordered: dict[str, str], serving: dict[str, str]) -> list[str]:
    """Name what a target serves otherwise than ordered: config -> model hash."""
    found = []
    for config in sorted(ordered.keys() | serving.keys()):
        wish, model = ordered.get(config), serving.get(config)
        if wish == model:
            continue
        shown = model[:8] if model else "nothing"
        found.append(f"{config} serves {shown} instead of {wish[:8] if wish else 'nothing'}")
    return found
