"""What agents say: that they live, how far they are. Each beat is one unit of work."""

from __future__ import annotations

from sqlmodel import Session, select

from ringrift.control.settings import AgentSettings
from ringrift.control.store import jobs
from ringrift.control.store.clock import now
from ringrift.control.store.events import record
from ringrift.control.store.fleet import get_host
from ringrift.control.store.tables import Agent, Assignment
from ringrift.errors import NotFound
from ringrift.protocol.agent import BeatReply, BeatRequest, Progress, Standing


def get_agent(session: Session, agent_id: str) -> Agent:
    """Return an agent; `NotFound` for an unknown id."""
    agent = session.get(Agent, agent_id)
    if agent is None:
        raise NotFound(f"no agent {agent_id!r}")
    return agent


def beat(session: Session, agent_id: str, request: BeatRequest, settings: AgentSettings) -> BeatReply:
    """Take a heartbeat: telemetry and progress in, the standing of each running assignment out.

    Assignments of an earlier start of the agent that this start does not know any more are given up at once.
    """
    agent, time = get_agent(session, agent_id), now(session)
    host = get_host(session, agent.host)
    _note_incarnation(session, agent, request, settings)
    agent.beat_at, agent.version, agent.release = time, request.version, request.release
    agent.telemetry, agent.spooled = request.telemetry.model_dump(), request.spooled
    session.add(agent)
    if host.restarts or host.restarted_at is not None:
        host.restarts, host.restarted_at = 0, None
        session.add(host)
    standing = [_standing(session, agent, item, time + settings.lease_seconds) for item in request.running]
    return BeatReply(
        standing=standing,
        next_beat_seconds=settings.beat_seconds,
        stop=host.state in ("draining", "quarantined", "retired"),
    )


def _note_incarnation(session: Session, agent: Agent, request: BeatRequest, settings: AgentSettings) -> None:
    if agent.incarnation == request.incarnation:
        return
    record(session, agent.id, "agent.started", agent.host, release=request.release, version=request.version)
    agent.incarnation = request.incarnation
    kept = {item.assignment for item in request.running}
    query = select(Assignment).where(Assignment.agent == agent.id, Assignment.state == "running")
    for assignment in session.exec(query).all():
        if assignment.id in kept:
            assignment.incarnation = request.incarnation
            session.add(assignment)
        elif assignment.incarnation != request.incarnation:
            jobs.end_badly(session, assignment, "expired", "the agent was started anew", settings)


def _standing(session: Session, agent: Agent, item: Progress, expires_at: float) -> Standing:
    assignment = held(session, agent.id, item.assignment, item.epoch)
    if assignment is not None:
        assignment.expires_at = max(assignment.expires_at, expires_at)
        assignment.done, assignment.amount = item.done, item.total
        assignment.unit, assignment.rate = item.unit[:40], item.rate
        session.add(assignment)
    return Standing(assignment=item.assignment, epoch=item.epoch, alive=assignment is not None)


def held(session: Session, agent_id: str, assignment_id: str, epoch: int) -> Assignment | None:
    """Return the assignment if this agent holds it now: running, and of the job's newest epoch (P3)."""
    assignment = session.get(Assignment, assignment_id)
    if assignment is None or assignment.agent != agent_id or assignment.state != "running":
        return None
    job = jobs.get_job(session, assignment.job)
    return assignment if job.epoch == assignment.epoch == epoch else None
