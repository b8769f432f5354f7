"""The heuristic player: looks one move ahead and takes the best, ties at random."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ringrift.game.config import GameConfig
from ringrift.players.base import (
    Deadline,
    Moves,
    Player,
    PlayerSpec,
    Positions,
    SearchResult,
    best_of,
    signed,
)
from ringrift.players.heuristic import evaluate, look_ahead, new_trial


class HeuristicPlayer(Player):
    """Kind `heuristic`. Its policy shares everything among the best moves; its values are the heuristic's."""

    def __init__(self, spec: PlayerSpec, config: GameConfig) -> None:
        super().__init__(spec, config)
        self.trial = new_trial()

    def _search(
        self,
        states: Positions,
        seeds: npt.NDArray[np.uint64],
        deadline: Deadline | None,
        simulations: Moves | None,
    ) -> SearchResult:
        chosen = np.zeros(len(states), np.int64)
        values = np.zeros((len(states), 4))
        policy = []
        for i, seed in enumerate(signed(seeds)):
            moves = self.legal(states, i)
            results = np.zeros(len(moves))
            look_ahead(self.geo, states, i, moves, results, self.trial, self.scratch)
            chosen[i] = moves[best_of(results, self.word(states, i, seed))]
            evaluate(self.geo, states, i, self.trial.terms, values, i)
            ties = results == results.max()
            policy.append((moves, (ties / ties.sum()).astype(np.float32)))
        return SearchResult(chosen, values.astype(np.float32), policy)
