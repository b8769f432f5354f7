"""Evaluations: registering the test, the standing of its blocks, closing it with a verdict."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import func
from sqlmodel import Session, col, select

from ringrift.control.domain.evaluations import Registration, registration_id, verdict_in_order
from ringrift.control.domain.states import EVALUATION, MODEL, advance
from ringrift.control.store.clock import now
from ringrift.control.store.events import CONTROLLER, record
from ringrift.control.store.jobs import GIVEN_UP, OPEN, cancel_jobs
from ringrift.control.store.tables import Agent, Evaluation, EvaluationBlock, Job, Model, Result, Shard
from ringrift.errors import NotFound
from ringrift.learning.sprt import Verdict
from ringrift.protocol.jobs import parse_spec, sequences


@dataclass(frozen=True)
class Standing:
    """An evaluation with its blocks: wins by block, the verdict in order, and shards not yet found sound."""

    evaluation: Evaluation
    registration: Registration
    blocks: dict[int, EvaluationBlock]
    verdict: Verdict
    unverified: int
    refused: str
    """Why a shard of it was refused; empty when none was."""


def get_evaluation(session: Session, prefix: str) -> Evaluation:
    """Return an evaluation by its id or the beginning of it; `NotFound` when none or several match."""
    found = session.exec(select(Evaluation).where(col(Evaluation.id).startswith(prefix)).limit(2)).all()
    if len(found) != 1:
        raise NotFound(f"no single evaluation {prefix!r}", hint="give more digits of its id")
    return found[0]


def register_evaluation(session: Session, registration: Registration) -> Evaluation | None:
    """Store a test before its first game; None when this very test was registered and is not superseded.

    A superseded test is taken up again where it stood: it is needed again.
    """
    document = registration.document()
    identity = registration_id(document)
    existing = session.get(Evaluation, identity)
    if existing is not None:
        return _resume(session, existing)
    candidate = registration.candidate.model
    if candidate is None:
        raise NotFound("an evaluation needs a candidate model")
    evaluation = Evaluation(
        id=identity,
        config=registration.config,
        candidate=candidate,
        opponent=registration.opponent_name,
        registration=document,
        state="running",
        registered_at=now(session),
    )
    session.add(evaluation)
    record(session, CONTROLLER, "evaluation.registered", identity, **document)
    return evaluation


def _resume(session: Session, evaluation: Evaluation) -> Evaluation | None:
    if evaluation.state != "superseded":
        return None
    evaluation.state = advance(EVALUATION, evaluation.id, evaluation.state, "running")
    evaluation.reason, evaluation.decided_at = "", None
    session.add(evaluation)
    record(session, CONTROLLER, "evaluation.resumed", evaluation.id, config=evaluation.config)
    return evaluation


def standing(session: Session, evaluation: Evaluation) -> Standing:
    """Return where an evaluation stands, computed from its block rows only."""
    registration = Registration.read(evaluation.registration)
    rows = session.exec(
        select(EvaluationBlock, Shard.state, Shard.reason)
        .join(Shard, col(Shard.sha256) == col(EvaluationBlock.shard))
        .where(EvaluationBlock.evaluation == evaluation.id)
    ).all()
    blocks = {block.block: block for block, _, _ in rows}
    wins = {number: block.wins for number, block in blocks.items()}
    verdict = verdict_in_order(registration.test, wins, registration.purpose)
    counted = [(state, reason) for block, state, reason in rows if block.block < verdict.blocks]
    return Standing(
        evaluation=evaluation,
        registration=registration,
        blocks=blocks,
        verdict=verdict,
        unverified=sum(state != "sound" for state, _ in counted),
        refused=next((reason or "refused" for state, reason in counted if state == "refused"), ""),
    )


def evaluation_jobs(session: Session, evaluation: Evaluation) -> list[Job]:
    """Return all jobs of an evaluation, oldest first."""
    query = select(Job).where(Job.kind == "evaluate", Job.subject == evaluation.id)
    return list(session.exec(query.order_by(col(Job.created_at))).all())


def covered_blocks(found: Standing, jobs: list[Job]) -> set[int]:
    """Return the blocks that have a result, or a job that is open or may be retried by an operator."""
    covered = set(found.blocks)
    for job in jobs:
        if job.state in (*OPEN, *GIVEN_UP):
            covered.update(sequences(parse_spec(job.spec)))
    return covered


def close_evaluation(
    session: Session, evaluation: Evaluation, state: str, reason: str, verdict: Verdict
) -> None:
    """Close an evaluation with its verdict and stop its remaining games; a rejected candidate stays so."""
    evaluation.state = advance(EVALUATION, f"evaluation {evaluation.id[:12]}", evaluation.state, state)
    evaluation.reason, evaluation.decided_at = reason, now(session)
    evaluation.blocks, evaluation.llr = verdict.blocks, verdict.llr
    session.add(evaluation)
    open_jobs = [job for job in evaluation_jobs(session, evaluation) if job.state in OPEN]
    cancel_jobs(session, open_jobs, f"evaluation is {state}")
    model = session.get(Model, evaluation.candidate)
    if state == "rejected" and model is not None and model.state == "candidate":
        model.state = advance(MODEL, f"model {model.sha256[:12]}", model.state, "rejected")
        session.add(model)
    record(
        session,
        CONTROLLER,
        f"evaluation.{state}",
        evaluation.id,
        config=evaluation.config,
        candidate=evaluation.candidate,
        opponent=evaluation.opponent,
        purpose=evaluation.registration.get("purpose"),
        policy=evaluation.registration.get("policy"),
        reason=reason,
        blocks=verdict.blocks,
        games=verdict.games,
        llr=round(verdict.llr, 4),
    )


def withdraw_blocks(session: Session, host: str, since: float) -> tuple[dict[str, list[int]], list[str]]:
    """Take out the blocks that a host reported after `since` from tests without a verdict.

    They are asked for again. Returns them by test, and the decided tests that count such blocks: those stay.
    """
    query = (
        select(EvaluationBlock, Evaluation.state)
        .join(Evaluation, col(Evaluation.id) == col(EvaluationBlock.evaluation))
        .join(Result, col(Result.id) == col(EvaluationBlock.result))
        .join(Agent, col(Agent.id) == col(Result.agent))
        .where(Agent.host == host, Result.received_at > since)
        .order_by(col(EvaluationBlock.evaluation), col(EvaluationBlock.block))
    )
    withdrawn: dict[str, list[int]] = {}
    decided: set[str] = set()
    for block, state in session.exec(query).all():
        if state in ("running", "superseded"):
            withdrawn.setdefault(block.evaluation, []).append(block.block)
            session.delete(block)
        else:
            decided.add(block.evaluation)
    session.flush()
    return withdrawn, sorted(decided)


def running_evaluations(session: Session) -> list[Evaluation]:
    """Return the evaluations without a verdict."""
    query = select(Evaluation).where(Evaluation.state == "running")
    return list(session.exec(query.order_by(col(Evaluation.registered_at))).all())


def count_games(session: Session, evaluation: str) -> int:
    """Return how many games of an evaluation have receipts."""
    query = select(func.sum(EvaluationBlock.games)).where(EvaluationBlock.evaluation == evaluation)
    return int(session.exec(query).one() or 0)
