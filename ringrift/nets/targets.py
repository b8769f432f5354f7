"""Policy targets over legal moves, and batches picked from many positions, in compiled code."""

from __future__ import annotations

import numpy as np

from ringrift.game._jit import jit


@jit
def dense_targets(offsets, starts, ranks, weights, whole, policy):
    """Write the target of every position over its legal moves, summing to 1, to `policy` (moves,).

    Position i has the moves `offsets[i]:offsets[i + 1]` and the entries `starts[i]:starts[i + 1]`: ascending
    ranks among its moves and weights, in parts of `whole`. What the entries leave of the whole is spread
    evenly over the other moves.
    """
    for i in range(offsets.shape[0] - 1):
        total = np.int64(0)
        for entry in range(starts[i], starts[i + 1]):
            total += weights[entry]
        others = offsets[i + 1] - offsets[i] - (starts[i + 1] - starts[i])
        rest = max(whole - total, 0) / others if others > 0 else 0.0
        scale = 1.0 / (total + rest * others)
        for move in range(offsets[i], offsets[i + 1]):
            policy[move] = rest * scale
        for entry in range(starts[i], starts[i + 1]):
            policy[offsets[i] + ranks[entry]] = weights[entry] * scale


@jit
def pick(chosen, from_offsets, from_moves, from_policy, offsets, moves, policy):
    """Copy moves and targets of the positions `chosen` one behind the other; `offsets` are already set."""
    for row in range(chosen.shape[0]):
        source = from_offsets[chosen[row]]
        for k in range(offsets[row + 1] - offsets[row]):
            moves[offsets[row] + k] = from_moves[source + k]
            policy[offsets[row] + k] = from_policy[source + k]
