"""`python benchmarks/search_speed.py`: leaves per CPU-second of the searches, one thread.

Positions are 32 games after up to 40 random decisions. Run it on a quiet machine; no test depends on it.
"""

from __future__ import annotations

import time

import numpy as np
import torch

from ringrift.game import phases
from ringrift.game.apply import apply
from ringrift.game.config import GameConfig
from ringrift.game.playout import settle
from ringrift.game.state import new_positions, start
from ringrift.nets.network import ArchConfig, RingRiftNet
from ringrift.players.base import PlayerSpec, build_player

GAMES = 32
SIMULATIONS = 32


def midgames(config: GameConfig) -> np.ndarray:
    """Return positions after up to 40 random decisions."""
    player = build_player(PlayerSpec("random"), config)
    states = new_positions(GAMES)
    for i in range(GAMES):
        start(states, i, config)
    for turn in range(40):
        active = np.flatnonzero((states["status"] == phases.ACTIVE) & (np.arange(GAMES) > turn % GAMES))
        moves = player.choose(states[active], active.astype(np.uint64))
        for i, move in zip(active, moves, strict=True):
            apply(player.geo, states, i, player.scratch, move)
            settle(player.geo, states, i, player.scratch)
    return states[states["status"] == phases.ACTIVE]


def measure(spec: PlayerSpec, config: GameConfig, net: RingRiftNet | None) -> float:
    """Return leaves per CPU-second, the better of three runs."""
    player = build_player(spec, config, net)
    states = midgames(config)
    seeds = np.arange(len(states), dtype=np.uint64)
    player.search(states, seeds)
    rates = []
    for _ in range(3):
        started = time.process_time()
        player.search(states, seeds)
        rates.append(len(states) * (SIMULATIONS + 1) / (time.process_time() - started))
    return max(rates)


def main() -> None:
    torch.set_num_threads(1)
    net = RingRiftNet(ArchConfig())
    for key in ("square8_2p", "hex8_2p", "hex8_4p", "square19_2p", "hexagonal_2p"):
        config = GameConfig.parse(key)
        row = [
            measure(PlayerSpec("gumbel", simulations=SIMULATIONS), config, None),
            measure(PlayerSpec("mcts", simulations=SIMULATIONS), config, None),
            measure(PlayerSpec("gumbel", model="benchmark", simulations=SIMULATIONS), config, net),
        ]
        print(f"{key:14} gumbel {row[0]:8.0f}  mcts {row[1]:8.0f}  gumbel with net {row[2]:8.0f}")


if __name__ == "__main__":
    main()
