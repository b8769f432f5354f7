"""The one way into data sets: every game of a shard is replayed through the rules.

What is wrong with a shard is a result and not an error: the shard is quarantined with the reason.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from ringrift.errors import CorruptData
from ringrift.game.config import GameConfig
from ringrift.learning.records import FULL, GameRecord
from ringrift.learning.replay import Board, replay_games
from ringrift.learning.shards import read_shard
from ringrift.protocol.jobs import GameResult, IngestResult, IngestSpec


def ingest_shard(spec: IngestSpec, path: Path, report: Callable[[float], None]) -> IngestResult:
    """Replay the shard at `path`; return what was found. `report` gets the share of games done (0..1)."""
    try:
        return _ingest(spec, path, report)
    except CorruptData as error:
        return IngestResult(config=spec.config, shard=spec.shard, sound=False, reason=error.message)


def _ingest(spec: IngestSpec, path: Path, report: Callable[[float], None]) -> IngestResult:
    board = Board(GameConfig.parse(spec.config))
    results: dict[str, GameResult] = {}
    records = read_shard(path, spec.shard)
    for number, record in enumerate(records):
        _check_game(spec.config, record, number, board)
        result = record.result()
        if result.game_id in results:
            raise CorruptData(f"game {number} is in the shard twice")
        results[result.game_id] = result
        report((number + 1) / len(records))
    soft = np.concatenate([record.kinds for record in records]) == FULL
    return IngestResult(
        config=spec.config,
        shard=spec.shard,
        sound=True,
        games=list(results.values()),
        soft_target_share=float(soft.mean()) if len(soft) else 0.0,
    )


def _check_game(config: str, record: GameRecord, number: int, board: Board) -> None:
    try:
        if record.header.config != config:
            raise CorruptData(f"is of {record.header.config}, not of {config}")
        replay_games([record], board)
    except CorruptData as error:
        raise CorruptData(f"game {number}: {error.message}") from None
