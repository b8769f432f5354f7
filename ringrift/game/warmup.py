"""`python -m ringrift.game.warmup`: compile every verb, so that later starts load it from the cache."""

from __future__ import annotations

import sys
import time

from ringrift.game.config import GameConfig
from ringrift.game.legal import is_legal, legal_moves
from ringrift.game.play import Game
from ringrift.game.playout import copy_position, next_decision, playout, settle
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
    return time.perf_counter() - started


if __name__ == "__main__":
    sys.stdout.write(f"rules engine ready in {warm_up():.1f} s\n")
