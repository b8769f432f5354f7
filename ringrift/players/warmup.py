"""`python -m ringrift.players.warmup`: compile the rules, the encoding and every player, for later starts.

Compiled code does not depend on the board, so one small game of each player covers all configs.
"""

from __future__ import annotations

import sys
import time

import numpy as np
import numpy.typing as npt

from ringrift.game.config import GameConfig
from ringrift.game.state import new_positions, start
from ringrift.game.warmup import warm_up as warm_up_rules
from ringrift.nets.features import Buffers
from ringrift.nets.planes import SEATS
from ringrift.players.base import PlayerSpec, build_player

SPECS = (
    PlayerSpec("random"),
    PlayerSpec("heuristic", randomness=0.5),
    PlayerSpec("minimax", simulations=200),
    PlayerSpec("mcts", simulations=8),
    PlayerSpec("gumbel", simulations=8, considered=4),
)
"""One of each kind; together they call every compiled function but those of the encoding."""


def warm_up(*, encoding: bool = False) -> float:
    """Let every player choose one move, with `encoding` one with a net too; return the seconds it took."""
    started = time.perf_counter()
    warm_up_rules()
    config = GameConfig("square8", 2)
    states = new_positions(1)
    start(states, 0, config)
    seeds = np.zeros(1, np.uint64)
    for spec in SPECS:
        build_player(spec, config).choose(states, seeds)
    if encoding:
        from ringrift.players.search.net_evaluator import NetEvaluator
        from ringrift.players.search.player import TreePlayer

        player = TreePlayer(PlayerSpec("gumbel", model="warm-up", simulations=4), config)
        player.evaluator = NetEvaluator(_knows_nothing, config)
        player.choose(states, seeds)
    return time.perf_counter() - started


def _knows_nothing(
    buffers: Buffers, positions: int, moves: int
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Answer as a net of either engine does, which may be installed or not."""
    return np.full((positions, SEATS), 1 / SEATS, np.float32), np.zeros(moves, np.float32)


def main() -> None:
    """Compile everything and say how long it took."""
    from ringrift.nets.targets import dense_targets, pick

    seconds = warm_up(encoding=True)
    none, weights = np.zeros(1, np.int64), np.zeros(0, np.float32)
    dense_targets(none, none, np.zeros(0, np.uint16), np.zeros(0, np.uint8), 1, weights)
    pick(none[:0], none, none, weights, none, none, weights)
    sys.stdout.write(f"rules, encoding and players ready in {seconds:.1f} s\n")


if __name__ == "__main__":
    main()
