"""The one way into data sets: every game of a shard is replayed through the rules.

What is wrong with a shard is a result and not an error: the shard is quarantined with the reason.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from ringrift.errors import CorruptData
from ringrift.game.config import GameConfig
from ringrift.learning.records import FULL, GameRecord, decode, game_id
from ringrift.learning.replay import Board, verify
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
    kinds = []
    records = read_shard(path, spec.shard)
    for number, data in enumerate(records):
        record = _sound_game(spec.config, data, number, board)
        name = game_id(data)
        if name in results:
            raise CorruptData(f"game {number} is in the shard twice")
        results[name] = GameResult(
            game_id=name, winner=record.header.winner, plies=record.header.plies, decisions=record.decisions
        )
        kinds.append(record.kinds)
        report((number + 1) / len(records))
    soft = np.concatenate(kinds) == FULL
    return IngestResult(
        config=spec.config,
        shard=spec.shard,
        sound=True,
        games=list(results.values()),
        soft_target_share=float(soft.mean()) if len(soft) else 0.0,
    )


def _sound_game(config: str, data: bytes, number: int, board: Board) -> GameRecord:
    try:
        record = decode(data)
        if record.header.config != config:
            raise CorruptData(f"is of {record.header.config}, not of {config}")
        verify(record, board)
    except CorruptData as error:
        raise CorruptData(f"game {number}: {error.message}") from None
    return record
