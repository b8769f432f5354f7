"""Playing forced plies in one call reaches the same state, byte by byte, as playing each of them by hand."""

from __future__ import annotations

import random

import numpy as np
import pytest

from ringrift.game import moves as m
from ringrift.game.apply import apply
from ringrift.game.config import ALL_CONFIGS, GameConfig
from ringrift.game.legal import legal_moves
from ringrift.game.play import Game
from ringrift.game.playout import copy_position, next_decision, settle
from ringrift.game.state import new_positions
from tests.game.games import opening, plies

MOST_MOVES = 60
"""Moves tried per position; a larger legal set is sampled."""
every_config = pytest.mark.parametrize("config", ALL_CONFIGS, ids=lambda config: config.key)


class Pair:
    """Two copies of a position: one for the single call, one for stepping."""

    def __init__(self, game: Game) -> None:
        self.geo, self.scratch = game.geo, game.scratch
        self.states = new_positions(2)

    def put(self, game: Game, move: int) -> None:
        for i in range(2):
            copy_position(self.states, i, game.states, 0)
            apply(self.geo, self.states, i, self.scratch, move)

    def step(self) -> list[int]:
        """Play record 1 while there is exactly one legal move; return those moves."""
        played = []
        while legal_moves(self.geo, self.states, 1, self.scratch, self.scratch.moves) == 1:
            move = int(self.scratch.moves[0])
            assert apply(self.geo, self.states, 1, self.scratch, move) == 0
            played.append(move)
        return played

    def same(self) -> bool:
        return bool(self.states[0].tobytes() == self.states[1].tobytes())


@every_config
def test_settle_and_next_decision_equal_stepping_after_every_legal_move(config: GameConfig):
    generator = random.Random(config.key)
    kinds, positions = set(), 0
    for supply in (None, 6, 4):
        game = opening(config, supply)
        pair = Pair(game)
        for legal, _ in plies(game, generator):
            positions += 1
            for move in legal if len(legal) <= MOST_MOVES else generator.sample(legal, MOST_MOVES):
                pair.put(game, move)
                forced = settle(pair.geo, pair.states, 0, pair.scratch)
                stepped = pair.step()
                assert forced == len(stepped)
                assert pair.same()
                kinds |= {played & 31 for played in stepped}
            pair.put(game, legal[0])
            count = next_decision(pair.geo, pair.states, 0, pair.scratch, pair.scratch.moves)
            found = pair.scratch.moves[:count].copy()
            pair.step()
            assert pair.same()
            rest = legal_moves(pair.geo, pair.states, 1, pair.scratch, pair.scratch.moves)
            assert np.array_equal(found, pair.scratch.moves[:rest])
    assert positions > 250
    assert kinds >= {m.NO_PLACEMENT, m.NO_LINE, m.NO_TERRITORY}


@every_config
def test_the_moves_stepped_by_hand_are_legal_for_a_game_too(config: GameConfig):
    generator = random.Random(f"by hand {config.key}")
    game = opening(config, 6)
    jumped = game.copy()
    while not game.over:
        move = generator.choice(game.legal().tolist())
        for each in (game, jumped):
            each.apply(move)
        settle(jumped.geo, jumped.states, 0, jumped.scratch)
        while len(legal := game.legal()) == 1:
            game.apply(int(legal[0]))
        assert game.states.tobytes() == jumped.states.tobytes()
        assert game.legal().tolist() == jumped.legal().tolist()
