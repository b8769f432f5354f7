"""Who judges leaves: what an evaluator is, and the heuristic as one. Nets are in `net_evaluator`."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import numpy.typing as npt

from ringrift.game._jit import jit
from ringrift.game.geometry import geometry
from ringrift.game.state import new_scratch
from ringrift.players.heuristic import evaluate, look_ahead, new_trial
from ringrift.players.randomness import position_word, uniform
from ringrift.players.search.forest import Leaves


class Evaluator(Protocol):
    """Fills `leaves.values` and `leaves.logits` for the first `count` leaves, positions of `states`."""

    def evaluate(self, states: npt.NDArray[np.void], leaves: Leaves, count: int) -> None:
        """Judge leaves inside the trees."""

    def evaluate_roots(self, states: npt.NDArray[np.void], leaves: Leaves, count: int) -> None:
        """Judge roots, which are few and deserve more care."""


class HeuristicEvaluator:
    """Values by the heuristic; even priors, at roots by looking one move ahead.

    Looking ahead at every node was measured to be worse than spending the same time on more simulations.
    """

    def __init__(self, board: str) -> None:
        self.geo = geometry(board)
        self.scratch = new_scratch(board)
        self.trial = new_trial()

    def evaluate(self, states: npt.NDArray[np.void], leaves: Leaves, count: int) -> None:
        judge_leaves(self.geo, states, leaves, count, self.trial.terms)

    def evaluate_roots(self, states: npt.NDArray[np.void], leaves: Leaves, count: int) -> None:
        self.evaluate(states, leaves, count)
        for slot in range(count):
            part = slice(leaves.offsets[slot], leaves.offsets[slot + 1])
            moves, results = leaves.moves[part], leaves.logits[part]
            look_ahead(self.geo, states, leaves.node[slot], moves, results, self.trial, self.scratch)
            results *= SHARPNESS


SHARPNESS = 20.0
"""Logits per unit of winning probability in the priors of a root."""

TIE = 1e-6
"""Priors of inner nodes differ by at most this, by chance: a node with many moves keeps a fair sample."""


@jit
def judge_leaves(geo, states, leaves, count, terms):
    """Fill values by the heuristic; priors are even up to `TIE`."""
    for slot in range(count):
        node = leaves.node[slot]
        evaluate(geo, states, node, terms, leaves.values, slot)
        word = position_word(geo, states, node, 0)
        for j in range(leaves.offsets[slot], leaves.offsets[slot + 1]):
            leaves.logits[j] = TIE * uniform(word, j - leaves.offsets[slot])
