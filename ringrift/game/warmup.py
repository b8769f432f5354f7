"""`python -m ringrift.game.warmup`: compile every verb, so that later starts load it from the cache."""

from __future__ import annotations

import sys
import time

import numpy as np

from ringrift.game.config import GameConfig
from ringrift.game.legal import is_legal, legal_moves
from ringrift.game.play import Game
from ringrift.game.playout import copy_position, next_decision, playout, settle
from ringrift.game.replay import final_checksum, replay_games, room, sorted_decision
from ringrift.game.state import new_positions


def warm_up() -> float:
    """Call each verb once on a small game; return the seconds it took."""
    started = time.perf_counter()
    game = Game.new(GameConfig("square8", 2))
    verbs = (game.geo, game.states, 0, game.scratch)
    legal_moves(*verbs, game.scratch.moves)
    is_legal(*verbs, int(game.scratch.moves[0]))
    game.apply(int(game.legal()[0]))
    next_decision(*verbs, game.scratch.moves)
    settle(*verbs)
    copy_position(new_positions(1), 0, game.states, 0)
    playout(*verbs, 1)
    final_checksum(*verbs[:3])
    sorted_decision(*verbs, np.zeros(room(game.geo), np.int64), 0)
    _replay_nothing(game)
    return time.perf_counter() - started


def _replay_nothing(game: Game) -> None:
    """Call `replay_games` with a game of no decisions, which goes on."""
    numbers, offsets = np.zeros(1, np.int64), np.zeros(2, np.int64)
    ranks, kept, ends = np.zeros(0, np.uint16), np.zeros(0, np.uint8), np.zeros((1, 5), np.int64)
    one, none = new_positions(1), np.zeros(0, np.int64)
    replay_games(
        game.geo, one, numbers, one.copy(), game.scratch, ranks, kept, offsets, 0, one, 0, none, offsets, ends
    )


if __name__ == "__main__":
    sys.stdout.write(f"rules engine ready in {warm_up():.1f} s\n")
