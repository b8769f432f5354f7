"""The random numbers: reproducible, spread, and tied to seed and position."""

from __future__ import annotations

import math

import numpy as np

from ringrift.game.config import GameConfig
from ringrift.game.geometry import geometry
from ringrift.game.state import new_positions, start
from ringrift.players.base import signed
from ringrift.players.randomness import below, gumbel, mix, position_word, uniform


def words(seeds):
    states = new_positions(1)
    start(states, 0, GameConfig("hex8", 2))
    return [position_word(geometry("hex8"), states, 0, seed) for seed in signed(np.array(seeds, np.uint64))]


def test_the_numbers_are_the_same_on_every_machine():
    assert [mix(1, 2), mix(0xFFFFFFFF, 0), mix(123456789, 987654321)] == [1065252216, 4082091583, 3032367150]


def test_uniform_numbers_fill_the_open_unit_interval_evenly():
    draws = np.array([uniform(77, draw) for draw in range(20_000)])
    assert draws.min() > 0
    assert draws.max() < 1
    assert np.abs(np.histogram(draws, 10, (0, 1))[0] / 2000 - 1).max() < 0.1
    assert abs(np.corrcoef(draws[1:], draws[:-1])[0, 1]) < 0.03


def test_integers_below_a_bound_are_all_reached_equally_often():
    counts = np.bincount([below(5, draw, 7) for draw in range(14_000)])
    assert len(counts) == 7
    assert np.abs(counts / 2000 - 1).max() < 0.1


def test_gumbel_numbers_have_the_gumbel_mean_and_variance():
    draws = np.array([gumbel(3, draw) for draw in range(50_000)])
    assert math.isclose(draws.mean(), 0.5772, abs_tol=0.02)
    assert math.isclose(draws.var(), math.pi**2 / 6, rel_tol=0.05)


def test_every_bit_of_a_64_bit_seed_matters():
    seeds = [0, *(1 << bit for bit in range(64)), (1 << 64) - 1]
    assert len(set(words(seeds))) == len(seeds)


def test_the_same_seed_gives_another_word_in_another_position():
    states = new_positions(2)
    for i in range(2):
        start(states, i, GameConfig("hex8", 2))
    states[1]["hand"][2] -= 1
    geo = geometry("hex8")
    assert position_word(geo, states, 0, 9) != position_word(geo, states, 1, 9)
