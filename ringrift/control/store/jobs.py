"""Jobs from wanted to done: queue, lease, heartbeat, finish, expiry."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import func
from sqlmodel import Session, col, select

from ringrift.control.domain.leases import EndedBadly, after_bad_end
from ringrift.control.domain.states import ASSIGNMENT, JOB, advance
from ringrift.control.settings import AgentSettings
from ringrift.control.store.clock import now
from ringrift.control.store.events import CONTROLLER, record
from ringrift.control.store.ids import new_id
from ringrift.control.store.tables import Assignment, Job, Result
from ringrift.errors import NotFound
from ringrift.protocol.jobs import EvaluateSpec, IngestSpec, JobSpec, RepeatSpec, TrainSpec, sequences

OPEN = ("queued", "leased")


def get_job(session: Session, job_id: str) -> Job:
    """Return a job; `NotFound` for an unknown id."""
    job = session.get(Job, job_id)
    if job is None:
        raise NotFound(f"no job {job_id!r}", hint="`ringrift-ctl jobs list` shows the known ones")
    return job


def subject_of(spec: JobSpec) -> str:
    """Return the hash of what a job is for; empty for self-play."""
    if isinstance(spec, IngestSpec | RepeatSpec):
        return spec.shard
    if isinstance(spec, TrainSpec):
        return spec.dataset
    return spec.evaluation if isinstance(spec, EvaluateSpec) else ""


def queue_job(session: Session, spec: JobSpec, work: str, *, avoid: str | None = None) -> Job | None:
    """Queue a job for `work`; None when that work was asked for before."""
    if session.exec(select(Job.id).where(Job.work == work)).first():
        return None
    time = now(session)
    job = Job(
        id=new_id("job"),
        kind=spec.kind,
        config=spec.config,
        state="queued",
        work=work,
        subject=subject_of(spec),
        spec=spec.model_dump(mode="json"),
        total=len(sequences(spec)),
        avoid=avoid,
        created_at=time,
        changed_at=time,
    )
    session.add(job)
    session.flush()
    record(session, CONTROLLER, "job.queued", job.id, kind=job.kind, config=job.config, work=work)
    return job


def results_of(session: Session, job_id: str) -> list[int]:
    """Return the sequences of a job that have receipts."""
    return sorted(session.exec(select(Result.sequence).where(Result.job == job_id)).all())


def set_job(session: Session, job: Job, state: str, reason: str, actor: str = CONTROLLER) -> None:
    """Move a job to a state with its audit row."""
    job.state = advance(JOB, job.id, job.state, state)
    job.reason, job.changed_at = reason, now(session)
    session.add(job)
    record(session, actor, f"job.{state}", job.id, kind=job.kind, config=job.config, reason=reason)


def cancel_jobs(session: Session, jobs: Iterable[Job], reason: str) -> None:
    """Cancel open jobs; agents that run them are told so at their next heartbeat."""
    for job in jobs:
        for assignment in running_assignments(session, job.id):
            end_assignment(session, assignment, "cancelled", reason)
        set_job(session, job, "cancelled", reason)


def running_assignments(session: Session, job_id: str) -> list[Assignment]:
    """Return the live assignments of a job: one, or none."""
    query = select(Assignment).where(Assignment.job == job_id, Assignment.state == "running")
    return list(session.exec(query).all())


def end_assignment(session: Session, assignment: Assignment, state: str, reason: str) -> None:
    """Close an assignment; it is never opened again."""
    assignment.state = advance(ASSIGNMENT, assignment.id, assignment.state, state)
    assignment.reason, assignment.ended_at = reason, now(session)
    session.add(assignment)


def complete(session: Session, job: Job) -> bool:
    """Tell whether every unit of a job has its receipt."""
    count = session.exec(select(func.count()).select_from(Result).where(Result.job == job.id)).one()
    return count >= job.total


def end_badly(
    session: Session, assignment: Assignment, how: EndedBadly, reason: str, settings: AgentSettings
) -> None:
    """Close a try that failed or vanished and give its job the next chance, or none.

    A job whose units all have receipts is done, however its last try ended.
    """
    job = get_job(session, assignment.job)
    end_assignment(session, assignment, how, reason)
    if job.state != "leased":
        return
    if complete(session, job):
        set_job(session, job, "succeeded", "")
        return
    job.attempts += 1
    job.avoid = assignment.agent
    job.not_before = now(session) + settings.retry_seconds * job.attempts if how == "failed" else 0.0
    set_job(session, job, after_bad_end(job.attempts, settings.attempts, how), reason)


def expire_overdue(session: Session, settings: AgentSettings) -> int:
    """Close every assignment whose lease or deadline has passed on the database's clock."""
    overdue = overdue_assignments(session)
    time = now(session)
    for assignment in overdue:
        late = time > assignment.deadline_at
        reason = "deadline passed" if late else "agent fell silent: the lease ran out"
        end_badly(session, assignment, "failed" if late else "expired", reason, settings)
    return len(overdue)


def overdue_assignments(session: Session) -> list[Assignment]:
    """Return running assignments past their lease or deadline."""
    time = now(session)
    query = select(Assignment).where(
        Assignment.state == "running",
        (col(Assignment.expires_at) < time) | (col(Assignment.deadline_at) < time),
    )
    return list(session.exec(query).all())


def extend_leases(session: Session, settings: AgentSettings) -> None:
    """Give every live assignment a whole lease: leases run only while the controller listens (P7).

    A deadline that passed meanwhile is moved too, so that what was finished and spooled can be delivered.
    """
    until = now(session) + settings.lease_seconds
    for assignment in session.exec(select(Assignment).where(Assignment.state == "running")).all():
        assignment.expires_at = max(assignment.expires_at, until)
        assignment.deadline_at = max(assignment.deadline_at, until)
        session.add(assignment)
