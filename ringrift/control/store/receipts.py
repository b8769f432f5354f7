"""Taking results in: one receipt per (job, sequence), whoever asks and however often."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Row, bindparam, update
from sqlalchemy import select as columns
from sqlmodel import Session, col

from ringrift.control.domain.check import check_result
from ringrift.control.settings import AgentSettings
from ringrift.control.store.beats import require_agent
from ringrift.control.store.clock import now
from ringrift.control.store.credentials import require_credential
from ringrift.control.store.filing import Outcome, ResultJob, Unit, take_all, those
from ringrift.control.store.tables import Assignment, Job, Result
from ringrift.errors import AccessRefused, Refused, RingRiftError
from ringrift.protocol.agent import ResultReply, ResultRequest
from ringrift.protocol.jobs import parse_spec

_assignments, _jobs, _results = (table.__table__ for table in (Assignment, Job, Result))
_ASSIGNMENTS = (
    columns(
        _assignments.c["id", "agent", "state", "epoch", "expires_at", "credential"],
        _jobs.c.id.label("job"),
        _jobs.c.epoch.label("newest"),
        _jobs.c["kind", "config", "spec"],
    )
    .join(_jobs, _jobs.c.id == _assignments.c.job)
    .where(_assignments.c.id.in_(bindparam("ids", expanding=True)))
)
_RECEIPTS = columns(_results.c["job", "sequence"]).where(
    _results.c.job.in_(bindparam("jobs", expanding=True)),
    _results.c.sequence.in_(bindparam("sequences", expanding=True)),
)

_STORED = "SELECT sha256 FROM artifact WHERE deleted_at IS NULL AND sha256 {named}"

_WANTED = ResultReply(accepted=True)


def accept_result(
    session: Session, agent_id: str, request: ResultRequest, settings: AgentSettings
) -> ResultReply:
    """Take one unit of work; raises what `accept_results` returns."""
    [outcome] = accept_results(session, agent_id, [request], settings)
    if isinstance(outcome, RingRiftError):
        raise outcome
    return outcome


def accept_results(
    session: Session, agent_id: str, requests: Sequence[ResultRequest], settings: AgentSettings
) -> list[Outcome]:
    """Take units of work, each once and each answered as if it had come alone, in this order.

    A unit that has its receipt already is acknowledged again, whoever reports it; a superseded assignment is
    told to stop (P1, P2, P3). What cannot be true is answered with `BadInput`, `Refused` or `AccessRefused`.
    """
    require_agent(session, agent_id)
    rows = _assignments_of(session, requests)
    named = {name for item in requests for name in item.artifacts}
    intake = _Intake(session, agent_id, _receipts_of(session, rows.values(), requests))
    stored = those(session, _STORED, named)
    specs = {row.job: parse_spec(row.spec) for row in rows.values()}
    for index, request in enumerate(requests):
        row = rows.get(request.assignment)
        if row is not None and (row.job, request.sequence) in intake.waiting:
            intake.settle()
        try:
            intake.outcomes[index] = _judge(agent_id, request, row, intake.known, stored)
            if row is not None and intake.outcomes[index] is _WANTED:
                payload = check_result(specs[row.job], request.sequence, request.payload, request.artifacts)
                job = ResultJob(row.job, row.id, row.kind, row.config, specs[row.job])
                intake.waiting[row.job, request.sequence] = index, Unit(job, request.sequence, payload)
        except RingRiftError as error:
            intake.outcomes[index] = error
    intake.settle()
    outcomes = [intake.outcomes[index] for index in range(len(requests))]
    brought = {
        item.assignment
        for item, outcome in zip(requests, outcomes, strict=True)
        if isinstance(outcome, ResultReply) and outcome.accepted and not outcome.duplicate
    }
    _extend(session, [rows[name] for name in brought], settings)
    return outcomes


@dataclass
class _Intake:
    """Units on their way in, written together; what was written is known to those that follow."""

    session: Session
    agent_id: str
    known: set[tuple[str, int]]
    waiting: dict[tuple[str, int], tuple[int, Unit]] = field(default_factory=dict)
    outcomes: dict[int, Outcome] = field(default_factory=dict)

    def settle(self) -> None:
        """Write what waits."""
        taken = take_all(self.session, self.agent_id, [unit for _, unit in self.waiting.values()])
        for (key, (index, _)), outcome in zip(self.waiting.items(), taken, strict=True):
            self.outcomes[index] = outcome
            if isinstance(outcome, ResultReply):
                self.known.add(key)
        self.waiting.clear()


def _judge(
    agent_id: str, request: ResultRequest, row: Row[Any] | None, known: set[tuple[str, int]], stored: set[str]
) -> Outcome:
    """Decide about one result by the rows that were read for all; `_WANTED` when it is to be written."""
    if row is None:
        return ResultReply(accepted=False, alive=False, reason="unknown assignment")
    if row.agent != agent_id:
        raise AccessRefused(f"assignment {row.id} belongs to another agent")
    require_credential(row.credential, request.credential, row.id)
    alive = row.state == "running" and row.newest == row.epoch == request.epoch
    if (row.job, request.sequence) in known:
        return ResultReply(accepted=True, duplicate=True, alive=alive)
    if not alive:
        return ResultReply(accepted=False, alive=False, reason=f"superseded: assignment {row.state}")
    for sha256 in request.artifacts:
        if sha256 not in stored:
            raise Refused(f"artifact {sha256[:12]} is not stored", hint="upload it before its result")
    return _WANTED


def _assignments_of(session: Session, requests: Sequence[ResultRequest]) -> dict[str, Row[Any]]:
    names = {request.assignment for request in requests}
    return {row[0]: row for row in session.execute(_ASSIGNMENTS, {"ids": list(names)})}


def _receipts_of(
    session: Session, rows: Iterable[Row[Any]], requests: Sequence[ResultRequest]
) -> set[tuple[str, int]]:
    named = {"jobs": list({row.job for row in rows}), "sequences": list({item.sequence for item in requests})}
    return {(job, sequence) for job, sequence in session.execute(_RECEIPTS, named)}


def _extend(session: Session, rows: Collection[Row[Any]], settings: AgentSettings) -> None:
    """Extend the leases of assignments that brought results."""
    until = now(session) + settings.lease_seconds if rows else 0.0
    for row in rows:
        if row.expires_at < until:
            session.execute(
                update(Assignment).where(col(Assignment.id) == row.id).values(expires_at=until),
                execution_options={"synchronize_session": False},
            )
