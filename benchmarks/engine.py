"""`python benchmarks/engine.py`: plies per CPU-second of random games, full legal list at every ply.

CPU time of this process, median of `REPEATS` runs of `SECONDS` each, after the kernels are loaded.
"""

from __future__ import annotations

import statistics
import time

import numpy as np

from ringrift.game.config import ALL_CONFIGS, GameConfig
from ringrift.game.play import Game
from ringrift.game.playout import playout

SECONDS = 1.0
REPEATS = 3


def rate(config: GameConfig, first_seed: int) -> tuple[float, float]:
    """Return (plies per CPU-second, plies per game)."""
    start = Game.new(config)
    states = start.states.copy()
    plies = games = 0
    began = time.process_time()
    while time.process_time() - began < SECONDS:
        states[0] = start.states[0]
        plies += int(playout(start.geo, states, 0, start.scratch, np.int64(first_seed + games)))
        games += 1
    return plies / (time.process_time() - began), plies / games


def main() -> None:
    playout(*_once(GameConfig("square8", 2)), np.int64(1))
    for config in ALL_CONFIGS:
        runs = [rate(config, 1000 * number + 1) for number in range(REPEATS)]
        speed = statistics.median(run[0] for run in runs)
        print(f"{config.key:<13} {speed:>11,.0f} plies/s  {runs[0][1]:>6.0f} plies/game")


def _once(config: GameConfig):  # type: ignore[no-untyped-def]
    game = Game.new(config)
    return game.geo, game.states, 0, game.scratch


if __name__ == "__main__":
    main()
