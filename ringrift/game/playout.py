"""Several plies in one call: forced ones up to the next decision, or a random game."""

from __future__ import annotations

import numpy as np

from ringrift.game._jit import jit
from ringrift.game.apply import apply
from ringrift.game.legal import legal_moves
from ringrift.game.rng import draw, seed_rng


@jit
def next_decision(geo, states, i, scratch, out):
    """Play every forced ply; write the legal set of the decision reached to `out` and return its size.

    The size is 0 when the game is over, else at least 2.
    """
    count = legal_moves(geo, states, i, scratch, out)
    while count == 1:
        apply(geo, states, i, scratch, out[0])
        count = legal_moves(geo, states, i, scratch, out)
    return count


@jit
def settle(geo, states, i, scratch):
    """Play every forced ply until there is a decision or the game is over; return how many were played."""
    before = np.int64(states[i]["ply"])
    next_decision(geo, states, i, scratch, scratch.moves)
    return np.int64(states[i]["ply"]) - before


@jit
def playout(geo, states, i, scratch, seed):
    """Play uniformly random moves to the end of the game; return the number of plies."""
    before = np.int64(states[i]["ply"])
    states[i]["rng"] = seed_rng(seed)
    count = next_decision(geo, states, i, scratch, scratch.moves)
    while count > 0:
        apply(geo, states, i, scratch, scratch.moves[draw(states, i, count)])
        count = next_decision(geo, states, i, scratch, scratch.moves)
    return np.int64(states[i]["ply"]) - before


@jit
def copy_position(target, i, source, j):
    """Copy record `j` of `source` over record `i` of `target`."""
    target[i] = source[j]
