"""What agents say: that they live, how far they are. Beats that arrive together are one unit of work."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from sqlalchemy import Row, Table, bindparam, select, update
from sqlmodel import Session

from ringrift.control.settings import AgentSettings
from ringrift.control.store import jobs
from ringrift.control.store.clock import now
from ringrift.control.store.events import record
from ringrift.control.store.tables import Agent, Assignment, Host, Job
from ringrift.errors import AccessRefused, NotFound, RingRiftError
from ringrift.protocol.agent import BeatReply, BeatRequest, Progress, Standing

STOPPING = ("draining", "quarantined", "retired")
"""Host states in which its agent finishes what runs and takes nothing new."""

_agents, _assignments, _hosts, _jobs = (
    cast(Table, table.__table__)
    for table in (Agent, Assignment, Host, Job)
)
_AGENTS = (
    select(
        _agents.c["id", "revoked_at", "incarnation"],
        _hosts.c["name", "state", "restarts", "restarted_at"],
    )
    .join(_hosts, _hosts.c.name == _agents.c.host)
    .where(_agents.c.id.in_(bindparam("ids", expanding=True)))
)
_HELD = (
    select(_assignments.c["id", "agent", "state", "epoch", "expires_at"], _jobs.c.epoch.label("newest"))
    .join(_jobs, _jobs.c.id == _assignments.c.job)
    .where(_assignments.c.id.in_(bindparam("ids", expanding=True)))
)
_TOLD = ("beat_at", "version", "release", "telemetry", "spooled", "config_hash", "numeric_class", "refusal")
_NOTE_AGENT = (
    update(_agents)
    .where(_agents.c.id == bindparam("agent"))
    .values({name: bindparam(f"new_{name}") for name in _TOLD})
)
_NOTE_PROGRESS = (
    update(_assignments)
    .where(_assignments.c.id == bindparam("assignment"))
    .values({name: bindparam(f"new_{name}") for name in ("expires_at", "done", "amount", "unit", "rate")})
)
_CALM = update(_hosts).where(_hosts.c.name == bindparam("host")).values(restarts=0, restarted_at=None)


def get_agent(session: Session, agent_id: str) -> Agent:
    """Return an agent that has access; `NotFound` for an unknown id, `AccessRefused` for a revoked one."""
    agent = session.get(Agent, agent_id)
    if agent is None:
        raise NotFound(f"no agent {agent_id!r}")
    if agent.revoked_at is not None:
        raise AccessRefused("this agent's key is revoked", hint="provision its host again to enrol it")
    return agent


def beat(session: Session, agent_id: str, request: BeatRequest, settings: AgentSettings) -> BeatReply:
    """Take one heartbeat; raises what `take_beats` returns."""
    [answer] = take_beats(session, [(agent_id, request)], settings)
    if isinstance(answer, RingRiftError):
        raise answer
    return answer


def take_beats(
    session: Session, given: Sequence[tuple[str, BeatRequest]], settings: AgentSettings
) -> list[BeatReply | RingRiftError]:
    """Take heartbeats: telemetry and progress in, the standing of each running assignment out.

    All are answered in order, each as if it had come alone. Assignments of an earlier start of an agent that
    this start does not know any more are given up at once.
    """
    answers: list[BeatReply | RingRiftError] = []
    start = 0
    while start < len(given):
        # An agent that beats twice in one window is two rounds: the second sees what the first wrote.
        seen: set[str] = set()
        end = start
        while end < len(given) and given[end][0] not in seen:
            seen.add(given[end][0])
            end += 1
        answers.extend(_take_round(session, given[start:end], settings))
        start = end
    return answers


def _take_round(
    session: Session, given: Sequence[tuple[str, BeatRequest]], settings: AgentSettings
) -> list[BeatReply | RingRiftError]:
    time = now(session)
    known = {row[0]: row for row in session.execute(_AGENTS, {"ids": [agent for agent, _ in given]})}
    for agent, request in given:
        row = known.get(agent)
        if row is not None and row.revoked_at is None and row.incarnation != request.incarnation:
            _note_start(session, get_agent(session, agent), request, settings)
    named = [item.assignment for _, request in given for item in request.running]
    held = {row[0]: row for row in session.execute(_HELD, {"ids": named})} if named else {}
    beaten: list[dict[str, Any]] = []
    progress: dict[str, dict[str, Any]] = {}
    calm: list[dict[str, str]] = []
    answers: list[BeatReply | RingRiftError] = []
    for agent, request in given:
        row = known.get(agent)
        if row is None or row.revoked_at is not None:
            answers.append(AccessRefused("unknown agent", hint="provision its host again to enrol it"))
            continue
        beaten.append(_agent_values(agent, request, time))
        if row.restarts or row.restarted_at is not None:
            calm.append({"host": row.name})
        standing = [
            _standing(agent, item, held.get(item.assignment), time + settings.lease_seconds, progress)
            for item in request.running
        ]
        stop = row.state in STOPPING
        answers.append(BeatReply(standing=standing, next_beat_seconds=settings.beat_seconds, stop=stop))
    for statement, rows in ((_NOTE_AGENT, beaten), (_NOTE_PROGRESS, list(progress.values())), (_CALM, calm)):
        if rows:
            session.connection().execute(statement, rows)
    return answers


def _agent_values(agent: str, request: BeatRequest, time: float) -> dict[str, Any]:
    return {
        "agent": agent,
        "new_beat_at": time,
        "new_version": request.version,
        "new_release": request.release,
        "new_telemetry": vars(request.telemetry),
        "new_spooled": request.spooled,
        "new_config_hash": request.config_hash,
        "new_numeric_class": request.numeric_class,
        "new_refusal": request.idle,
    }


def _note_start(session: Session, agent: Agent, request: BeatRequest, settings: AgentSettings) -> None:
    record(session, agent.id, "agent.started", agent.host, release=request.release, version=request.version)
    agent.incarnation = request.incarnation
    session.add(agent)
    kept = {item.assignment for item in request.running}
    query = select(Assignment).where(Assignment.agent == agent.id, Assignment.state == "running")
    for assignment in session.scalars(query).all():
        if assignment.id in kept:
            assignment.incarnation = request.incarnation
            session.add(assignment)
        elif assignment.incarnation != request.incarnation:
            jobs.end_badly(session, assignment, "expired", "the agent was started anew", settings)
    session.flush()


def _standing(
    agent: str, item: Progress, row: Row[Any] | None, expires_at: float, progress: dict[str, dict[str, Any]]
) -> Standing:
    """Answer for one assignment, and add what its row is to hold from now on to `progress`."""
    alive = row is not None and _is_held(row, agent, item.epoch)
    if row is not None and alive:
        progress[item.assignment] = {
            "assignment": item.assignment,
            "new_expires_at": max(row.expires_at, expires_at),
            "new_done": item.done,
            "new_amount": item.total,
            "new_unit": item.unit[:40],
            "new_rate": item.rate,
        }
    return Standing(assignment=item.assignment, epoch=item.epoch, alive=alive)


def _is_held(row: Row[Any], agent: str, epoch: int) -> bool:
    """Tell whether `agent` holds this assignment now: running, and of the job's newest epoch (P3)."""
    return bool(row.agent == agent and row.state == "running" and row.newest == row.epoch == epoch)


def held(session: Session, agent_id: str, assignment_id: str, epoch: int) -> Assignment | None:
    """Return the assignment if this agent holds it now: running, and of the job's newest epoch (P3)."""
    assignment = session.get(Assignment, assignment_id)
    if assignment is None or assignment.agent != agent_id or assignment.state != "running":
        return None
    job = jobs.get_job(session, assignment.job)
    return assignment if job.epoch == assignment.epoch == epoch else None
