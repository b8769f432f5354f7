"""Alpha-beta against a plain minimax that looks at everything."""

from __future__ import annotations

import numpy as np
import pytest

from ringrift.game.config import GameConfig
from ringrift.game.play import Game
from ringrift.players.base import PlayerSpec, build_player
from ringrift.players.heuristic import evaluate, new_terms


def settled(game, move):
    """Return the game after the move and the forced plies behind it."""
    after = game.copy()
    after.apply(move)
    while not after.over and len(after.legal()) == 1:
        after.apply(after.legal()[0])
    return after


def plain_minimax(game, depth, seat):
    """Return the result of `seat`, everybody else against it, looking `depth` decisions ahead."""
    if game.over or depth == 0:
        values = np.zeros((1, 4))
        evaluate(game.geo, game.states, 0, new_terms(), values, 0)
        return values[0, seat - 1]
    results = [plain_minimax(settled(game, move), depth - 1, seat) for move in game.legal()]
    return max(results) if game.player == seat else min(results)


@pytest.mark.parametrize("depth", [0, 1, 2])
@pytest.mark.parametrize("config", ["hex8_2p", "square8_3p"])
def test_pruning_changes_no_result(config, depth, positions):
    config = GameConfig.parse(config)
    checked = 0
    for seed in range(40):
        game = Game(config, positions(config, 1, 90, seed=seed))
        legal = game.legal()
        if not 2 <= len(legal) <= 12 or checked == 3:
            continue
        checked += 1
        player = build_player(PlayerSpec("minimax", simulations=1), config)
        scores, _ = player._look(game.states, 0, legal, np.arange(len(legal)), depth, 10**6, None)
        expected = [plain_minimax(settled(game, move), depth, game.player) for move in legal]
        best = int(np.argmax(expected))
        assert scores.max() == pytest.approx(expected[best])
        assert int(scores.argmax()) == best
    assert checked


def test_a_budget_is_kept_to_and_gives_up_whole_moves(positions):
    config = GameConfig("hex8", 2)
    game = Game(config, positions(config, 1, 0))
    player = build_player(PlayerSpec("minimax", simulations=1), config)
    legal = game.legal()
    scores, seen = player._look(game.states, 0, legal, np.arange(len(legal)), 2, 500, None)
    assert seen <= 501
    reached = np.isfinite(scores)
    assert reached.sum() < len(legal)
    assert not reached[np.argmin(reached) :].any()
