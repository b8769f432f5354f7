"""The parts of the search on trees that are small enough to reckon by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from ringrift.game.config import GameConfig
from ringrift.game.geometry import geometry
from ringrift.players.base import PlayerSpec, build_player
from ringrift.players.search import selection, tree
from ringrift.players.search.forest import new_forest, new_workspace

GEO = geometry("square8")


@pytest.fixture
def forest():
    """A root of seat 1 with three edges of prior 1/2, 1/4, 1/4 and two visited children."""
    made = new_forest(1, 8, 4)
    root = tree.add_node(made, 0, -1)
    made.mover[root] = 1
    made.edges[root] = 3
    made.child[root] = -1
    made.prior[root, :3] = np.log([0.5, 0.25, 0.25])
    made.own[root] = (0.5, 0.5, 0, 0)
    work = new_workspace(GEO, 4)
    tree.back_up(made, root, made.own, root, work.carry)
    for edge, value in ((0, 0.2), (1, 0.8)):
        child = tree.add_node(made, 0, root)
        made.child[root, edge] = child
        made.mover[child] = 2
        made.own[child] = (value, 1 - value, 0, 0)
        tree.back_up(made, child, made.own, child, work.carry)
    return made


def test_values_are_summed_on_the_whole_way_up(forest):
    assert forest.visits[:3].tolist() == [3, 1, 1]
    np.testing.assert_allclose(forest.total[0], (1.5, 1.5, 0, 0))


def test_the_mixed_value_weighs_visited_edges_by_their_prior(forest):
    expected = (0.5 + 2 * (0.5 * 0.2 + 0.25 * 0.8) / 0.75) / 3
    assert selection.mixed_value(forest, 0, 1) == pytest.approx(expected)
    assert selection.mixed_value(forest, 0, 2) == pytest.approx(1 - expected)


def test_the_gumbel_rule_visits_the_edge_that_lags_most_behind_the_improved_policy(forest):
    missing = selection.mixed_value(forest, 0, 1)
    scale = (selection.C_VISIT + 1) * selection.C_SCALE
    scores = [math.log(0.5) + scale * 0.2, math.log(0.25) + scale * 0.8, math.log(0.25) + scale * missing]
    weights = np.exp(np.array(scores) - max(scores))
    lag = weights / weights.sum() - np.array([1, 1, 0]) / 3
    assert selection.gumbel_edge(forest, 0, np.zeros(4)) == int(lag.argmax())


def test_puct_prefers_the_edge_with_the_largest_bound(forest):
    root = math.sqrt(3)
    missing = 0.5 - selection.FIRST_PLAY * math.sqrt(0.75)
    bounds = [
        0.2 + selection.C_PUCT * root * 0.5 / 2,
        0.8 + selection.C_PUCT * root * 0.25 / 2,
        missing + selection.C_PUCT * root * 0.25,
    ]
    assert selection.puct_edge(forest, 0) == int(np.argmax(bounds))


def test_values_change_seats_where_the_pie_rule_was_used():
    forest = new_forest(1, 3, 2)
    work = new_workspace(GEO, 2)
    root = tree.add_node(forest, 0, -1)
    child = tree.add_node(forest, 0, root)
    forest.states[child]["swapped"] = 1
    forest.own[child] = (0.9, 0.1, 0, 0)
    tree.back_up(forest, child, forest.own, child, work.carry)
    np.testing.assert_allclose(forest.total[child], (0.9, 0.1, 0, 0))
    np.testing.assert_allclose(forest.total[root], (0.1, 0.9, 0, 0))
    assert selection.mean_result(forest, root, child, 2) == pytest.approx(0.9)


@pytest.mark.parametrize("width", [1, 3, 10])
def test_the_best_keys_are_kept_in_order_and_ties_keep_theirs(width):
    key = np.array([3.0, 1.0, 4.0, 1.0, 5.0, 9.0, 2.0, 6.0, 5.0])
    keys, picked = np.zeros(width), np.zeros(width, np.int64)
    kept = selection.keep_best(key, len(key), keys, picked, width)
    expected = sorted(range(len(key)), key=lambda i: (-key[i], i))[:width]
    assert picked[:kept].tolist() == expected


def test_every_simulation_is_counted_at_the_root_and_every_value_sums_to_its_visits(positions):
    config = GameConfig("hex8", 3)
    states = positions(config, 5, 50)
    player = build_player(PlayerSpec("gumbel", simulations=40, considered=8), config)
    player.search(states, np.arange(5, dtype=np.uint64))
    forest = player._forest
    spacing = len(forest.mover) // len(forest.used)
    for game in range(5):
        nodes = slice(game * spacing, game * spacing + forest.used[game])
        if forest.edges[nodes.start] > 1:
            assert forest.visits[nodes.start] == 41
        np.testing.assert_allclose(forest.total[nodes].sum(1), forest.visits[nodes])


def test_sequential_halving_gives_its_last_round_to_the_two_best(positions):
    config = GameConfig("hex8", 2)
    states = positions(config, 1, 0)
    player = build_player(PlayerSpec("gumbel", simulations=64, considered=16), config)
    player.search(states, np.zeros(1, np.uint64))
    forest = player._forest
    children = forest.child[0, : forest.edges[0]]
    visits = sorted((forest.visits[child] for child in children), reverse=True)
    assert visits == [15, 15, 7, 7, 3, 3, 3, 3] + [1] * 8
