"""Which job an agent gets, or why it gets none."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ringrift.control.domain.needs import Needs
from ringrift.control.domain.shares import Use, config_shares, kind_shares, most_owed
from ringrift.protocol.jobs import JobKind

PRIORITY = (JobKind.INGEST, JobKind.EVALUATE, JobKind.TRAIN, JobKind.REPEAT, JobKind.SELFPLAY)
"""Who goes first among kinds that are owed equally much: results count only after their ingest."""

NOTHING = Needs()

QUESTIONS_PER_SECOND = 100.0
"""How often all idle agents of a fleet together ask for work, at most."""


def idle_pause(configured: float, agents: int) -> float:
    """Return after how many seconds an agent without work asks again, one of so many."""
    return max(configured, agents / QUESTIONS_PER_SECOND)


@dataclass(frozen=True)
class Waiting:
    """A queued job that may be handed out now. `waited` is seconds since it could be.

    `avoid` are hosts that get it only after a patient wait for another one, `never` those that must not
    get it; `numeric_class`, if any, is that of the hosts that may.
    """

    id: str
    kind: str
    config: str
    waited: float
    avoid: frozenset[str] = frozenset()
    never: frozenset[str] = frozenset()
    numeric_class: str = ""
    needs: Needs = NOTHING


@dataclass(frozen=True)
class Capacity:
    """Gigabytes of a host; None means unknown, which refuses nothing. `vram_gb` is that of each GPU."""

    ram_gb: float | None = None
    vram_gb: float | None = None
    gpus: int = 1


UNKNOWN = Capacity()


@dataclass(frozen=True)
class LiveAgent:
    """An agent with a fresh heartbeat that takes work; `kinds` is what it last offered to run.

    `held` is what its running jobs need together; `rates` are measured units per hour by (kind, config).
    """

    host: str
    slots: int
    kinds: frozenset[str]
    running: int = 0
    spot: bool = False
    numeric_class: str = ""
    capacity: Capacity = UNKNOWN
    held: Needs = NOTHING
    rates: Mapping[tuple[str, str], float] = field(default_factory=dict)


@dataclass(frozen=True)
class FleetLoad:
    """Live agents; by (kind, config) the running assignments, the slot-hours of the recent past, and the
    seconds since a job was handed out."""

    agents: tuple[LiveAgent, ...] = ()
    running: Mapping[tuple[str, str], int] = field(default_factory=dict)
    recent: Mapping[tuple[str, str], float] = field(default_factory=dict)
    unserved: Mapping[tuple[str, str], float] = field(default_factory=dict)

    def count(self, *kinds: str) -> int:
        """Return the number of running assignments of these kinds."""
        return sum(number for (kind, _), number in self.running.items() if kind in kinds)


@dataclass(frozen=True)
class Rules:
    """The numbers of a decision: seconds that a job waits for another host than those it avoids (`patience`)
    or for a host that is `faster` times as fast (`placement`), and the shares."""

    patience: float = 60.0
    placement: float = 15.0
    faster: float = 2.0
    kinds: Mapping[str, float] = field(default_factory=lambda: kind_shares({}, 0.4))
    configs: Mapping[str, float] = field(default_factory=dict)
    """Explicit ones only."""


@dataclass(frozen=True)
class LeaseDecision:
    """The job to hand out, or None and why there is none."""

    job: str | None
    reason: str = ""


def decide_lease(
    asking: LiveAgent, fleet: FleetLoad, waiting: Sequence[Waiting], rules: Rules, refusal: str = ""
) -> LeaseDecision:
    """Choose the job for an agent: the kind, then the config that is owed most, then the oldest job.

    `refusal` says why this agent may get nothing at all. An agent never stays idle while a job waits that it
    may have: shares only decide who is next.
    """
    if refusal:
        return LeaseDecision(None, refusal)
    if asking.running >= asking.slots:
        return LeaseDecision(None, f"all {asking.slots} slots are busy")
    if not waiting:
        return LeaseDecision(None, "no job waits; `ringrift-ctl configs enable` starts self-play")
    obstacles = [(job, obstacle(job, asking, fleet, rules)) for job in waiting]
    eligible = [job for job, reason in obstacles if not reason]
    if not eligible:
        reasons = Counter((job.kind, reason) for job, reason in obstacles)
        return LeaseDecision(None, "; ".join(_told(*key, count) for key, count in reasons.most_common(4)))
    kind = _kind(eligible, fleet, waiting, rules)
    offered = [job for job in eligible if job.kind == kind]
    config = _config(offered, fleet, rules)
    best = max((job for job in offered if job.config == config), key=lambda job: job.waited)
    return LeaseDecision(best.id)


def _told(kind: str, reason: str, count: int) -> str:
    return f"{count} {kind} {'job waits' if count == 1 else 'jobs wait'}: {reason}"


def reserved_slots(slots: int, share: float) -> int:
    """Return how many slots self-play gets before anything else while it waits."""
    return math.floor(slots * share + 1e-9)


def _kind(eligible: Sequence[Waiting], fleet: FleetLoad, waiting: Sequence[Waiting], rules: Rules) -> str:
    kinds = {job.kind for job in eligible}
    reserve = reserved_slots(sum(agent.slots for agent in fleet.agents), rules.kinds[JobKind.SELFPLAY])
    if JobKind.SELFPLAY in kinds and fleet.count(JobKind.SELFPLAY) < reserve:
        return JobKind.SELFPLAY
    candidates = [kind.value for kind in PRIORITY if kind in kinds]
    return most_owed(candidates, {job.kind for job in waiting}, _use(fleet, waiting, 0), rules.kinds)


def _config(offered: Sequence[Waiting], fleet: FleetLoad, rules: Rules) -> str:
    oldest = sorted(offered, key=lambda job: -job.waited)
    candidates = list(dict.fromkeys(job.config for job in oldest))
    return most_owed(
        candidates, candidates, _use(fleet, offered, 1), config_shares(rules.configs, candidates)
    )


def _use(fleet: FleetLoad, waiting: Sequence[Waiting], part: int) -> Use:
    """Return what the kinds (`part` 0) or the configs (1) use."""
    held: Counter[str] = Counter()
    recent: dict[str, float] = {}
    unserved: dict[str, float] = {}
    for key, count in fleet.running.items():
        held[key[part]] += count
    for key, hours in fleet.recent.items():
        recent[key[part]] = recent.get(key[part], 0.0) + hours
    for job in waiting:
        name = (job.kind, job.config)[part]
        unserved[name] = max(unserved.get(name, 0.0), job.waited)
    for key, seconds in fleet.unserved.items():
        if key[part] in unserved:
            unserved[key[part]] = min(unserved[key[part]], seconds)
    return Use(held, recent, unserved)


def obstacle(job: Waiting, agent: LiveAgent, fleet: FleetLoad, rules: Rules) -> str:
    """Tell why this agent may not have this job now, in words with numbers; empty when it may."""
    if (reason := unfit(job, agent)) or (reason := _duplicate(job, fleet)):
        return reason
    others = [other for other in fleet.agents if other.host != agent.host and not unfit(job, other)]
    if job.kind == JobKind.TRAIN and agent.spot and any(not other.spot for other in others):
        return "a training goes to no spot host while a stable one is live"
    better = any(other.host not in job.avoid for other in others)
    if agent.host in job.avoid and job.waited < rules.patience and better:
        return f"another host should take it; this one may in {rules.patience - job.waited:.0f} s"
    return _slower(job, agent, others, rules)


def unfit(job: Waiting, agent: LiveAgent) -> str:
    """Tell why an agent cannot have a job whatever runs elsewhere; empty when it can."""
    if job.kind not in agent.kinds:
        return "this agent cannot run them"
    if agent.host in job.never:
        return "it must go to another host"
    if job.numeric_class and job.numeric_class != agent.numeric_class:
        return f"it needs a host of the numeric class {job.numeric_class}"
    return _lack(job.needs, agent)


def _lack(needs: Needs, agent: LiveAgent) -> str:
    memory, capacity = needs.ram_gb, agent.capacity
    held = agent.held.ram_gb
    if capacity.vram_gb is None:
        # Without a GPU that is known of, the job runs on the processor: its device memory is host memory.
        memory, held = memory + needs.vram_gb, held + agent.held.vram_gb
    else:
        free = min(capacity.vram_gb, capacity.vram_gb * capacity.gpus - agent.held.vram_gb)
        if needs.vram_gb > free:
            return f"it needs {needs.vram_gb:.1f} GB of GPU memory, {max(free, 0.0):.1f} GB are free"
    if capacity.ram_gb is not None and memory > capacity.ram_gb - held:
        free = max(capacity.ram_gb - held, 0.0)
        return f"it needs {memory:.1f} GB of memory, {free:.1f} of {capacity.ram_gb:.1f} GB are free"
    return ""


def _duplicate(job: Waiting, fleet: FleetLoad) -> str:
    if job.kind == JobKind.TRAIN and fleet.running.get((job.kind, job.config), 0):
        return f"a training of {job.config} runs already"
    return ""


def _slower(job: Waiting, agent: LiveAgent, others: Sequence[LiveAgent], rules: Rules) -> str:
    own = agent.rates.get((job.kind, job.config))
    if own is None or job.waited >= rules.placement:
        return ""
    free = [other for other in others if other.running < other.slots and other.host not in job.avoid]
    best = max(free, key=lambda other: other.rates.get((job.kind, job.config), 0.0), default=None)
    rate = best.rates.get((job.kind, job.config), 0.0) if best else 0.0
    if best is None or rate < rules.faster * own:
        return ""
    ratio, left = rate / max(own, 1e-9), rules.placement - job.waited
    return f"{best.host} has a free slot and is {ratio:.1f} times as fast; this one may in {left:.0f} s"
