"""What agents say: that they live, how far they are. Beats that arrive together are one unit of work."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlmodel import Session, col, select

from ringrift.control.settings import AgentSettings
from ringrift.control.store import jobs, throughput
from ringrift.control.store.clock import now_sql
from ringrift.control.store.events import record
from ringrift.control.store.fixed import rows, run
from ringrift.control.store.tables import Agent, Assignment
from ringrift.errors import AccessRefused, NotFound, RingRiftError
from ringrift.protocol.agent import BeatReply, BeatRequest, Progress, Rate, Standing

STOPPING = ("draining", "quarantined", "retired")
"""Host states in which its agent finishes what runs and takes nothing new."""

_COUNT = "SELECT COUNT(*) FROM agent WHERE revoked_at IS NULL"
_ACCESS = "SELECT revoked_at IS NULL FROM agent WHERE id = ?"
_AGENTS = """SELECT agent.id, agent.revoked_at IS NULL, agent.incarnation, host.name, host.state,
host.restarts > 0 OR host.restarted_at IS NOT NULL, {now}
FROM agent JOIN host ON host.name = agent.host WHERE agent.id {named}"""
_ASSIGNMENTS = """SELECT a.id, a.agent, a.state, a.epoch, job.epoch, a.expires_at
FROM assignment AS a JOIN job ON job.id = a.job WHERE a.id {named}"""
_NOTE_AGENT = """UPDATE agent SET beat_at = ?, version = ?, "release" = ?, telemetry = ?, spooled = ?,
config_hash = ?, numeric_class = ?, refusal = ? WHERE id = ?"""
_NOTE_PROGRESS = """UPDATE assignment SET begun = TRUE, expires_at = ?, done = ?, amount = ?, unit = ?,
rate = ? WHERE id = ?"""
_CALM = "UPDATE host SET restarts = 0, restarted_at = NULL, unanswered = 0 WHERE name = ?"
_UNKNOWN = (False, "", "", "", False, 0.0)


def get_agent(session: Session, agent_id: str) -> Agent:
    """Return an agent that has access; `NotFound` for an unknown id, `AccessRefused` for a revoked one."""
    agent = session.get(Agent, agent_id)
    _require(agent_id, None if agent is None else agent.revoked_at is None)
    assert agent is not None
    return agent


def require_agent(session: Session, agent_id: str) -> None:
    """Raise what `get_agent` raises: for those who need nothing else of the agent, at a fifth of the cost."""
    row = run(session, _ACCESS, (agent_id,)).first()
    _require(agent_id, None if row is None else bool(row[0]))


def _require(agent_id: str, has_access: bool | None) -> None:
    if has_access is None:
        raise NotFound(f"no agent {agent_id!r}")
    if not has_access:
        raise AccessRefused("this agent's key is revoked", hint="provision its host again to enrol it")


def count_agents(session: Session) -> int:
    """Return how many agents may beat."""
    return int(run(session, _COUNT, ()).scalar_one())


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
    statement = _AGENTS.replace("{now}", now_sql(session.connection().dialect.name))
    known = {row[0]: row[1:] for row in rows(session, statement, [agent for agent, _ in given])}
    time = next(iter(known.values()))[-1] if known else 0.0
    for agent, request in given:
        has_access, incarnation = known.get(agent, (False, ""))[:2]
        if has_access and incarnation != request.incarnation:
            _note_start(session, get_agent(session, agent), request, settings)
    named = [item.assignment for _, told in given for item in told.running]
    held = {row[0]: row[1:] for row in rows(session, _ASSIGNMENTS, named)}
    beaten: list[tuple[Any, ...]] = []
    progress: dict[str, tuple[Any, ...]] = {}
    calm: list[tuple[str]] = []
    rates: dict[str, list[Rate]] = {}
    answers: list[BeatReply | RingRiftError] = []
    until = time + settings.lease_seconds
    for agent, request in given:
        has_access, _, host, state, restless, _ = known.get(agent, _UNKNOWN)
        if not has_access:
            answers.append(AccessRefused("unknown agent", hint="provision its host again to enrol it"))
            continue
        beaten.append(_agent_values(agent, request, time))
        if restless:
            calm.append((host,))
        if request.rates:
            rates[host] = request.rates
        standing = [
            _standing(agent, item, held.get(item.assignment), until, progress) for item in request.running
        ]
        stop = state in STOPPING
        answers.append(BeatReply(standing=standing, next_beat_seconds=settings.beat_seconds, stop=stop))
    for update, values in ((_NOTE_AGENT, beaten), (_NOTE_PROGRESS, list(progress.values())), (_CALM, calm)):
        if values:
            run(session, update, values)
    throughput.take_rates(session, rates, time)
    return answers


def _agent_values(agent: str, request: BeatRequest, time: float) -> tuple[Any, ...]:
    telemetry = request.telemetry.model_dump_json()
    told = (request.version, request.release, telemetry, request.spooled, request.config_hash)
    return (time, *told, request.numeric_class, request.idle, agent)


def _note_start(session: Session, agent: Agent, request: BeatRequest, settings: AgentSettings) -> None:
    record(session, agent.id, "agent.started", agent.host, release=request.release, version=request.version)
    agent.incarnation = request.incarnation
    session.add(agent)
    kept = {item.assignment for item in request.running}
    own = (Assignment.agent == agent.id, col(Assignment.id).in_(kept))
    session.execute(sa.update(Assignment).where(*own).values(begun=True))
    query = select(Assignment).where(Assignment.agent == agent.id, Assignment.state == "running")
    for assignment in session.exec(query).all():
        if assignment.id in kept:
            assignment.incarnation = request.incarnation
            session.add(assignment)
        elif assignment.incarnation != request.incarnation:
            jobs.end_badly(session, assignment, "expired", "the agent was started anew", settings)
    session.flush()


def _standing(
    agent: str,
    item: Progress,
    row: tuple[Any, ...] | None,
    until: float,
    progress: dict[str, tuple[Any, ...]],
) -> Standing:
    """Answer for one assignment, and add what its row is to hold from now on to `progress`."""
    name, epoch, alive = item.assignment, item.epoch, False
    if row is not None:
        owner, state, of_lease, newest, expires_at = row
        # Held: running, and of the job's newest epoch (P3).
        alive = owner == agent and state == "running" and newest == of_lease == epoch
        if alive:
            expires_at = max(expires_at, until)
            progress[name] = expires_at, item.done, item.total, item.unit[:40], item.rate, name
    return Standing(assignment=name, epoch=epoch, alive=alive)


def held(session: Session, agent_id: str, assignment_id: str, epoch: int) -> Assignment | None:
    """Return the assignment if this agent holds it now: running, and of the job's newest epoch (P3)."""
    assignment = session.get(Assignment, assignment_id)
    if assignment is None or assignment.agent != agent_id or assignment.state != "running":
        return None
    job = jobs.get_job(session, assignment.job)
    return assignment if job.epoch == assignment.epoch == epoch else None
