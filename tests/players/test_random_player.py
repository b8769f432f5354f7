"""The random player draws every legal move equally often."""

from __future__ import annotations

import numpy as np

from ringrift.game.config import GameConfig
from ringrift.players.base import PlayerSpec, build_player

HEX = GameConfig("hex8", 2)


def test_every_legal_move_is_drawn_equally_often(positions):
    player = build_player(PlayerSpec("random"), HEX)
    states = np.repeat(positions(HEX, 1, 12, seed=4), 6000)
    moves, counts = np.unique(player.choose(states, np.arange(6000, dtype=np.uint64)), return_counts=True)
    legal = player.legal(states, 0)
    assert set(moves.tolist()) == set(legal.tolist())
    expected = 6000 / len(legal)
    assert ((counts - expected) ** 2 / expected).sum() < len(legal) + 5 * np.sqrt(2 * len(legal))


def test_the_same_seed_draws_the_same_move(positions):
    states = positions(HEX, 20, 40)
    seeds = np.arange(20, dtype=np.uint64)
    draw = [build_player(PlayerSpec("random"), HEX).choose(states, seeds) for _ in range(2)]
    assert (draw[0] == draw[1]).all()


def test_one_seed_does_not_choose_the_same_place_in_every_list(positions):
    states = positions(HEX, 200, 60)
    player = build_player(PlayerSpec("random"), HEX)
    moves = player.choose(states, np.full(200, 7, np.uint64))
    places = []
    for i in range(200):
        legal = player.legal(states, i)
        places.append(legal.tolist().index(moves[i]) / len(legal))
    assert 0.4 < np.mean(places) < 0.6
    assert np.std(places) > 0.2
