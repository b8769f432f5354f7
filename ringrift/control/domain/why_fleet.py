"""Why a host, a target or a job stands where it stands."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from ringrift.control.domain.health import Health, age_text
from ringrift.protocol.operator import Condition, WhyView

_HOSTS = 10
"""So many live hosts are named in an answer about a job."""


@dataclass(frozen=True)
class HostFacts:
    """A host as its rows tell it; ages in seconds, None for never.

    `provisioned` is whether a provisioning ever got as far as installing a release: only then does the
    controller connect by itself.
    """

    name: str
    state: str
    reason: str
    tunnel: str
    tunnel_reason: str
    health: Health
    beat_age: float | None
    down_seconds: float
    running: int
    slots: int
    idle_reason: str
    blocked: bool
    provisioned: bool = True
    pinned: bool = True
    facts: list[str] = field(default_factory=list)


def why_host(facts: HostFacts) -> WhyView:
    """Return the answer to `why HOST`."""
    sentence, action = _host_cause(facts)
    conditions = [
        _condition("state", facts.state, "ready", facts.state == "ready", facts.reason),
        _condition("tunnel", facts.tunnel, "open", facts.tunnel == "open", facts.tunnel_reason),
        _condition(
            "heartbeat",
            age_text(facts.beat_age),
            f"<= {age_text(facts.down_seconds)}",
            facts.health in ("up", "stale"),
            "silence is not death: nothing is destroyed for it",
        ),
        _condition(
            "work", f"{facts.running} of {facts.slots} slots", ">= 1", facts.running > 0, facts.idle_reason
        ),
    ]
    return WhyView(
        subject=facts.name,
        sentence=f"{sentence}.",
        conditions=conditions,
        facts=facts.facts,
        next_action=action,
    )


def _condition(name: str, value: str, limit: str, passed: bool, reason: str) -> Condition:
    return Condition(name=name, value=value, limit=limit, passed=passed, reason=reason)


def _host_cause(facts: HostFacts) -> tuple[str, str]:
    name = facts.name
    if facts.blocked:
        action = f"compare the key on the host itself, then: ringrift-ctl hosts trust {name}"
        cause = facts.tunnel_reason or "it shows another host key than the pinned one"
        return f"{name} is blocked: {cause}", action
    if not facts.pinned and facts.state != "retired":
        why = f"{facts.reason}; " if facts.state == "unreachable" else ""
        return f"{name}: {why}no host key is pinned", f"ringrift-ctl hosts trust {name}"
    if facts.state == "new":
        return f"{name} is not provisioned", f"ringrift-ctl hosts provision {name}"
    if facts.state in ("unreachable", "quarantined") and not facts.provisioned:
        return (
            f"{name} could not be provisioned: {facts.reason}",
            f"mend that, then: ringrift-ctl hosts provision {name}",
        )
    if facts.state == "unreachable":
        return f"{name} cannot be reached: {facts.reason}", "it is tried again by itself"
    if facts.state in ("quarantined", "draining"):
        why = f": {facts.reason}" if facts.reason else ""
        return f"{name} is {facts.state}{why}", f"to end that: ringrift-ctl hosts resume {name}"
    if facts.state in ("retired", "provisioning"):
        return f"{name} is {facts.state}", "nothing" if facts.state == "retired" else "wait for its steps"
    if facts.health in ("down", "unknown"):
        return (
            f"the agent of {name} is silent ({age_text(facts.beat_age)})",
            "it is restarted over SSH",
        )
    if facts.running == 0:
        idle = facts.idle_reason or "it has not asked yet"
        return f"{name} has no work: {idle}", "it asks again by itself"
    return f"{name} works on {facts.running} of {facts.slots} slots", "nothing"


@dataclass(frozen=True)
class TargetFacts:
    """An inference target: what it should serve and what it said, config -> model hash."""

    name: str
    state: str
    checked_age: float | None
    wanted: dict[str, str]
    serving: dict[str, str]
    issues: list[str]
    facts: list[str] = field(default_factory=list)


def why_target(facts: TargetFacts) -> WhyView:
    """Return the answer to `why TARGET`."""
    conditions = [
        _condition(
            config,
            facts.serving.get(config, "nothing")[:12],
            model[:12],
            facts.serving.get(config) == model,
            "what the newest deployment ordered",
        )
        for config, model in sorted(facts.wanted.items())
    ]
    issue = f": {facts.issues[0]}" if facts.issues else ""
    sentences = {
        "new": (f"nothing was deployed to {facts.name} yet", f"ringrift-ctl deploy-inference {facts.name}"),
        "serving": (f"{facts.name} serves what it should", "nothing"),
        "drifted": (f"{facts.name} serves something else than ordered{issue}", "deploy again"),
        "unhealthy": (
            f"{facts.name} says that it is not healthy{issue}",
            "mend that, then deploy again",
        ),
        "unreachable": (f"{facts.name} could not be asked{issue}", "it is asked again by itself"),
    }
    sentence, action = sentences.get(facts.state, (f"{facts.name} is {facts.state}", "it is asked again"))
    age = f"last asked {age_text(facts.checked_age)} ago" if facts.checked_age is not None else "never asked"
    return WhyView(
        subject=facts.name,
        sentence=f"{sentence}.",
        conditions=conditions,
        facts=[age, *facts.issues, *facts.facts],
        next_action=action,
    )


@dataclass(frozen=True)
class JobFacts:
    """A job, with the reason why nobody has it while it waits.

    `failures` and `crashes` (by host) are of the tries since the last retry; `obstacles` tells for each live
    host why it does not take the job, empty when it only has to ask; `pause` is seconds until it may.
    """

    id: str
    kind: str
    config: str
    state: str
    reason: str
    failures: int
    crashes: dict[str, int]
    attempts_limit: int
    done: int
    total: int
    host: str | None
    able: frozenset[str]
    obstacles: dict[str, str] = field(default_factory=dict)
    pause: float = 0.0
    log_tail: str = ""


def why_job(facts: JobFacts) -> WhyView:
    """Return the answer to `why JOB`."""
    retry = f"mend the cause, then: ringrift-ctl jobs retry {facts.id}"
    crashes = sum(facts.crashes.values())
    where = ", ".join(f"{count} on {host}" for host, count in sorted(facts.crashes.items()))
    sentence, action = {
        "queued": (f"{facts.id} is queued: {_why_waiting(facts)}", "an agent leases it"),
        "leased": (f"{facts.id} runs on {facts.host or 'an agent'}", "its results come in one by one"),
        "succeeded": (f"{facts.id} is done", "nothing"),
        "cancelled": (f"{facts.id} was cancelled: {facts.reason}", "nothing"),
        "failed": (f"{facts.id} failed {facts.failures} times: {facts.reason}", retry),
        "quarantined": (f"{facts.id} was given up after {crashes} crashes ({where}): {facts.reason}", retry),
    }[facts.state]
    limit = facts.attempts_limit
    conditions = [
        _condition("failures", str(facts.failures), f"< {limit}", facts.failures < limit, facts.reason),
        _condition(
            "crashes",
            where or "0",
            f"< {limit}, or on one host only",
            crashes < limit or len(facts.crashes) < 2,
            "work that crashes on two hosts is at fault itself",
        ),
    ]
    units = f"{facts.done} of {facts.total} units have receipts"
    hosts = [f"{host}: {reason or 'may take it'}" for host, reason in sorted(facts.obstacles.items())]
    log = [line for line in facts.log_tail.splitlines()[-10:] if line.strip()]
    return WhyView(
        subject=facts.id,
        sentence=f"{sentence}.",
        conditions=conditions,
        facts=[f"{facts.kind} of {facts.config}", units, *hosts[:_HOSTS], *log],
        next_action=action,
    )


def _why_waiting(facts: JobFacts) -> str:
    if facts.kind not in facts.able:
        return f"no live agent takes {facts.kind} jobs"
    if facts.pause:
        return f"it is tried again in {age_text(facts.pause)}"
    free = [host for host, reason in facts.obstacles.items() if not reason]
    if free or not facts.obstacles:
        return "it waits for an agent with a free slot"
    reasons = Counter(facts.obstacles.values()).most_common(1)
    return f"{reasons[0][0]} (so on {reasons[0][1]} of {len(facts.obstacles)} live hosts)"
