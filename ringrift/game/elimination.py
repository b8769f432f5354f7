"""Eliminations: owed for a line or a region, or forced (R100, R114, R122, R145)."""

from __future__ import annotations

import numpy as np

from ringrift.game._jit import jit
from ringrift.game.board import buried_depth, eliminate_ring, eliminate_rings
from ringrift.game.moves import ELIMINATE, FORCED_ELIMINATION, at_cell
from ringrift.game.phases import NOTHING_OWED, OWED_LINE, OWED_RECOVERY


@jit
def add_owed_eliminations(geo, states, i, out, n):
    """Append one elimination for each stack that may pay what is owed.

    Stacks inside a claimed region are gone, so all that are left lie outside it.
    """
    s = states[i]
    player = np.int64(s["player"])
    owed = np.int64(s["pending"])
    for cell in range(geo.n_cells):
        if owed == OWED_RECOVERY:
            pays = buried_depth(states, i, cell, player) > 0
        else:
            pays = s["top"][cell] == player
        if pays:
            out[n] = at_cell(ELIMINATE, cell, owed)
            n += 1
    return n


@jit
def add_forced_eliminations(geo, states, i, out, n):
    """Append one decision for each controlled stack."""
    s = states[i]
    for cell in range(geo.n_cells):
        if s["top"][cell] == s["player"]:
            out[n] = at_cell(FORCED_ELIMINATION, cell, 0)
            n += 1
    return n


@jit
def apply_elimination(geo, states, i, cell, owed):
    """Pay: one top ring for a line, the bottom-most buried ring in a recovery turn, else the whole cap."""
    s = states[i]
    if owed == OWED_LINE:
        eliminate_ring(geo, states, i, cell, 0)
    elif owed == OWED_RECOVERY:
        eliminate_ring(geo, states, i, cell, buried_depth(states, i, cell, np.int64(s["player"])))
    else:
        eliminate_rings(geo, states, i, cell, np.int64(s["cap"][cell]))
    s["pending"] = NOTHING_OWED


@jit
def apply_forced_elimination(geo, states, i, cell):
    """Remove the whole cap of a controlled stack."""
    eliminate_rings(geo, states, i, cell, np.int64(states[i]["cap"][cell]))
