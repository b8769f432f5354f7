"""Who judges leaves: the heuristic, or a network through torch.

An evaluator fills `leaves.values` and `leaves.logits` for the first `count` leaves.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import numpy as np
import numpy.typing as npt

from ringrift.game._jit import jit
from ringrift.game.config import GameConfig
from ringrift.game.geometry import Geometry, geometry
from ringrift.game.state import new_scratch
from ringrift.players.heuristic import evaluate, look_ahead, new_trial
from ringrift.players.randomness import position_word, uniform
from ringrift.players.search.forest import Leaves

if TYPE_CHECKING:
    from ringrift.nets.network import RingRiftNet

CHUNK = 16
"""Positions per network call, always. Torch's kernels round differently for different batch sizes; a fixed
size makes a position's result independent of its batch, bit for bit on one machine (found so for 16 channels
and more). On one core 16 costs 12 % more per position than 64 and fits one game's first round."""


class Evaluator(Protocol):
    """Judges leaves."""

    def evaluate(self, states: npt.NDArray[np.void], leaves: Leaves, count: int) -> None:
        """Fill values and logits of the first `count` leaves."""

    def evaluate_roots(self, states: npt.NDArray[np.void], leaves: Leaves, count: int) -> None:
        """The same for roots, which are few and deserve more care."""


class HeuristicEvaluator:
    """Values by the heuristic; even priors, at roots by looking one move ahead.

    Looking ahead at every node was measured to be worse than spending the same time on more simulations.
    """

    def __init__(self, geo: Geometry, board: str) -> None:
        self.geo = geo
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


class NetEvaluator:
    """Values and priors of a network, in chunks of `CHUNK` positions."""

    def __init__(self, net: RingRiftNet, config: GameConfig) -> None:
        from ringrift.nets import features, grid

        self.net = net.eval()
        self.geo = geometry(config.board)
        self.grid = grid.grid(config.board)
        self.orientations = np.zeros(CHUNK, np.int64)
        self.buffers = features.new_buffers(config.board, CHUNK, CHUNK * self.geo.max_moves)
        self.buffers.planes[:] = 1.0
        self.buffers.scalars[:] = 1.0

    def evaluate(self, states: npt.NDArray[np.void], leaves: Leaves, count: int) -> None:
        for first in range(0, count, CHUNK):
            self._evaluate_chunk(states, leaves, first, min(first + CHUNK, count))

    evaluate_roots = evaluate

    def _evaluate_chunk(self, states: npt.NDArray[np.void], leaves: Leaves, first: int, last: int) -> None:
        import torch

        from ringrift.nets import features

        begin, end = int(leaves.offsets[first]), int(leaves.offsets[last])
        nodes, offsets = leaves.node[first:last], leaves.offsets[first : last + 1] - begin
        moves = leaves.moves[begin:end]
        features.encode_into(
            self.geo, self.grid.cells, self.orientations, states, nodes, moves, offsets, self.buffers
        )
        with torch.inference_mode():
            value, logits = self.net(features.as_inputs(self.buffers, CHUNK, end - begin))
            relative = torch.softmax(value, 1).numpy()
        leaves.logits[begin:end] = logits.numpy()
        features.to_absolute(states, nodes, relative, leaves.values[first:last])


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
