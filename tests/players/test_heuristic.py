"""The heuristic: a probability per seat, and terms that point the right way."""

from __future__ import annotations

import numpy as np
import pytest

from ringrift.game.board import collapse
from ringrift.game.config import ALL_CONFIGS, GameConfig
from ringrift.game.geometry import geometry
from ringrift.players.heuristic import TERMS, evaluate, measure, new_terms


def values_of(states, i, board):
    values = np.zeros((1, 4))
    evaluate(geometry(board), states, i, new_terms(), values, 0)
    return values[0]


def terms_of(game):
    terms = new_terms()
    measure(game.geo, game.states, 0, terms)
    return {name: terms[1:, column].tolist() for column, name in enumerate(TERMS)}


@pytest.mark.parametrize("config", ALL_CONFIGS, ids=lambda config: config.key)
def test_values_are_a_distribution_over_the_seats_that_exist(config, positions):
    states = positions(config, 4, 30)
    for i in range(len(states)):
        values = values_of(states, i, config.board)
        assert values.sum() == pytest.approx(1)
        assert (values[: config.players] > 0).all()
        assert (values[config.players :] == 0).all()


def test_a_finished_game_is_worth_everything_to_its_winner(position):
    game = position("hex8_3p", stacks={(0, 0): [1]})
    game.states[0]["winner"] = 2
    assert values_of(game.states, 0, "hex8").tolist() == [0, 1, 0, 0]


def test_the_opening_is_nearly_even(positions):
    values = values_of(positions(GameConfig("square8", 4), 1, 0), 0, "square8")
    assert np.abs(values - 0.25).max() < 0.15


def test_terms_are_measured_as_documented(position):
    game = position(
        "square8_2p",
        stacks={(0, 0): [1, 1, 2], (7, 7): [2]},
        markers={(2, 2): 1, (3, 2): 1, (4, 2): 1, (6, 5): 2},
        hand=9,
        eliminated=(9, 0),
    )
    terms = terms_of(game)
    assert terms["rings"][:2] == [0.5, 0]
    assert terms["rings_near"][:2] == [0.25, 0]
    assert terms["hand"][:2] == [0.5, 0.5]
    assert terms["buried"][:2] == [0, 1 / 18]
    assert terms["lines"][:2] == [(3 / 4) ** 2 / 4, 0]
    assert terms["caps"][:2] == [4 / 7, 3 / 7]
    assert terms["stuck"][:2] == [0, 0]


def test_a_seat_without_hand_and_without_a_stack_that_can_act_is_stuck(position):
    game = position("square8_2p", stacks={(0, 0): [1], (5, 5): [2]})
    for x, y in ((1, 0), (0, 1), (1, 1)):
        collapse(game.geo, game.states, 0, 8 * y + x, 2)
    assert terms_of(game)["stuck"][:2] == [1, 0]


@pytest.mark.parametrize("field", ["eliminated", "territory"])
def test_progress_towards_victory_raises_the_value(field, position):
    game = position("hex8_3p", stacks={(0, 0): [1], (2, 0): [2], (0, 2): [3]}, hand=5)
    before = values_of(game.states, 0, "hex8")
    game.states[0][field][3] += 12
    after = values_of(game.states, 0, "hex8")
    assert after[2] > before[2]
    assert after[0] < before[0]
