"""What one ply costs in each phase of a turn: its legal set, and playing one of its moves.

The clock is read around both while games are played, so that caches and branch predictors are as in a game.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ringrift.bench.kernels import read_clock, timed_games
from ringrift.game.config import GameConfig
from ringrift.game.phases import PHASE_NAMES
from ringrift.game.play import Game

BATCH = 8
READINGS = 10_000


@dataclass(frozen=True)
class PhaseCost:
    """One phase of random games: its part of all plies, and CPU microseconds a ply."""

    phase: str
    share: float
    legal_us: float
    apply_us: float

    def part(self, phases: Sequence[PhaseCost]) -> float:
        """Return the part of all time that these plies take."""
        return self._weight / sum(cost._weight for cost in phases)

    @property
    def _weight(self) -> float:
        return self.share * (self.legal_us + self.apply_us)


def phase_costs(config: GameConfig, seconds: float) -> list[PhaseCost]:
    """Play random games for about that much CPU time; return the cost of every phase that they reach."""
    game = Game.new(config)
    verbs = (game.geo, game.states.copy(), game.states, game.scratch)
    clock = np.zeros(2, np.int64)
    phases = np.zeros((len(PHASE_NAMES), 3), np.int64)
    timed_games(*verbs, 0, 1, clock, phases)
    phases[:] = 0
    reading = int(read_clock(clock, READINGS)) / READINGS
    seed, wall, cpu = 1, time.perf_counter(), time.process_time()
    while time.process_time() - cpu < seconds:
        timed_games(*verbs, seed, BATCH, clock, phases)
        seed += BATCH
    running = (time.process_time() - cpu) / (time.perf_counter() - wall)
    return [_cost(phase, phases, reading, running) for phase in range(len(phases)) if phases[phase, 0]]


def _cost(phase: int, phases: npt.NDArray[np.int64], reading: float, running: float) -> PhaseCost:
    """Leave out the readings of the clock, and the part of the time in which this process did not run."""
    plies, listing, playing = (int(count) for count in phases[phase])
    listed, played = (max(spent * running / plies - reading, 0.0) / 1000 for spent in (listing, playing))
    return PhaseCost(PHASE_NAMES[phase], plies / int(phases[:, 0].sum()), listed, played)
