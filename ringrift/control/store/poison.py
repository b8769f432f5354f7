"""How tries of jobs ended, and on which hosts; a host on which different jobs crash is quarantined."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from sqlalchemy import func
from sqlmodel import Session, col, select

from ringrift.control.domain.poison import Tries, host_fault
from ringrift.control.domain.states import HOST
from ringrift.control.store import fleet
from ringrift.control.store.clock import now
from ringrift.control.store.tables import Agent, Assignment, HostStateRow, Job

_DAY = 86_400.0


def tries_of(session: Session, jobs: Sequence[Job]) -> dict[str, Tries]:
    """Return how the tries of jobs ended since their last retry; jobs without a bad end are left out."""
    since = {job.id: job.retried_epoch for job in jobs}
    session.flush()
    rows = session.exec(
        select(Assignment.job, Assignment.epoch, Assignment.state, Assignment.crashed, Agent.host)
        .join(Agent, col(Agent.id) == col(Assignment.agent))
        .where(col(Assignment.job).in_(since), col(Assignment.state).in_(("failed", "expired")))
    ).all()
    failures: Counter[str] = Counter()
    crashes: dict[str, Counter[str]] = {}
    for job, epoch, state, crashed, host in rows:
        if epoch <= since[job]:
            continue
        if crashed:
            crashes.setdefault(job, Counter())[host] += 1
        elif state == "failed":
            failures[job] += 1
    return {job: Tries(failures[job], crashes.get(job, {})) for job in {*failures, *crashes}}


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
