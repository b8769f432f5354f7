"""Which job an agent gets, and what becomes of a job whose try ended badly."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from ringrift.protocol.jobs import JobKind

PRIORITY = (JobKind.INGEST, JobKind.EVALUATE, JobKind.TRAIN, JobKind.SELFPLAY)
"""Ingest first: results count only after it. Self-play last, but with its own reserve of slots."""

HEAVY = frozenset({JobKind.EVALUATE, JobKind.TRAIN})
"""Kinds that must leave self-play its reserve; ingest is short and never waits."""


@dataclass(frozen=True)
class Waiting:
    """A queued job that may be handed out now. `waited` is seconds since it was made."""

    id: str
    kind: str
    config: str
    waited: float
    avoid: str | None = None


@dataclass(frozen=True)
class LiveAgent:
    """An agent with a fresh heartbeat that takes work; `kinds` is what it last offered to run."""

    id: str
    slots: int
    kinds: frozenset[str]


@dataclass(frozen=True)
class Asking:
    """The agent that asks. `running` counts its live assignments; `refusal` says why it may get nothing."""

    id: str
    slots: int
    kinds: frozenset[str]
    running: int
    refusal: str = ""


@dataclass(frozen=True)
class FleetLoad:
    """What runs now: live agents, and running assignments by (kind, config)."""

    agents: tuple[LiveAgent, ...] = ()
    running: Mapping[tuple[str, str], int] = field(default_factory=dict)

    def count(self, *kinds: str) -> int:
        """Return the number of running assignments of these kinds."""
        return sum(number for (kind, _), number in self.running.items() if kind in kinds)


@dataclass(frozen=True)
class LeaseDecision:
    """The job to hand out, or None and why there is none."""

    job: str | None
    reason: str = ""


def decide_lease(
    asking: Asking, fleet: FleetLoad, waiting: Sequence[Waiting], *, reserve: float, patience: float
) -> LeaseDecision:
    """Choose the job for an agent: by `PRIORITY`, within the self-play reserve, fair between configs.

    `reserve` is the share of slots kept for self-play while any waits; `patience` is how many seconds a job
    waits for an agent other than the one that it avoids.
    """
    if asking.refusal:
        return LeaseDecision(None, asking.refusal)
    if asking.running >= asking.slots:
        return LeaseDecision(None, f"all {asking.slots} slots are busy")
    if not waiting:
        return LeaseDecision(None, "no job waits; `ringrift-ctl configs enable` starts self-play")
    reasons: list[str] = []
    for kind in PRIORITY:
        offered = [job for job in waiting if job.kind == kind]
        reason = _kind_refusal(kind, asking, fleet, waiting, reserve) if offered else ""
        eligible = [] if reason else [job for job in offered if _eligible(job, asking, fleet, patience)]
        if eligible:
            best = min(eligible, key=lambda job: (fleet.running.get((job.kind, job.config), 0), -job.waited))
            return LeaseDecision(best.id)
        if offered:
            reasons.append(reason or f"{len(offered)} {kind} jobs wait for another agent or config")
    return LeaseDecision(None, "; ".join(reasons))


def heavy_slots(slots: int, reserve: float) -> int:
    """Return how many slots training and evaluation may hold while self-play waits; never less than one."""
    return max(1, math.floor(slots * (1.0 - reserve) + 1e-9))


def _kind_refusal(
    kind: str, asking: Asking, fleet: FleetLoad, waiting: Sequence[Waiting], reserve: float
) -> str:
    if kind not in asking.kinds:
        return f"{kind} jobs wait, which this agent cannot run"
    if kind in HEAVY and any(job.kind == JobKind.SELFPLAY for job in waiting):
        allowed = heavy_slots(sum(agent.slots for agent in fleet.agents), reserve)
        if fleet.count(*HEAVY) >= allowed:
            return f"{kind} jobs wait: self-play keeps {reserve:.0%} of the slots ({allowed} others run)"
    return ""


def _eligible(job: Waiting, asking: Asking, fleet: FleetLoad, patience: float) -> bool:
    if job.kind == JobKind.TRAIN and fleet.running.get((job.kind, job.config), 0):
        return False
    if job.avoid != asking.id or job.waited >= patience:
        return True
    return not any(agent.id != asking.id and job.kind in agent.kinds for agent in fleet.agents)


EndedBadly = Literal["failed", "expired"]


def after_bad_end(attempts: int, limit: int, how: EndedBadly) -> Literal["queued", "failed", "quarantined"]:
    """Return the job's next state when try number `attempts` failed by itself or vanished with its agent."""
    if attempts < limit:
        return "queued"
    return "failed" if how == "failed" else "quarantined"
