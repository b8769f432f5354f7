"""Shards at hand: what one holds, proven by replay, and the sound games of a damaged one in a new shard."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from ringrift.errors import CorruptData
from ringrift.learning.records import GameRecord
from ringrift.learning.replay import Board, replay_games
from ringrift.learning.shards import read_shard, salvage, write_shard


def describe(path: Path) -> dict[str, Any]:
    """Return what a shard holds; raise `CorruptData` if it is damaged or a game breaks the rules."""
    records = read_shard(path)
    for number, fault in enumerate(_faults(records)):
        if fault is not None:
            raise CorruptData(f"shard {path.name}, game {number}: {fault.message}")
    if len({record.id for record in records}) < len(records):
        raise CorruptData(f"shard {path.name} holds a game twice")
    headers = {record.header.canonical: record.header for record in records}
    decisions = sum(record.decisions for record in records)
    return {
        "file": str(path),
        "games": len(records),
        "decisions": decisions,
        "with a target": sum(len(record.sizes) for record in records),
        "bytes a decision": round(path.stat().st_size / max(decisions, 1), 1),
        "headers": [header.model_dump(mode="json") for header in headers.values()],
    }


def save_sound_games(path: Path, folder: Path) -> tuple[Path, int, str]:
    """Write the games before the first damage to `folder/{sha256}.shard`.

    A game counts as damaged also when it breaks the rules. Returns the new file, its number of games, and
    what is wrong with the old one, "" for nothing. Raises `CorruptData` when no game is sound.
    """
    records = salvage(path)
    fault = _damage(path)
    sound: list[GameRecord] = []
    for record, wrong in zip(records, _faults(records), strict=True):
        if wrong is not None:
            fault = fault or f"game {len(sound)}: {wrong.message}"
            break
        sound.append(record)
    if not sound:
        raise CorruptData(f"{path.name} holds no sound game: {fault}")
    saved, _ = write_shard(folder, sound)
    return saved, len(sound), fault


def _damage(path: Path) -> str:
    try:
        read_shard(path)
    except CorruptData as error:
        return error.message
    return ""


def _faults(records: Sequence[GameRecord]) -> Iterator[CorruptData | None]:
    """Replay one game after another and yield what is wrong with each."""
    board = cache(Board)
    for record in records:
        try:
            replay_games([record], board(record.config))
        except CorruptData as error:
            yield error
        else:
            yield None
