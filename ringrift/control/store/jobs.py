"""Jobs from wanted to done: queue, lease, heartbeat, finish, expiry."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sqlalchemy import func
from sqlmodel import Session, col, select

from ringrift.control.domain.needs import Needs, needs_of
from ringrift.control.domain.poison import EndedBadly, Tries, after_bad_end
from ringrift.control.domain.states import ASSIGNMENT, JOB, advance
from ringrift.control.settings import AgentSettings
from ringrift.control.store import poison, shares
from ringrift.control.store.clock import now
from ringrift.control.store.events import CONTROLLER, record
from ringrift.control.store.ids import new_id
from ringrift.control.store.tables import (
    Agent,
    Assignment,
    Evaluation,
    Job,
    Model,
    Result,
    Setting,
    Shard,
    SpotCheck,
)
from ringrift.errors import NotFound, Refused
from ringrift.protocol.jobs import (
    Architecture,
    EvaluateSpec,
    IngestSpec,
    JobSpec,
    RepeatSpec,
    TrainSpec,
    required_artifacts,
    sequences,
)

OPEN = ("queued", "leased")
GIVEN_UP = ("failed", "quarantined")
"""Nobody tries it again until an operator says so."""


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


def queue_job(
    session: Session,
    spec: JobSpec,
    work: str,
    *,
    avoid: str | None = None,
    never: Sequence[str] = (),
    numeric_class: str = "",
) -> Job | None:
    """Queue a job for `work`; None when that work was asked for before.

    `avoid` is an agent that gets it only when no other does, `never` are hosts that must not get it, and
    `numeric_class`, if any, is that of the hosts that may.
    """
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
        needs={**vars(_needs(session, spec)), "never": list(never), "numeric_class": numeric_class},
        created_at=time,
        changed_at=time,
    )
    session.add(job)
    session.flush()
    record(session, CONTROLLER, "job.queued", job.id, kind=job.kind, config=job.config, work=work)
    return job


def _needs(session: Session, spec: JobSpec) -> Needs:
    """Return what a job needs, by the shape of the largest net that it plays with."""
    models = [session.get(Model, name) for name in required_artifacts(spec)]
    shapes = [Architecture.model_validate(model.architecture) for model in models if model is not None]
    largest = max(shapes, key=lambda shape: shape.blocks * shape.channels**2, default=None)
    return needs_of(spec, largest)


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


def take_back(session: Session, assignment: Assignment, reason: str) -> None:
    """End a try that did nothing wrong; its job waits again, with no attempt counted."""
    end_assignment(session, assignment, "cancelled", reason)
    set_job(session, get_job(session, assignment.job), "queued", reason)


def retry_job(session: Session, job_id: str, actor: str) -> Job:
    """Lift the quarantine or failure of a job: it waits again, and its tries so far do not count any more.

    Raises `Refused` when it was not given up, or when nobody wants it any more.
    """
    job = get_job(session, job_id)
    if job.state not in GIVEN_UP:
        raise Refused(f"{job.id} is {job.state}: only failed and quarantined jobs are tried again")
    if reason := _unwanted(session, job):
        raise Refused(f"{job.id} is not wanted any more: {reason}")
    record(session, actor, "job.retried", job.id, before=job.state, reason=job.reason, attempts=job.attempts)
    job.retried_epoch, job.attempts, job.not_before, job.avoid, job.log_tail = job.epoch, 0, 0.0, None, ""
    set_job(session, job, "queued", "", actor=actor)
    return job


def _unwanted(session: Session, job: Job) -> str:
    if job.kind in ("ingest", "repeat"):
        shard = session.get(Shard, job.subject)
        wanted = shard is not None and (job.kind == "repeat" or shard.state == "received")
        check = session.get(SpotCheck, job.subject) if job.kind == "repeat" else None
        if not wanted or (check is not None and check.state != "waiting"):
            return f"shard {job.subject[:12]} is judged already"
    if job.kind == "evaluate":
        evaluation = session.get(Evaluation, job.subject)
        if evaluation is None or evaluation.state != "running":
            return f"evaluation {job.subject[:12]} is over"
    return ""


def stuck_jobs(session: Session) -> dict[str, Job]:
    """Return for each config its newest ingest or evaluation that was given up and is wanted still."""
    query = select(Job).where(col(Job.state).in_(GIVEN_UP), col(Job.kind).in_(("ingest", "evaluate")))
    newest = session.exec(query.order_by(col(Job.changed_at).desc()).limit(200)).all()
    return {job.config: job for job in reversed(newest) if not _unwanted(session, job)}


def cancel_job(session: Session, job_id: str, reason: str, actor: str) -> Job:
    """Cancel a job; `Refused` when it has ended already."""
    job = get_job(session, job_id)
    if job.state not in (*OPEN, *GIVEN_UP):
        raise Refused(f"{job.id} is {job.state} already")
    for assignment in running_assignments(session, job.id):
        end_assignment(session, assignment, "cancelled", reason)
    set_job(session, job, "cancelled", reason or f"by {actor}", actor=actor)
    return job


def running_assignments(session: Session, job_id: str) -> list[Assignment]:
    """Return the live assignments of a job: one, or none."""
    query = select(Assignment).where(Assignment.job == job_id, Assignment.state == "running")
    return list(session.exec(query).all())


def end_assignment(session: Session, assignment: Assignment, state: str, reason: str) -> None:
    """Close an assignment; it is never opened again."""
    assignment.state = advance(ASSIGNMENT, assignment.id, assignment.state, state)
    assignment.reason, assignment.ended_at = reason, now(session)
    session.add(assignment)
    shares.charge(session, get_job(session, assignment.job), assignment.ended_at - assignment.began_at)


def complete(session: Session, job: Job) -> bool:
    """Tell whether every unit of a job has its receipt."""
    count = session.exec(select(func.count()).select_from(Result).where(Result.job == job.id)).one()
    return count >= job.total


def end_badly(
    session: Session, assignment: Assignment, how: EndedBadly, reason: str, settings: AgentSettings
) -> None:
    """Close a try that failed or vanished and give its job the next chance, or none.

    A job whose units all have receipts is done, however its last try ended. A try that vanished with its
    agent counts as crashed, unless the agent was taken away on purpose, or never began it.
    """
    job, agent = get_job(session, assignment.job), session.get(Agent, assignment.agent)
    lost = how == "expired" and agent is not None and poison.unbegun(assignment, agent, settings)
    assignment.crashed |= how == "expired" and agent is not None and agent.revoked_at is None and not lost
    reason = "the answer to its lease was lost: the agent never began it" if lost else reason
    end_assignment(session, assignment, how, reason)
    if job.state != "leased":
        return
    if complete(session, job):
        set_job(session, job, "succeeded", "")
        return
    if lost:
        set_job(session, job, "queued", reason)
        return
    job.attempts += 1
    job.avoid = assignment.agent
    job.not_before = now(session) + settings.retry_seconds * job.attempts if how == "failed" else 0.0
    tries = poison.tries_of(session, [job], settings).get(job.id, Tries())
    # A spot check without its repetition ends as `unable`: it need not wait for a host that may never come.
    state = after_bad_end(tries, settings.attempts, dispensable=job.kind == "repeat")
    if state != "queued":
        job.log_tail = assignment.log_tail or poison.last_words(session, job)
    set_job(session, job, state, reason)
    if how == "failed" and assignment.crashed and agent is not None:
        poison.note_crash(session, agent.host, settings.host_crashes)


LISTENED = "leases.listened"


def slept(session: Session, settings: AgentSettings) -> bool:
    """Tell whether the controller did not listen for longer than a lease (suspended, stalled): then silence
    says nothing about the agents."""
    row = session.get(Setting, LISTENED)
    return row is not None and now(session) - row.value["at"] > settings.lease_seconds


def mark_is_old(session: Session, settings: AgentSettings) -> bool:
    """Tell whether `note_listening` is due: it is written a few times per lease, not at every pass."""
    row = session.get(Setting, LISTENED)
    return row is None or now(session) - row.value["at"] > settings.lease_seconds / 4


def note_listening(session: Session) -> None:
    """Note that the controller listens to agents now."""
    row = session.get(Setting, LISTENED) or Setting(key=LISTENED, value={})
    row.value = {"at": now(session)}
    session.add(row)


def expire_overdue(session: Session, settings: AgentSettings) -> None:
    """Close every assignment whose lease or deadline has passed on the database's clock.

    After a time in which the controller did not listen, leases begin anew instead (P7).
    """
    if slept(session, settings):
        gap = now(session) - session.exec(select(Setting).where(Setting.key == LISTENED)).one().value["at"]
        record(session, CONTROLLER, "leases.extended", "controller", unheard_seconds=round(gap))
        extend_leases(session, settings)
    if mark_is_old(session, settings):
        note_listening(session)
    time = now(session)
    for assignment in overdue_assignments(session):
        late = time > assignment.deadline_at
        reason = "deadline passed" if late else "agent fell silent: the lease ran out"
        end_badly(session, assignment, "failed" if late else "expired", reason, settings)


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
    note_listening(session)
    for assignment in session.exec(select(Assignment).where(Assignment.state == "running")).all():
        assignment.expires_at = max(assignment.expires_at, until)
        assignment.deadline_at = max(assignment.deadline_at, until)
        session.add(assignment)
