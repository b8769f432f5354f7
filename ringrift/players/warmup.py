"""`python -m ringrift.players.warmup`: compile the rules, the encoding and every player, for later starts.

Compiled code does not depend on the board, so one small game of each player covers all configs.
"""

from __future__ import annotations

import sys
import time
from typing import Any

import numpy as np

from ringrift.game.config import GameConfig
from ringrift.game.state import new_positions, start
from ringrift.game.warmup import warm_up as warm_up_rules
from ringrift.players.base import PlayerSpec, build_player

SPECS = (
    PlayerSpec("random"),
    PlayerSpec("heuristic", randomness=0.5),
    PlayerSpec("minimax", simulations=200),
    PlayerSpec("mcts", simulations=8),
    PlayerSpec("gumbel", simulations=8, considered=4),
)
"""One of each kind; together they call every compiled function but those of the encoding."""


def warm_up(net: Any = None) -> float:
    """Let every player choose one move, with `net` the encoding too; return the seconds it took."""
    started = time.perf_counter()
    warm_up_rules()
    config = GameConfig("square8", 2)
    states = new_positions(1)
    start(states, 0, config)
    seeds = np.zeros(1, np.uint64)
    for spec in SPECS:
        build_player(spec, config).choose(states, seeds)
    if net is not None:
        build_player(PlayerSpec("gumbel", model="warm-up", simulations=4), config, net).choose(states, seeds)
    return time.perf_counter() - started


def main() -> None:
    """Compile everything and say how long it took."""
    from ringrift.nets.network import ArchConfig, RingRiftNet
    from ringrift.nets.targets import dense_targets, pick

    seconds = warm_up(RingRiftNet(ArchConfig(blocks=1, channels=8)))
    none, weights = np.zeros(1, np.int64), np.zeros(0, np.float32)
    dense_targets(none, none, np.zeros(0, np.uint16), np.zeros(0, np.uint8), 1, weights)
    pick(none[:0], none, none, weights, none, none, weights)
    sys.stdout.write(f"rules, encoding and players ready in {seconds:.1f} s\n")


if __name__ == "__main__":
    main()
