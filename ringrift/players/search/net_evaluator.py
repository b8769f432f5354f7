"""A network as the judge of leaves: encode in compiled code, one call of the net per chunk, write back."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from ringrift.game.config import GameConfig
from ringrift.game.geometry import geometry
from ringrift.nets.features import Buffers, encode_into, new_buffers, to_absolute
from ringrift.nets.grid import grid
from ringrift.players.search.forest import Leaves

CHUNK = 16
"""Positions per network call, always, unless a player's own size is given. Torch's kernels round differently
for different batch sizes; a fixed size makes a position's result independent of its batch, bit for bit on one
machine (found so for 16 channels and more). On one core 16 costs 12 % more per position than 64 and fits one
game's first round."""

Floats = npt.NDArray[np.float32]
Compute = Callable[[Buffers, int, int], tuple[Floats, Floats]]
"""(buffers, positions, moves) -> (chances by seat from the mover's on, a row for each position at least;
a logit for each move). The buffers have room for a call's positions."""


class NetEvaluator:
    """Values and priors of a network, an `Evaluator` that asks about `chunk` positions at a time."""

    def __init__(self, compute: Compute, config: GameConfig, chunk: int = CHUNK) -> None:
        self.compute = compute
        self.chunk = chunk
        self.geo = geometry(config.board)
        self.cells = grid(config.board).cells
        self.orientations = np.zeros(chunk, np.int64)
        self.buffers = new_buffers(config.board, chunk, chunk * self.geo.max_moves)
        self.buffers.planes[:] = 1.0  # rows that a short chunk leaves unused must be harmless, too
        self.buffers.scalars[:] = 1.0

    def evaluate(self, states: npt.NDArray[np.void], leaves: Leaves, count: int) -> None:
        """Judge the first `count` leaves."""
        for first in range(0, count, self.chunk):
            self._evaluate_chunk(states, leaves, first, min(first + self.chunk, count))

    evaluate_roots = evaluate

    def _evaluate_chunk(self, states: npt.NDArray[np.void], leaves: Leaves, first: int, last: int) -> None:
        begin, end = int(leaves.offsets[first]), int(leaves.offsets[last])
        nodes, moves = leaves.node[first:last], leaves.moves[begin:end]
        offsets = leaves.offsets[first : last + 1] - begin
        encode_into(self.geo, self.cells, self.orientations, states, nodes, moves, offsets, self.buffers)
        relative, logits = self.compute(self.buffers, last - first, end - begin)
        leaves.logits[begin:end] = logits
        to_absolute(states, nodes, relative, leaves.values[first:last])
