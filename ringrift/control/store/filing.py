"""What a receipted result adds to the store: its row, shard and games, and what its kind means beyond."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy.exc import DataError, DBAPIError
from sqlmodel import Session, col, select

from ringrift.control.domain.check import claims_differ
from ringrift.control.domain.states import SHARD, advance
from ringrift.control.store.clock import now
from ringrift.control.store.engine import unfit_value
from ringrift.control.store.events import CONTROLLER, Told, record, record_all
from ringrift.control.store.fixed import insert_rows, rows
from ringrift.control.store.tables import EvaluationBlock, Game, Model, Result, Shard
from ringrift.errors import BadInput, RingRiftError
from ringrift.protocol.agent import ResultReply
from ringrift.protocol.jobs import (
    EvaluateResult,
    GameResult,
    IngestResult,
    JobResult,
    JobSpec,
    SelfplayResult,
    TrainResult,
    TrainSpec,
    parse_result,
)

_results, _shards, _games = (table.__table__ for table in (Result, Shard, Game))
_RESULT = (
    "job",
    "sequence",
    "assignment",
    "agent",
    "games_named",
    "games_repeated",
    "received_at",
    "payload",
)
_SHARD = ("sha256", "config", "purpose", "state", "reason", "job", "sequence", "agent", "games", "positions")
_SHARD += ("soft_target_share", "in_dataset", "received_at")
_GAME = ("game_id", "winner", "plies", "decisions", "shard", "config", "purpose")
_KNOWN_SHARDS = "SELECT sha256 FROM shard WHERE sha256 {named}"
_KNOWN_GAMES = "SELECT game_id FROM game WHERE game_id {named}"
Outcome = ResultReply | RingRiftError


@dataclass(frozen=True)
class ResultJob:
    """What the receipt of a result needs to know of its assignment and job."""

    id: str
    assignment: str
    kind: str
    config: str
    spec: JobSpec


@dataclass(frozen=True)
class Unit:
    """A result that was found to be possible, new and wanted."""

    job: ResultJob
    sequence: int
    payload: JobResult


def take_all(session: Session, agent_id: str, units: Sequence[Unit]) -> list[Outcome]:
    """Write units in order: runs of self-play in few statements, the others one by one."""
    outcomes: list[Outcome] = []
    for shards, run in itertools.groupby(units, lambda unit: isinstance(unit.payload, SelfplayResult)):
        group = list(run)
        if shards and len(group) > 1:
            outcomes.extend(_take_group(session, agent_id, group))
        else:
            outcomes.extend(_take_one(session, agent_id, unit) for unit in group)
    return outcomes


def _take_group(session: Session, agent_id: str, units: Sequence[Unit]) -> list[Outcome]:
    try:
        with session.begin_nested():
            _write(session, agent_id, units)
    except (DBAPIError, OverflowError):
        # One value that the database cannot hold must not cost the others their receipt.
        return [_take_one(session, agent_id, unit) for unit in units]
    return [ResultReply(accepted=True)] * len(units)


def _take_one(session: Session, agent_id: str, unit: Unit) -> Outcome:
    try:
        with session.begin_nested():
            _write(session, agent_id, [unit])
            _apply(session, unit)
            session.flush()
    except RingRiftError as error:
        return error
    except (DataError, OverflowError) as error:
        return unfit_value(error)
    return ResultReply(accepted=True)


def _write(session: Session, agent_id: str, units: Sequence[Unit]) -> None:
    """Insert the results of units with their shards, games and audit rows."""
    time = now(session)
    repeated = _add_shards(session, agent_id, units, time)
    results = [
        (
            *(unit.job.id, unit.sequence, unit.job.assignment, agent_id, len(_played(unit)), repeats, time),
            unit.payload.model_dump_json(),
        )
        for unit, repeats in zip(units, repeated, strict=True)
    ]
    insert_rows(session, _results, _RESULT, results)
    record_all(session, [_told(agent_id, unit) for unit in units])


def _told(agent_id: str, unit: Unit) -> Told:
    job, games = unit.job, len(_played(unit))
    detail = {"kind": job.kind, "config": job.config, "sequence": unit.sequence, "games": games}
    return Told(agent_id, "result.accepted", job.id, detail)


def _played(unit: Unit) -> Sequence[GameResult]:
    """Return the games that a unit played and nobody else did."""
    played = isinstance(unit.payload, (SelfplayResult, EvaluateResult))
    return unit.payload.games if played else ()  # type: ignore[union-attr]


def _add_shards(session: Session, agent_id: str, units: Sequence[Unit], time: float) -> list[int]:
    """Insert shards and games that are new; return how many games of each unit are not."""
    made = [unit for unit in units if isinstance(unit.payload, (SelfplayResult, EvaluateResult))]
    if not made:
        return [0] * len(units)
    there = those(session, _KNOWN_SHARDS, [unit.payload.shard for unit in made])
    known = those(session, _KNOWN_GAMES, [game.game_id for unit in made for game in unit.payload.games])
    shards: list[tuple[Any, ...]] = []
    games: list[tuple[Any, ...]] = []
    repeated: list[int] = []
    for unit in units:
        before, played = len(games), _played(unit)
        if played and unit.payload.shard not in there:
            there.add(unit.payload.shard)
            shards.append(_shard_row(unit, agent_id, time))
        for game in played:
            if game.game_id not in known:
                known.add(game.game_id)
                games.append(_game_row(unit, game))
        repeated.append(len(played) - (len(games) - before))
    insert_rows(session, _shards, _SHARD, shards)
    insert_rows(session, _games, _GAME, games)
    return repeated


def those(session: Session, statement: str, names: Collection[str]) -> set[str]:
    """Return those of the names that a SELECT of one column finds."""
    return {row[0] for row in rows(session, statement, names)}


def _shard_row(unit: Unit, agent_id: str, time: float) -> tuple[Any, ...]:
    job, games = unit.job, _played(unit)
    positions = sum(game.decisions for game in games)
    made = (unit.payload.shard, job.config, _purpose(unit), "received", "", job.id, unit.sequence, agent_id)
    return (*made, len(games), positions, 0.0, False, time)


def _game_row(unit: Unit, game: GameResult) -> tuple[Any, ...]:
    shard, config = unit.payload.shard, unit.job.config
    return game.game_id, game.winner, game.plies, game.decisions, shard, config, _purpose(unit)


def _purpose(unit: Unit) -> str:
    return "selfplay" if isinstance(unit.payload, SelfplayResult) else "evaluation"


def _apply(session: Session, unit: Unit) -> None:
    """Add what a result of this kind means beyond its receipt, its shard and its games."""
    payload = unit.payload
    if isinstance(payload, EvaluateResult):
        query = select(Result).where(Result.job == unit.job.id, Result.sequence == unit.sequence)
        _add_block(session, session.exec(query).one(), payload)
    elif isinstance(payload, IngestResult):
        _judge_shard(session, payload)
    elif isinstance(payload, TrainResult):
        _add_model(session, unit.job, payload)


def _add_block(session: Session, result: Result, payload: EvaluateResult) -> None:
    if session.get(EvaluationBlock, (payload.evaluation, payload.block)) is not None:
        return
    if result.games_repeated and not _played_anew(session, payload):
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


def _played_anew(session: Session, payload: EvaluateResult) -> bool:
    """Tell whether games that are known are those of a block that counts no more, and told the same again.

    Then they belong to this shard from now on.
    """
    told = {game.game_id: (game.winner, game.plies, game.decisions) for game in payload.games}
    counted = col(Game.shard).in_(select(EvaluationBlock.shard))
    query = select(Game).where(col(Game.game_id).in_(told), Game.purpose == "evaluation", ~counted)
    known = session.exec(query).all()
    if len(told) < len(payload.games) or told != {
        row.game_id: (row.winner, row.plies, row.decisions) for row in known
    }:
        return False
    for row in known:
        row.shard = payload.shard
        session.add(row)
    return True


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


def _add_model(session: Session, job: ResultJob, payload: TrainResult) -> None:
    spec = job.spec
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
            golden=payload.golden and payload.golden.model_dump(),
            onnx_difference=payload.onnx_difference,
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
