"""Plies per CPU-second of random games, with the full legal set at every ply.

A ply is one recorded move, the forced ones of bookkeeping included. The loops are compiled, and loaded before
the clock starts.
"""

from __future__ import annotations

import statistics
import time
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ringrift.bench.kernels import settled_games, stepped_games
from ringrift.bench.phases import PhaseCost, phase_costs
from ringrift.game.config import GameConfig
from ringrift.game.play import Game

BATCH = 8
"""Games a call: the call itself costs about a microsecond."""
ROUNDS = 3
"""Measurements of which the median is taken."""


@dataclass(frozen=True)
class Speed:
    """The figures of one config on one thread."""

    config: str
    stepped: float
    """Plies per CPU-second, one at a time."""
    settled: float
    """Plies per CPU-second, with the forced ones played by the engine between two decisions."""
    plies: float
    """Plies per game."""
    decisions: float
    """Plies per game with a choice of at least two moves."""
    legal_median: int
    """Legal moves at a decision."""
    legal_p99: int
    phases: list[PhaseCost]


class RandomGames:
    """Random games of a config in batches, for one thread."""

    def __init__(self, config: GameConfig, seed: int = 1) -> None:
        """Play the games of `seed`, `seed + 1` and so on."""
        game = Game.new(config)
        self._verbs = (game.geo, game.states.copy(), game.states, game.scratch)
        self._first = self._seed = seed
        self.sizes: npt.NDArray[np.int64] = np.zeros(game.geo.max_moves + 1, np.int64)
        """Plies that were stepped, by the size of their legal set."""

    @property
    def games(self) -> int:
        """Games of the batches that `next_batch` has left behind."""
        return self._seed - self._first

    def step(self) -> int:
        """Play this batch ply by ply; return its plies."""
        return int(stepped_games(*self._verbs, self._seed, BATCH, self.sizes))

    def settle(self) -> int:
        """Play this batch decision by decision; return its plies."""
        return int(settled_games(*self._verbs, self._seed, BATCH))

    def next_batch(self) -> None:
        self._seed += BATCH


def measure_speed(config: GameConfig, seconds: float) -> Speed:
    """Measure one config; each of the two rates, and the phases, take about `seconds` of CPU time."""
    games = RandomGames(config)
    games.settle()
    games.step()
    games.sizes[:] = 0
    rates = [_rates(games, seconds / ROUNDS) for _ in range(ROUNDS)]
    decisions = games.sizes.copy()
    decisions[:2] = 0
    return Speed(
        config=config.key,
        stepped=statistics.median(stepped for stepped, _ in rates),
        settled=statistics.median(settled for _, settled in rates),
        plies=float(games.sizes.sum()) / games.games,
        decisions=float(decisions.sum()) / games.games,
        legal_median=_quantile(decisions, 0.5),
        legal_p99=_quantile(decisions, 0.99),
        phases=phase_costs(config, seconds),
    )


def _rates(games: RandomGames, seconds: float) -> tuple[float, float]:
    """Return plies per CPU-second, stepped and settled; the two play the same batches in turn."""
    plies, stepped, settled = 0, 0.0, 0.0
    while stepped < seconds:
        began = time.process_time()
        plies += games.step()
        turned = time.process_time()
        games.settle()
        settled += time.process_time() - turned
        stepped += turned - began
        games.next_batch()
    return plies / stepped, plies / settled


def _quantile(counts: npt.NDArray[np.int64], part: float) -> int:
    """Return the smallest n such that at least that part of the counted plies has n moves or fewer."""
    return int(np.searchsorted(np.cumsum(counts), part * counts.sum()))
