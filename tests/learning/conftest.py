"""What several tests of this room need: made-up records, quick real units of work."""

from __future__ import annotations

import numpy as np
import pytest

from ringrift.learning.records import CHEAP, FULL, OPENING, GameHeader, RecordBuilder
from ringrift.protocol.jobs import PlayerSpec


def make_header(config: str = "hex8_3p", *, game: int = 0, **changes: object) -> GameHeader:
    players = int(config[-2])
    fields: dict[str, object] = {
        "config": config,
        "swap_rule": players == 2,
        "seats": [PlayerSpec(kind="gumbel", simulations=8)] * players,
        "evaluation": None,
        "seed": 7,
        "sequence": 3,
        "game": game,
        "opening_random_plies": 2,
        "full_share": 0.25,
        "cheap_simulations": 4,
        "winner": 2,
        "plies": 40,
    }
    return GameHeader.model_validate(fields | changes)


def make_record(config: str = "hex8_3p", *, game: int = 0, decisions: int = 12) -> bytes:
    """A record with decisions of every kind."""
    dice = np.random.default_rng(game)
    players = int(config[-2])
    builder = RecordBuilder(players)
    for decision in range(decisions):
        kind = (OPENING, CHEAP, FULL)[decision % 3]
        values = None if kind == OPENING else dice.random(players, dtype=np.float32)
        size = int(dice.integers(1, 50))
        shares = dice.random(size, dtype=np.float32)
        target = (dice.permutation(300)[:size], shares / shares.sum())
        builder.add(int(dice.integers(1 << 54)), kind, values, target if kind == FULL else None)
    return builder.finish(make_header(config, game=game))


@pytest.fixture
def header():
    """Make a header; keyword arguments change fields."""
    return make_header


@pytest.fixture
def record():
    """Make a record with the structure of a game but arbitrary content."""
    return make_record
