"""What agents ask: work, and its end. Each is one unit of work."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sqlalchemy import func
from sqlmodel import Session, col, select

from ringrift.control.domain.leases import Asking, FleetLoad, LiveAgent, Waiting, decide_lease
from ringrift.control.settings import AgentSettings, Settings
from ringrift.control.store import jobs
from ringrift.control.store.beats import get_agent, held
from ringrift.control.store.clock import now
from ringrift.control.store.fleet import get_host
from ringrift.control.store.ids import new_id
from ringrift.control.store.tables import Agent, Assignment, Host, Job
from ringrift.protocol import agent as wire
from ringrift.protocol.agent import (
    FinishReply,
    FinishRequest,
    LeaseReply,
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


def lease(session: Session, agent_id: str, kinds: Sequence[str], settings: Settings) -> LeaseReply:
    """Hand out the best job for an agent, or say why there is none."""
    agent = get_agent(session, agent_id)
    agent.kinds = sorted(set(kinds))
    load = fleet_load(session, settings.agents)
    decision = decide_lease(
        _asking(session, agent),
        load,
        waiting_jobs(session),
        reserve=settings.selfplay.reserve,
        patience=settings.agents.patience_seconds,
    )
    agent.idle_reason = decision.reason
    session.add(agent)
    if decision.job is None:
        return LeaseReply(retry_seconds=settings.agents.idle_seconds, reason=decision.reason)
    return LeaseReply(assignment=_assign(session, agent, jobs.get_job(session, decision.job), settings))


def _asking(session: Session, agent: Agent) -> Asking:
    host = get_host(session, agent.host)
    held = select(func.count()).where(Assignment.agent == agent.id, Assignment.state == "running")
    return Asking(
        id=agent.id,
        slots=host.slots,
        kinds=frozenset(agent.kinds),
        running=session.exec(held).one(),
        refusal=_REFUSING.get(host.state, ""),
    )


def _assign(session: Session, agent: Agent, job: Job, settings: Settings) -> wire.Assignment:
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
    )
    session.add(assignment)
    jobs.set_job(session, job, "leased", "", actor=agent.id)
    return wire.Assignment(
        assignment=assignment.id,
        job=job.id,
        epoch=job.epoch,
        spec=job.spec,
        done=jobs.results_of(session, job.id),
        lease_seconds=settings.agents.lease_seconds,
        deadline_seconds=deadline,
        memory_limit=settings.agents.memory_limit or None,
    )


def fleet_load(session: Session, settings: AgentSettings) -> FleetLoad:
    """Return the agents that take work and what runs now."""
    fresh = now(session) - settings.down_seconds
    live = session.exec(
        select(Agent, Host)
        .join(Host, col(Host.name) == col(Agent.host))
        .where(col(Agent.revoked_at).is_(None), col(Agent.beat_at) >= fresh)
        .where(col(Host.state).not_in(_REFUSING))
    ).all()
    running = session.exec(
        select(Job.kind, Job.config, func.count())
        .join(Assignment, col(Assignment.job) == col(Job.id))
        .where(Assignment.state == "running")
        .group_by(col(Job.kind), col(Job.config))
    ).all()
    counts: Mapping[tuple[str, str], int] = {(kind, config): count for kind, config, count in running}
    agents = tuple(LiveAgent(agent.id, host.slots, frozenset(agent.kinds)) for agent, host in live)
    return FleetLoad(agents, counts)


def waiting_jobs(session: Session) -> list[Waiting]:
    """Return the oldest jobs of each kind that may be handed out now."""
    time = now(session)
    found: list[Waiting] = []
    for kind in JobKind:
        query = (
            select(Job)
            .where(Job.kind == kind.value, Job.state == "queued", Job.not_before <= time)
            .order_by(col(Job.created_at), col(Job.id))
            .limit(_CONSIDERED)
        )
        for job in session.exec(query).all():
            found.append(Waiting(job.id, job.kind, job.config, time - job.created_at, job.avoid))
    return found


def finish(session: Session, agent_id: str, request: FinishRequest, settings: AgentSettings) -> FinishReply:
    """Close an assignment. A success without all of its results is a failure, not a success.

    Asking again gives the same answer; a superseded assignment changes nothing and is not accepted.
    """
    assignment = held(session, agent_id, request.assignment, request.epoch)
    if assignment is None:
        closed = session.get(Assignment, request.assignment)
        repeated = closed is not None and closed.agent == agent_id and closed.state == request.outcome
        return FinishReply(accepted=repeated)
    assignment.exit_code, assignment.log_tail = request.exit_code, request.log_tail
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
    return FinishReply(accepted=True)
