"""Small seeded matches: each player beats the weaker one behind it.

Every bound lies at least four standard deviations below the share that the player has over many seeds, so
that another order of moves or another rounding changes the games but not the verdict.
"""

from __future__ import annotations

import pytest

from ringrift.game.config import GameConfig
from ringrift.players.base import PlayerSpec, build_player

HEX = GameConfig("hex8", 2)
RANDOM = PlayerSpec("random")
HEURISTIC = PlayerSpec("heuristic")


@pytest.mark.parametrize(
    ("stronger", "weaker", "games", "least"),
    [
        (HEURISTIC, RANDOM, 40, 0.85),
        (PlayerSpec("gumbel", simulations=16), RANDOM, 80, 0.85),
        (PlayerSpec("gumbel", simulations=128, noise=0.0), HEURISTIC, 60, 0.6),
        (PlayerSpec("mcts", simulations=128), RANDOM, 20, 0.75),
        (PlayerSpec("minimax", simulations=200), RANDOM, 20, 0.75),
    ],
    ids=lambda value: value.kind if isinstance(value, PlayerSpec) else "",
)
def test_the_stronger_player_wins(stronger, weaker, games, least, match):
    share = match(HEX, build_player(stronger, HEX), build_player(weaker, HEX), games, 11)
    assert share >= least


def test_the_heuristic_wins_more_than_its_share_against_three_random_players(match):
    config = GameConfig("square8", 4)
    share = match(config, build_player(HEURISTIC, config), build_player(RANDOM, config), 120, 5)
    assert share >= 0.45


def test_half_random_is_weaker_than_not_random(match):
    half = PlayerSpec("heuristic", randomness=0.7)
    share = match(HEX, build_player(HEURISTIC, HEX), build_player(half, HEX), 40, 3)
    assert share >= 0.7
