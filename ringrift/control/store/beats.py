"""What agents say: that they live, how far they are. Beats that arrive together are one unit of work."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from sqlalchemy import CursorResult, Row
from sqlmodel import Session, select

from ringrift.control.settings import AgentSettings
from ringrift.control.store import jobs, throughput
from ringrift.control.store.clock import now_sql
from ringrift.control.store.events import record
from ringrift.control.store.tables import Agent, Assignment
from ringrift.errors import AccessRefused, NotFound, RingRiftError
from ringrift.protocol.agent import BeatReply, BeatRequest, Progress, Rate, Standing

STOPPING = ("draining", "quarantined", "retired")
"""Host states in which its agent finishes what runs and takes nothing new."""

# Past SQLAlchemy's expressions a beat costs half; `?` is the mark of a parameter on every database (`_run`).
_AGENTS = """SELECT agent.id, agent.revoked_at, agent.incarnation, host.name, host.state, host.restarts,
host.restarted_at, {now} FROM agent JOIN host ON host.name = agent.host WHERE agent.id {named}"""
_ASSIGNMENTS = """SELECT a.id, a.agent, a.state, a.epoch, a.expires_at, job.epoch AS newest
FROM assignment AS a JOIN job ON job.id = a.job WHERE a.id {named}"""
_NOTE_AGENT = """UPDATE agent SET beat_at = ?, version = ?, "release" = ?, telemetry = ?, spooled = ?,
config_hash = ?, numeric_class = ?, refusal = ? WHERE id = ?"""
_NOTE_PROGRESS = "UPDATE assignment SET expires_at = ?, done = ?, amount = ?, unit = ?, rate = ? WHERE id = ?"
_CALM = "UPDATE host SET restarts = 0, restarted_at = NULL WHERE name = ?"


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
    known = {row[0]: row for row in _named(session, _AGENTS, [agent for agent, _ in given])}
    time = next(iter(known.values())).time if known else 0.0
    for agent, request in given:
        row = known.get(agent)
        if row is not None and row.revoked_at is None and row.incarnation != request.incarnation:
            _note_start(session, get_agent(session, agent), request, settings)
    held = {
        row[0]: row
        for row in _named(
            session, _ASSIGNMENTS, [item.assignment for _, told in given for item in told.running]
        )
    }
    beaten: list[tuple[Any, ...]] = []
    progress: dict[str, tuple[Any, ...]] = {}
    calm: list[tuple[str]] = []
    rates: dict[str, list[Rate]] = {}
    answers: list[BeatReply | RingRiftError] = []
    for agent, request in given:
        row = known.get(agent)
        if row is None or row.revoked_at is not None:
            answers.append(AccessRefused("unknown agent", hint="provision its host again to enrol it"))
            continue
        beaten.append(_agent_values(agent, request, time))
        if row.restarts or row.restarted_at is not None:
            calm.append((row.name,))
        if request.rates:
            rates[row.name] = request.rates
        standing = [
            _standing(agent, item, held.get(item.assignment), time + settings.lease_seconds, progress)
            for item in request.running
        ]
        stop = row.state in STOPPING
        answers.append(BeatReply(standing=standing, next_beat_seconds=settings.beat_seconds, stop=stop))
    for statement, rows in ((_NOTE_AGENT, beaten), (_NOTE_PROGRESS, list(progress.values())), (_CALM, calm)):
        if rows:
            _run(session, statement, rows)
    throughput.take_rates(session, rates, time)
    return answers


def _run(session: Session, statement: str, parameters: Any) -> CursorResult[Any]:
    connection = session.connection()
    text = statement if connection.dialect.paramstyle == "qmark" else statement.replace("?", "%s")
    return connection.exec_driver_sql(text, parameters)


def _named(session: Session, statement: str, names: list[str]) -> Sequence[Row[Any]]:
    """Return the rows of these names, which are one parameter: any number of them is the same statement."""
    if not names:
        return []
    dialect = session.connection().dialect.name
    many = "IN (SELECT value FROM json_each(?))" if dialect == "sqlite" else "= ANY(?)"
    text = statement.format(named=many, now=f"{now_sql(dialect)} AS time")
    return _run(session, text, (json.dumps(names) if dialect == "sqlite" else names,)).all()


def _agent_values(agent: str, request: BeatRequest, time: float) -> tuple[Any, ...]:
    telemetry = request.telemetry.model_dump_json()
    told = (request.version, request.release, telemetry, request.spooled, request.config_hash)
    return (time, *told, request.numeric_class, request.idle, agent)


def _note_start(session: Session, agent: Agent, request: BeatRequest, settings: AgentSettings) -> None:
    record(session, agent.id, "agent.started", agent.host, release=request.release, version=request.version)
    agent.incarnation = request.incarnation
    session.add(agent)
    kept = {item.assignment for item in request.running}
    query = select(Assignment).where(Assignment.agent == agent.id, Assignment.state == "running")
    for assignment in session.exec(query).all():
        if assignment.id in kept:
            assignment.incarnation = request.incarnation
            session.add(assignment)
        elif assignment.incarnation != request.incarnation:
            jobs.end_badly(session, assignment, "expired", "the agent was started anew", settings)
    session.flush()


def _standing(
    agent: str, item: Progress, row: Row[Any] | None, expires_at: float, progress: dict[str, tuple[Any, ...]]
) -> Standing:
    """Answer for one assignment, and add what its row is to hold from now on to `progress`."""
    alive = row is not None and _is_held(row, agent, item.epoch)
    if row is not None and alive:
        until = max(row.expires_at, expires_at)
        name = item.assignment
        progress[name] = until, item.done, item.total, item.unit[:40], item.rate, name
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
