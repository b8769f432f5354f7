"""Recorded games of every config, as positions to draw."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from ringrift.cli.boards.formats import read_recording
from ringrift.cli.boards.recording import Recording
from ringrift.game.config import GameConfig

TRACES = Path(__file__).parents[1] / "data" / "traces"


@cache
def sample(config: GameConfig) -> Recording:
    """Return the first recorded game of a config."""
    return read_recording(TRACES / f"{config.board}-{config.players}p.jsonl.gz", 1)
