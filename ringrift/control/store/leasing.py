"""What agents ask: work, and its end. Each is one unit of work."""

from __future__ import annotations

import hashlib
import secrets
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import func
from sqlalchemy.orm import defer
from sqlmodel import Session, col, select

from ringrift.control.domain.leases import (
    Capacity,
    FleetLoad,
    LiveAgent,
    Waiting,
    decide_lease,
)
from ringrift.control.domain.needs import Needs
from ringrift.control.domain.poison import shunned_hosts
from ringrift.control.settings import AgentSettings, Settings
from ringrift.control.store import jobs, poison, shares, throughput
from ringrift.control.store.beats import get_agent, held
from ringrift.control.store.clock import now
from ringrift.control.store.credentials import require_credential
from ringrift.control.store.fleet import get_host
from ringrift.control.store.ids import new_id
from ringrift.control.store.tables import Agent, Assignment, Host, Job, Throughput
from ringrift.protocol import agent as wire
from ringrift.protocol.agent import (
    FinishReply,
    FinishRequest,
    LeaseReply,
    LeaseRequest,
)
from ringrift.protocol.jobs import JobKind

_CONSIDERED = 200
"""Oldest waiting jobs of each kind that a decision looks at."""

_REFUSING = {
    "new": "the host is not provisioned",
    "provisioning": "the host is being provisioned",
    "draining": "the host is draining",
    "quarantined": "the host is quarantined",
    "retired": "the host is retired",
}


def lease(session: Session, agent_id: str, wish: LeaseRequest, settings: Settings) -> LeaseReply:
    """Hand out the best job for an agent, or say why there is none."""
    agent = get_agent(session, agent_id)
    agent.kinds = sorted(set(wish.kinds))
    host = get_host(session, agent.host)
    asking = _live(agent, host, _held(session, agent.id).get(agent.id, []))
    refusal = _REFUSING.get(host.state, "")
    open_for_work = not refusal and asking.running < asking.slots
    # The fleet is looked at only when something can be handed out: most questions are asked in vain.
    waiting = waiting_jobs(session, settings.agents) if open_for_work else []
    load = fleet_load(session, settings.agents) if waiting else FleetLoad()
    asking = next((item for item in load.agents if item.host == asking.host), asking)
    decision = decide_lease(asking, load, waiting, shares.rules(session, settings), refusal)
    agent.idle_reason = decision.reason
    session.add(agent)
    if decision.job is None:
        return LeaseReply(retry_seconds=settings.agents.idle_seconds, reason=decision.reason)
    credential = secrets.token_urlsafe(24) if wish.credentials else ""
    job = jobs.get_job(session, decision.job)
    return LeaseReply(assignment=_assign(session, agent, job, settings, credential))


def _assign(session: Session, agent: Agent, job: Job, settings: Settings, credential: str) -> wire.Assignment:
    time = now(session)
    deadline = getattr(settings.deadlines, job.kind)
    job.epoch += 1
    assignment = Assignment(
        id=new_id("try"),
        job=job.id,
        agent=agent.id,
        epoch=job.epoch,
        incarnation=agent.incarnation,
        state="running",
        began_at=time,
        expires_at=time + settings.agents.lease_seconds,
        deadline_at=time + deadline,
        credential=hashlib.sha256(credential.encode()).hexdigest() if credential else "",
    )
    session.add(assignment)
    jobs.set_job(session, job, "leased", "", actor=agent.id)
    shares.note_lease(session, job)
    return wire.Assignment(
        assignment=assignment.id,
        job=job.id,
        epoch=job.epoch,
        spec=job.spec,
        done=jobs.results_of(session, job.id),
        lease_seconds=settings.agents.lease_seconds,
        deadline_seconds=deadline,
        memory_limit=getattr(settings.memory, job.kind) or None,
        disk_limit=getattr(settings.disk, job.kind) or None,
        credential=credential,
    )


def fleet_load(session: Session, settings: AgentSettings) -> FleetLoad:
    """Return the agents that take work, what runs now, and what ran of late."""
    session.flush()
    fresh = now(session) - settings.down_seconds
    live = session.exec(
        select(Agent, Host)
        .join(Host, col(Host.name) == col(Agent.host))
        .where(col(Agent.revoked_at).is_(None), col(Agent.beat_at) >= fresh)
        .where(col(Host.state).not_in(_REFUSING))
    ).all()
    running = _held(session)
    rates: dict[str, dict[tuple[str, str], float]] = {}
    for row in session.exec(select(Throughput)).all():
        rates.setdefault(row.host, {})[row.kind, row.config] = row.per_hour
    return FleetLoad(
        tuple(
            _live(agent, host, running.get(agent.id, []), rates.get(host.name, {})) for agent, host in live
        ),
        Counter((kind, config) for rows in running.values() for kind, config, _ in rows),
        shares.recent_use(session),
        shares.unserved(session),
    )


def free_slots(session: Session, settings: AgentSettings) -> int:
    """Return how many more assignments the agents that take work could run now."""
    fresh = now(session) - settings.down_seconds
    takes = (col(Agent.revoked_at).is_(None), col(Agent.beat_at) >= fresh, col(Host.state).not_in(_REFUSING))
    slots = select(func.coalesce(func.sum(Host.slots), 0)).join(Agent, col(Agent.host) == col(Host.name))
    running = (
        select(func.count(col(Assignment.id)))
        .join(Agent, col(Agent.id) == col(Assignment.agent))
        .join(Host, col(Host.name) == col(Agent.host))
        .where(Assignment.state == "running")
    )
    return int(session.exec(slots.where(*takes)).one()) - session.exec(running.where(*takes)).one()


def _held(session: Session, agent: str | None = None) -> dict[str, list[tuple[str, str, Needs]]]:
    """Return (kind, config, needs) of the running assignments of each agent, or of one."""
    query = select(Assignment.agent, Job.kind, Job.config, Job.needs).where(Assignment.state == "running")
    query = query.join(Job, col(Job.id) == col(Assignment.job))
    if agent is not None:
        query = query.where(Assignment.agent == agent)
    held: dict[str, list[tuple[str, str, Needs]]] = {}
    for owner, kind, config, needs in session.exec(query).all():
        held.setdefault(owner, []).append((kind, config, _needs(needs)))
    return held


def _needs(document: Mapping[str, Any]) -> Needs:
    return Needs(document.get("ram_gb", 0.0), document.get("vram_gb", 0.0))


def _live(
    agent: Agent,
    host: Host,
    running: Sequence[tuple[str, str, Needs]],
    rates: Mapping[tuple[str, str], float] | None = None,
) -> LiveAgent:
    needs = [needed for _, _, needed in running]
    return LiveAgent(
        host=host.name,
        slots=host.slots,
        kinds=frozenset(agent.kinds),
        running=len(running),
        spot=host.spot,
        numeric_class=agent.numeric_class,
        capacity=capacity_of(host, agent.telemetry or {}),
        held=Needs(sum(need.ram_gb for need in needs), sum(need.vram_gb for need in needs)),
        rates=rates or {},
    )


def capacity_of(host: Host, telemetry: Mapping[str, Any]) -> Capacity:
    """Return what a host has: as its agent measured it, else as it was declared, else unknown."""
    ram, vram = telemetry.get("memory_total"), telemetry.get("gpu_memory_total")
    return Capacity(
        ram_gb=ram / 1e9 if ram else host.ram_gb or None,
        vram_gb=vram / 1e9 if vram else host.vram_gb or None,
        gpus=max(host.gpu_count, 1),
    )


def waiting_jobs(session: Session, settings: AgentSettings) -> list[Waiting]:
    """Return the oldest jobs of each kind that may be handed out now."""
    time = now(session)
    found: list[Job] = []
    for kind in JobKind:
        query = (
            select(Job)
            .where(Job.kind == kind.value, Job.state == "queued", Job.not_before <= time)
            .options(defer(Job.spec))  # type: ignore[arg-type]  # a training names thousands of shards
            .order_by(col(Job.created_at), col(Job.id))
            .limit(_CONSIDERED)
        )
        found.extend(session.exec(query).all())
    return as_waiting(session, found, settings)


def as_waiting(session: Session, queued: Sequence[Job], settings: AgentSettings) -> list[Waiting]:
    """Return jobs as a decision looks at them, with the hosts that they avoid."""
    time = now(session)
    retried = [job for job in queued if job.attempts]
    tried = poison.tries_of(session, retried, settings) if retried else {}
    avoided = {job.avoid for job in queued if job.avoid}
    rows = (
        session.exec(select(Agent.id, Agent.host).where(col(Agent.id).in_(avoided))).all() if avoided else []
    )
    hosts = dict(rows)
    return [
        Waiting(
            id=job.id,
            kind=job.kind,
            config=job.config,
            waited=time - max(job.changed_at, job.not_before),
            avoid=frozenset({hosts[job.avoid]} if job.avoid in hosts else ())
            | frozenset(tried[job.id].crashes if job.id in tried else ()),
            never=frozenset(job.needs.get("never", ()))
            | (shunned_hosts(tried[job.id], settings.attempts) if job.id in tried else frozenset()),
            numeric_class=job.needs.get("numeric_class", ""),
            needs=_needs(job.needs),
        )
        for job in queued
    ]


def finish(session: Session, agent_id: str, request: FinishRequest, settings: AgentSettings) -> FinishReply:
    """Close an assignment. A success without all of its results is a failure, not a success.

    Asking again gives the same answer; a superseded assignment changes nothing and is not accepted.
    Raises `AccessRefused` for an agent whose key was revoked.
    """
    host = get_agent(session, agent_id).host
    assignment = held(session, agent_id, request.assignment, request.epoch)
    if assignment is None:
        closed = session.get(Assignment, request.assignment)
        repeated = closed is not None and closed.agent == agent_id and closed.state == request.outcome
        return FinishReply(accepted=repeated)
    require_credential(assignment.credential, request.credential, assignment.id)
    assignment.exit_code, assignment.log_tail = request.exit_code, request.log_tail
    assignment.crashed = request.outcome == "failed" and request.crashed
    job = jobs.get_job(session, assignment.job)
    missing = job.total - len(jobs.results_of(session, job.id))
    if request.outcome == "failed":
        jobs.end_badly(session, assignment, "failed", request.reason or "failed without a reason", settings)
    elif missing:
        reason = f"reported success, but {missing} of {job.total} results are missing"
        jobs.end_badly(session, assignment, "failed", reason, settings)
    else:
        jobs.end_assignment(session, assignment, "succeeded", "")
        jobs.set_job(session, job, "succeeded", "", actor=agent_id)
        throughput.note(session, host, job, assignment)
    return FinishReply(accepted=True)
