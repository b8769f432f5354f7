"""The ladder: one table, budgets that grow, names that game servers know."""

from __future__ import annotations

import pytest

from ringrift.errors import BadInput
from ringrift.game.config import ALL_CONFIGS, GameConfig
from ringrift.players.base import build_player
from ringrift.players.ladder import AI_TYPES, LEVELS, clamp, level

CLIENT_LIMIT_MS = 30_000


def test_the_levels_are_the_products_ladder():
    named = [LEVELS[difficulty].ai_type for difficulty in range(1, 11)]
    assert named == ["random", "heuristic", "minimax", "mcts"] + ["gumbel_mcts"] * 6


def test_only_the_levels_with_a_net_need_a_model():
    assert [difficulty for difficulty, row in LEVELS.items() if row.needs_model] == [5, 6, 7, 8, 9, 10]


def test_budgets_and_thinking_time_grow_and_stay_far_below_the_clients_limit():
    rows = [LEVELS[difficulty] for difficulty in range(1, 11)]
    times = [row.think_ms for row in rows]
    assert times == sorted(set(times))
    assert times[-1] <= CLIENT_LIMIT_MS / 4
    budgets = [row.spec.simulations for row in rows[4:]]
    assert budgets == sorted(set(budgets))


@pytest.mark.parametrize("config", ALL_CONFIGS, ids=lambda config: config.key)
def test_every_level_without_a_net_builds_its_player(config):
    for difficulty in range(1, 11):
        found = level(difficulty, config)
        if not found.needs_model:
            assert build_player(found.spec, config).spec.kind == found.spec.kind


@pytest.mark.parametrize("ai_type", AI_TYPES.values())
def test_a_player_that_we_have_is_honoured_at_any_level(ai_type):
    for difficulty in range(1, 11):
        assert level(difficulty, GameConfig("hex8", 2), ai_type).ai_type == ai_type


def test_another_ai_type_gives_the_levels_own_player():
    assert level(7, GameConfig("hex8", 2), "descent") == LEVELS[7]


def test_the_model_is_filled_in_only_where_it_is_needed():
    assert LEVELS[6].with_model("e" * 64).model == "e" * 64
    assert LEVELS[2].with_model("e" * 64).model is None


def test_large_boards_get_a_smaller_budget():
    large, small = level(9, GameConfig("hexagonal", 2)), level(9, GameConfig("hex8", 2))
    assert 0 < large.spec.simulations < small.spec.simulations


@pytest.mark.parametrize(("asked", "given"), [(-3, 1), (0, 1), (1, 1), (7, 7), (10, 10), (99, 10)])
def test_difficulties_are_moved_into_range(asked, given):
    assert clamp(asked) == given


@pytest.mark.parametrize("difficulty", [0, 11])
def test_a_difficulty_out_of_range_is_refused(difficulty):
    with pytest.raises(BadInput, match=str(difficulty)):
        level(difficulty)
