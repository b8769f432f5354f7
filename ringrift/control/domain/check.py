"""Whether a reported result can be the answer to its job's spec. Impossible values are refused."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pydantic import ValidationError

from ringrift.errors import BadInput
from ringrift.game.config import GameConfig
from ringrift.learning.sprt import block_wins
from ringrift.protocol.jobs import (
    EvaluateResult,
    EvaluateSpec,
    GameResult,
    GoldenVectors,
    IngestResult,
    IngestSpec,
    JobResult,
    JobSpec,
    RepeatResult,
    RepeatSpec,
    SelfplayResult,
    SelfplaySpec,
    TrainResult,
    TrainSpec,
    parse_result,
    sequences,
)

_ROUNDING = 1e-3
"""How far the chances of all seats, each rounded, may be from 1."""


def validation_line(error: ValidationError) -> str:
    """Return the first fault of a validation error as `field: what is wrong`."""
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    place = ".".join(str(part) for part in first["loc"]) or "body"
    return f"{place}: {first['msg']}"


def check_result(spec: JobSpec, sequence: int, payload: Any, artifacts: Sequence[str]) -> JobResult:
    """Read a payload and hold it against the spec that it answers; raise `BadInput` naming the field."""
    try:
        result = parse_result(payload)
    except ValidationError as error:
        raise BadInput(f"result payload: {validation_line(error)}") from error
    if result.kind != spec.kind:
        raise BadInput(f"kind: a {spec.kind} job cannot have a {result.kind} result")
    if result.config != spec.config:
        raise BadInput(f"config: the job is for {spec.config}, not {result.config}")
    if sequence not in sequences(spec):
        raise BadInput(f"sequence: {sequence} is not one of the job's units")
    if isinstance(spec, SelfplaySpec) and isinstance(result, SelfplayResult):
        _selfplay(spec, result, artifacts)
    elif isinstance(spec, IngestSpec) and isinstance(result, IngestResult):
        _ingest(spec, result)
    elif isinstance(spec, TrainSpec) and isinstance(result, TrainResult):
        _train(spec, result, artifacts)
    elif isinstance(spec, EvaluateSpec) and isinstance(result, EvaluateResult):
        _evaluate(spec, sequence, result, artifacts)
    elif isinstance(spec, RepeatSpec) and isinstance(result, RepeatResult):
        _repeat(spec, result)
    return result


def _named(field: str, sha256: str, artifacts: Sequence[str]) -> None:
    if sha256 not in artifacts:
        raise BadInput(f"{field}: {sha256[:12]} is not among the result's artifacts")


def _games(config: str, games: Sequence[GameResult]) -> None:
    players = GameConfig.parse(config).players
    for index, game in enumerate(games):
        if game.winner is not None and game.winner > players:
            raise BadInput(f"games.{index}.winner: seat {game.winner} does not exist with {players} players")
        if game.decisions > game.plies:
            raise BadInput(f"games.{index}.decisions: {game.decisions} is more than its {game.plies} plies")
    if len({game.game_id for game in games}) != len(games):
        raise BadInput("games: the same game is named twice")


def _selfplay(spec: SelfplaySpec, result: SelfplayResult, artifacts: Sequence[str]) -> None:
    _named("shard", result.shard, artifacts)
    _games(spec.config, result.games)
    if len(result.games) != spec.games_per_shard:
        raise BadInput(f"games: a shard has {spec.games_per_shard} games, not {len(result.games)}")


def _ingest(spec: IngestSpec, result: IngestResult) -> None:
    if result.shard != spec.shard:
        raise BadInput(f"shard: the job is for {spec.shard[:12]}, not {result.shard[:12]}")
    if result.sound and not result.games:
        raise BadInput("games: a sound shard has games")
    if not result.sound and (result.games or not result.reason):
        raise BadInput("reason: a refused shard carries its reason and no games")
    _games(spec.config, result.games)


def _train(spec: TrainSpec, result: TrainResult, artifacts: Sequence[str]) -> None:
    _named("model", result.model, artifacts)
    if result.dataset != spec.dataset:
        raise BadInput(f"dataset: the job is for {spec.dataset[:12]}, not {result.dataset[:12]}")
    if result.architecture != spec.architecture:
        raise BadInput("architecture: it differs from the job's")
    if result.positions < 1:
        raise BadInput("positions: a model is trained on at least one")
    if (result.parent_holdout_loss is None) != (spec.parent is None):
        raise BadInput("parent_holdout_loss: it belongs to a job with a parent, and only to that")
    if result.model == spec.parent:
        raise BadInput("model: training returned its parent unchanged")
    if result.golden is not None:
        check_golden(spec.config, result.golden)


def check_golden(config: str, golden: GoldenVectors) -> None:
    """Raise `BadInput` for vectors that no net of this config can have."""
    players = GameConfig.parse(config).players
    for index, values in enumerate(golden.values):
        if len(values) != players or abs(sum(values) - 1.0) > _ROUNDING:
            raise BadInput(f"golden.values.{index}: these are not the chances of {players} seats")


def _evaluate(spec: EvaluateSpec, sequence: int, result: EvaluateResult, artifacts: Sequence[str]) -> None:
    _named("shard", result.shard, artifacts)
    _games(spec.config, result.games)
    if result.evaluation != spec.evaluation:
        raise BadInput(f"evaluation: the job is for {spec.evaluation[:12]}, not {result.evaluation[:12]}")
    if result.block != sequence:
        raise BadInput(f"block: {result.block} is not the sequence {sequence}")
    winners = [game.winner for game in result.games]
    block_wins(GameConfig.parse(spec.config).players, winners, result.candidate_seats)


def _repeat(spec: RepeatSpec, result: RepeatResult) -> None:
    if result.shard != spec.shard:
        raise BadInput(f"shard: the job is for {spec.shard[:12]}, not {result.shard[:12]}")
    if result.same == bool(result.reason):
        raise BadInput("reason: it belongs to a difference, and only to that")
    asked = len(set(spec.games)) or spec.origin.games_per_shard
    if result.games > asked or (result.same and result.games != asked):
        raise BadInput(f"games: the job is for {asked} games, not {result.games}")


def claims_differ(claimed: Sequence[GameResult], replayed: Sequence[GameResult]) -> str:
    """Tell how a replay differs from what the shard's producer reported; empty when it does not."""
    wanted = {game.game_id: game for game in claimed}
    found = {game.game_id: game for game in replayed}
    if wanted.keys() != found.keys():
        missing, extra = len(wanted.keys() - found.keys()), len(found.keys() - wanted.keys())
        return f"{missing} reported games are not in the shard, {extra} are in it unreported"
    for game_id, game in wanted.items():
        if game != found[game_id]:
            return f"game {game_id[:12]} was reported otherwise than its replay"
    return ""
