"""Several plies in one call do what single plies do, and the same seed plays the same game."""

from __future__ import annotations

import hashlib
import random

import numpy as np
import pytest

from ringrift.game.config import ALL_CONFIGS, GameConfig
from ringrift.game.play import Game
from ringrift.game.playout import copy_position, next_decision, playout
from ringrift.game.rng import draw, seed_rng
from ringrift.game.state import new_positions
from ringrift.game.territory import label_runs


def test_next_decision_returns_the_legal_set_it_stops_at():
    game = Game.new(GameConfig("hex8", 3))
    game.apply(int(game.legal()[7]))
    game.apply(int(game.legal()[0]))
    count = next_decision(game.geo, game.states, 0, game.scratch, game.scratch.moves)
    assert count > 1
    assert game.scratch.moves[:count].tolist() == game.legal().tolist()


def played(config: GameConfig, seed: int) -> tuple[int, Game]:
    game = Game.new(config)
    return playout(game.geo, game.states, 0, game.scratch, seed), game


def test_a_playout_runs_to_the_end_and_is_fixed_by_its_seed():
    config = GameConfig("square8", 2)
    plies, game = played(config, 5)
    assert game.over
    assert plies == game.states[0]["ply"]
    again, same = played(config, 5)
    assert again == plies
    assert same.states.tobytes() == game.states.tobytes()
    assert played(config, 6)[1].states.tobytes() != game.states.tobytes()


def test_playouts_are_the_same_on_every_machine():
    # The order of the legal set is part of this value: a game record of seeds alone would depend on it.
    summary = [
        (config.key, plies, game.winner, int(game.states[0]["reason"]))
        for config in ALL_CONFIGS
        for plies, game in [played(config, 5)]
    ]
    digest = hashlib.sha256(repr(summary).encode()).hexdigest()
    assert digest[:16] == "4cda89844821d4e9", summary


def test_every_bound_is_drawn_from_evenly():
    states = new_positions(1)
    states[0]["rng"] = seed_rng(1)
    counts = np.bincount([draw(states, 0, 7) for _ in range(7000)], minlength=7)
    assert len(counts) == 7
    assert counts.min() > 850
    assert counts.max() < 1150


@pytest.mark.parametrize("seed", [0, 1, -1, 2**62, -(2**63), 2**32])
def test_every_seed_gives_a_32_bit_state_that_is_not_zero(seed):
    assert 0 < seed_rng(seed) < 2**32


def test_a_copied_position_is_independent_of_its_source():
    _, game = played(GameConfig("hex8", 2), 3)
    target = new_positions(2)
    copy_position(target, 1, game.states, 0)
    assert target[1].tobytes() == game.states[0].tobytes()
    target[1]["hand"][1] += 1
    assert target[1].tobytes() != game.states[0].tobytes()
    assert not target[0].tobytes().strip(b"\0")


@pytest.mark.parametrize("config", ALL_CONFIGS, ids=lambda config: config.key)
def test_what_is_known_to_be_connected_is_connected_after_every_move(config):
    dice, checked = random.Random(3), 0
    game = Game.new(config)
    while not game.over and len(game.played) < 700:
        game.apply(int(dice.choice(game.legal())))
        for family in range(config.players + 1):
            if game.states[0]["connected"][family] == 1:
                checked += 1
                assert label_runs(game.geo, game.states, 0, family, game.scratch)[1] <= 1
    assert checked > 50
