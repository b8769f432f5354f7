"""The random player: every legal move with the same probability."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ringrift.players.base import RANDOM_DRAW, Deadline, Moves, Player, Positions, SearchResult, signed
from ringrift.players.randomness import below


class RandomPlayer(Player):
    """Kind `random`. Its values give every seat the same chance."""

    def _search(
        self,
        states: Positions,
        seeds: npt.NDArray[np.uint64],
        deadline: Deadline | None,
        simulations: Moves | None,
    ) -> SearchResult:
        legal = [self.legal(states, i) for i in range(len(states))]
        values = np.zeros((len(states), 4), np.float32)
        values[:, : self.config.players] = 1 / self.config.players
        policy = [(moves, np.full(len(moves), 1 / len(moves), np.float32)) for moves in legal]
        return SearchResult(self._draw(states, seeds, legal), values, policy)

    def _draw(self, states: Positions, seeds: npt.NDArray[np.uint64], legal: list[Moves]) -> Moves:
        moves = np.zeros(len(states), np.int64)
        for i, seed in enumerate(signed(seeds)):
            moves[i] = legal[i][below(self.word(states, i, seed), RANDOM_DRAW, len(legal[i]))]
        return moves
