"""Taking results in: one receipt per (job, sequence), and what each kind of result adds to the store."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import insert
from sqlmodel import Session, col, select

from ringrift.control.domain.check import check_result, claims_differ
from ringrift.control.domain.states import SHARD, advance
from ringrift.control.settings import AgentSettings
from ringrift.control.store import jobs
from ringrift.control.store.clock import now
from ringrift.control.store.events import CONTROLLER, record
from ringrift.control.store.tables import (
    Artifact,
    Assignment,
    EvaluationBlock,
    Game,
    Job,
    Model,
    Result,
    Shard,
)
from ringrift.errors import AccessRefused, BadInput, Refused
from ringrift.protocol.agent import ResultReply, ResultRequest
from ringrift.protocol.jobs import (
    EvaluateResult,
    GameResult,
    IngestResult,
    JobResult,
    SelfplayResult,
    TrainResult,
    TrainSpec,
    parse_result,
    parse_spec,
)

_BATCH = 500


def accept_result(
    session: Session, agent_id: str, request: ResultRequest, settings: AgentSettings
) -> ResultReply:
    """Take one unit of work, once. Raises `BadInput` or `Refused` for what cannot be true.

    A unit that has its receipt already is acknowledged again, whoever reports it; a superseded assignment is
    told to stop (P1, P2, P3).
    """
    assignment = session.get(Assignment, request.assignment)
    if assignment is None:
        return ResultReply(accepted=False, alive=False, reason="unknown assignment")
    if assignment.agent != agent_id:
        raise AccessRefused(f"assignment {assignment.id} belongs to another agent")
    job = jobs.get_job(session, assignment.job)
    alive = assignment.state == "running" and job.epoch == assignment.epoch == request.epoch
    known = select(Result.id).where(Result.job == job.id, Result.sequence == request.sequence)
    if session.exec(known).first() is not None:
        return ResultReply(accepted=True, duplicate=True, alive=alive)
    if not alive:
        return ResultReply(accepted=False, alive=False, reason=f"superseded: assignment {assignment.state}")
    _require_artifacts(session, request.artifacts)
    payload = check_result(parse_spec(job.spec), request.sequence, request.payload, request.artifacts)
    assignment.expires_at = max(assignment.expires_at, now(session) + settings.lease_seconds)
    session.add(assignment)
    result = Result(
        job=job.id,
        sequence=request.sequence,
        assignment=assignment.id,
        agent=agent_id,
        payload=payload.model_dump(mode="json"),
        received_at=now(session),
    )
    session.add(result)
    session.flush()
    _apply(session, job, result, payload)
    record(
        session,
        agent_id,
        "result.accepted",
        job.id,
        kind=job.kind,
        config=job.config,
        sequence=request.sequence,
        games=result.games_named,
    )
    return ResultReply(accepted=True)


def _require_artifacts(session: Session, artifacts: Sequence[str]) -> None:
    for sha256 in artifacts:
        if session.get(Artifact, sha256) is None:
            raise Refused(f"artifact {sha256[:12]} is not stored", hint="upload it before its result")


def _apply(
    session: Session,
    job: Job,
    result: Result,
    payload: JobResult,
) -> None:
    if isinstance(payload, SelfplayResult):
        _add_shard(session, job, result, payload.shard, "selfplay", payload.games)
    elif isinstance(payload, EvaluateResult):
        _add_shard(session, job, result, payload.shard, "evaluation", payload.games)
        _add_block(session, result, payload)
    elif isinstance(payload, IngestResult):
        _judge_shard(session, payload)
    elif isinstance(payload, TrainResult):
        _add_model(session, job, payload)


def _add_shard(
    session: Session, job: Job, result: Result, sha256: str, purpose: str, games: Sequence[GameResult]
) -> None:
    if session.get(Shard, sha256) is None:
        session.add(
            Shard(
                sha256=sha256,
                config=job.config,
                purpose=purpose,
                state="received",
                job=job.id,
                sequence=result.sequence,
                agent=result.agent,
                games=len(games),
                positions=sum(game.decisions for game in games),
                received_at=now(session),
            )
        )
        session.flush()
    result.games_named = len(games)
    result.games_repeated = len(games) - _add_games(session, job.config, purpose, sha256, games)
    session.add(result)


def _add_games(session: Session, config: str, purpose: str, shard: str, games: Sequence[GameResult]) -> int:
    """Insert the games that are not known yet and return how many those are."""
    known: set[str] = set()
    ids = [game.game_id for game in games]
    for start in range(0, len(ids), _BATCH):
        part = ids[start : start + _BATCH]
        known.update(session.exec(select(Game.game_id).where(col(Game.game_id).in_(part))).all())
    rows = [
        {**game.model_dump(), "shard": shard, "config": config, "purpose": purpose}
        for game in games
        if game.game_id not in known
    ]
    if rows:
        session.execute(insert(Game), rows)
    return len(rows)


def _add_block(session: Session, result: Result, payload: EvaluateResult) -> None:
    if session.get(EvaluationBlock, (payload.evaluation, payload.block)) is not None:
        return
    if result.games_repeated:
        # Its shard is inspected against the first report only, and a game is evidence once (P2).
        raise BadInput(f"games: {result.games_repeated} of them were reported before, as other work")
    pairs = zip(payload.games, payload.candidate_seats, strict=True)
    won = sorted(seat for game, seat in pairs if game.winner == seat)
    session.add(
        EvaluationBlock(
            evaluation=payload.evaluation,
            block=payload.block,
            shard=payload.shard,
            result=result.id or 0,
            wins=len(won),
            games=len(payload.games),
            winning_seats=won,
        )
    )


def _judge_shard(session: Session, payload: IngestResult) -> None:
    shard = session.get(Shard, payload.shard)
    if shard is None:
        raise BadInput(f"shard: {payload.shard[:12]} is not known")
    reason = payload.reason if not payload.sound else claims_differ(_claims(session, shard), payload.games)
    shard.soft_target_share = payload.soft_target_share
    judge(session, shard, "refused" if reason else "sound", reason)


def judge(session: Session, shard: Shard, state: str, reason: str) -> None:
    """Close the inspection of a shard: `sound`, or `refused` with a reason."""
    if shard.state != "received":
        return
    shard.state = advance(SHARD, f"shard {shard.sha256[:12]}", shard.state, state)
    shard.reason, shard.judged_at = reason, now(session)
    session.add(shard)
    record(session, CONTROLLER, f"shard.{state}", shard.sha256, config=shard.config, reason=reason)


def _claims(session: Session, shard: Shard) -> list[GameResult]:
    """Return the games of a shard as its producer reported them."""
    query = select(Result.payload).where(Result.job == shard.job, Result.sequence == shard.sequence)
    reported = parse_result(session.exec(query).one())
    return reported.games if isinstance(reported, (SelfplayResult, EvaluateResult)) else []


def _add_model(session: Session, job: Job, payload: TrainResult) -> None:
    spec = parse_spec(job.spec)
    if not isinstance(spec, TrainSpec) or session.get(Model, payload.model) is not None:
        return
    session.add(
        Model(
            sha256=payload.model,
            config=job.config,
            state="candidate",
            parent=spec.parent,
            dataset=spec.dataset,
            job=job.id,
            architecture=spec.architecture.model_dump(),
            recipe=spec.recipe.model_dump(),
            positions=payload.positions,
            train_loss=payload.train_loss,
            holdout_loss=payload.holdout_loss,
            parent_holdout_loss=payload.parent_holdout_loss,
            holdout_value_accuracy=payload.holdout_value_accuracy,
            made_at=now(session),
        )
    )
    record(
        session,
        CONTROLLER,
        "model.candidate",
        payload.model,
        config=job.config,
        dataset=spec.dataset,
        parent=spec.parent,
    )
