"""How tries of jobs ended, and on which hosts; a host on which different jobs crash is quarantined."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from sqlalchemy import func
from sqlalchemy.orm import defer
from sqlmodel import Session, col, select

from ringrift.control.domain.poison import Tries, host_fault, never_began
from ringrift.control.domain.states import HOST
from ringrift.control.settings import AgentSettings
from ringrift.control.store import fleet
from ringrift.control.store.clock import now
from ringrift.control.store.tables import Agent, Assignment, HostStateRow, Job

_DAY = 86_400.0


def tries_of(session: Session, jobs: Sequence[Job], settings: AgentSettings) -> dict[str, Tries]:
    """Return how the tries of jobs ended since their last retry; jobs without a bad end are left out.

    A try that vanished counts until its agent is heard again and turns out never to have begun it.
    """
    since = {job.id: job.retried_epoch for job in jobs}
    session.flush()
    rows = session.exec(
        select(Assignment, Agent)
        .join(Agent, col(Agent.id) == col(Assignment.agent))
        .where(col(Assignment.job).in_(since), col(Assignment.state).in_(("failed", "expired")))
        .options(defer(Assignment.log_tail), defer(Agent.telemetry))  # type: ignore[arg-type]
    ).all()
    failures: Counter[str] = Counter()
    crashes: dict[str, Counter[str]] = {}
    for row, agent in rows:
        if row.epoch <= since[row.job]:
            continue
        if row.state == "failed" and not row.crashed:
            failures[row.job] += 1
        elif row.crashed and (row.state == "failed" or not unbegun(row, agent, settings)):
            crashes.setdefault(row.job, Counter())[agent.host] += 1
    return {job: Tries(failures[job], crashes.get(job, {})) for job in {*failures, *crashes}}


def unbegun(row: Assignment, agent: Agent, settings: AgentSettings) -> bool:
    """Tell whether an agent is known never to have begun a try that was handed to it."""
    return never_began(
        named=row.begun,
        same_start=agent.incarnation == row.incarnation,
        heard=(agent.beat_at or 0.0) - row.began_at,
        beat_seconds=settings.beat_seconds,
    )


def last_words(session: Session, job: Job) -> str:
    """Return the newest log tail of a job's tries; empty when none left one."""
    query = select(Assignment.log_tail).where(Assignment.job == job.id, Assignment.log_tail != "")
    return session.exec(query.order_by(col(Assignment.epoch).desc()).limit(1)).first() or ""


def note_crash(session: Session, name: str, limit: int) -> None:
    """Quarantine a host on which too many different jobs crashed in a day, and since its last quarantine."""
    host = fleet.get_host(session, name)
    if "quarantined" not in HOST[host.state] or host.state == "quarantined":
        return
    last = select(func.max(HostStateRow.at)).where(
        HostStateRow.host == name, HostStateRow.state == "quarantined"
    )
    since = max(now(session) - _DAY, session.exec(last).one() or 0.0)
    crashed = select(Assignment.job, Agent.host).join(Agent, col(Agent.id) == col(Assignment.agent))
    crashed = crashed.where(col(Assignment.crashed).is_(True), col(Assignment.ended_at) > since)
    here = select(Assignment.job).join(Agent, col(Agent.id) == col(Assignment.agent))
    here = here.where(Agent.host == name, col(Assignment.crashed).is_(True), Assignment.state == "failed")
    hosts: dict[str, set[str]] = {}
    for job, where in session.exec(crashed.where(col(Assignment.job).in_(here))).all():
        hosts.setdefault(job, set()).add(where)
    reason = host_fault({job: frozenset(names) for job, names in hosts.items()}, name, limit)
    if reason:
        fleet.set_state(session, host, "quarantined", reason)
