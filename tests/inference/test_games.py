"""Whole games over HTTP: no move that the rules forbid, to the end, on every config. More: `make games`."""

from __future__ import annotations

import pytest

from ringrift.game.config import ALL_CONFIGS
from tests.inference.games import play

pytestmark = pytest.mark.timeout(1200)


@pytest.mark.parametrize("config", ALL_CONFIGS, ids=lambda config: config.key)
def test_every_move_of_a_whole_game_is_legal(service, config):
    """The seats play at levels 1 and 2, on the small boards at 3 and with the config's net too."""
    levels = (1, 2) if config.cells > 100 else (1, 2, 3, 5)
    played = play(service.url, config, levels, seed=11, history=False)
    assert 1 <= played.winner <= config.players
    assert 20 < played.asked < played.plies
