"""The heuristic player: looks one move ahead and takes the best, ties at random."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ringrift.game._jit import jit
from ringrift.game.config import GameConfig
from ringrift.game.legal import legal_moves
from ringrift.game.state import new_positions
from ringrift.players.base import Moves, Player, PlayerSpec, Positions, SearchResult, signed
from ringrift.players.heuristic import evaluate, new_terms, result_after
from ringrift.players.randomness import position_word, uniform


class HeuristicPlayer(Player):
    """Kind `heuristic`. Its policy puts everything on the best moves; its values are the heuristic's."""

    def __init__(self, spec: PlayerSpec, config: GameConfig) -> None:
        super().__init__(spec, config)
        self.terms = new_terms()
        self.trial = new_positions(1)
        self.trial_value = np.zeros((1, 4))
        self.moves = np.zeros(self.geo.max_moves, np.int64)
        self.results = np.zeros(self.geo.max_moves)

    def _search(
        self,
        states: Positions,
        seeds: npt.NDArray[np.uint64],
        deadline: float | None,
        simulations: Moves | None,
    ) -> SearchResult:
        chosen = np.zeros(len(states), np.int64)
        values = np.zeros((len(states), 4))
        policy = []
        for i, seed in enumerate(signed(seeds)):
            count, best = best_move(
                self.geo, states, i, seed, self.terms, self.trial, self.trial_value, self.scratch,
                self.moves, self.results,
            )  # fmt: skip
            chosen[i] = self.moves[best]
            evaluate(self.geo, states, i, self.terms, values, i)
            ties = self.results[:count] == self.results[best]
            policy.append((self.moves[:count].copy(), (ties / ties.sum()).astype(np.float32)))
        return SearchResult(chosen, values.astype(np.float32), policy)


@jit
def best_move(geo, states, i, seed, terms, trial, trial_value, scratch, moves, results):
    """Write the legal moves and their results; return `(their number, index of the chosen one)`."""
    word = position_word(geo, states, i, seed)
    count = legal_moves(geo, states, i, scratch, moves)
    best = 0
    best_draw = -1.0
    for j in range(count):
        results[j] = result_after(geo, states, i, moves[j], terms, trial, trial_value, scratch)
        draw = uniform(word, j)
        if results[j] > results[best] or (results[j] == results[best] and draw > best_draw):
            best = j
            best_draw = draw
    return count, best
