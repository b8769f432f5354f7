"""What can be done to a cell: put, lift and shrink stacks, set and flip markers, collapse spaces.

Every change of the board goes through these functions, which keep the derived fields (`cap`, `top`, `stacks`,
`on_board`, `markers`, `territory` and the cell sets) true.
"""

from __future__ import annotations

import numpy as np

from ringrift.game._jit import jit
from ringrift.game.cellset import board_row, place_of
from ringrift.game.geometry import HAS_NEIGHBOUR, STAYS_WHOLE
from ringrift.game.state import COLLAPSED, OPEN


@jit
def cap_of(rings, height):
    """Length of the run of the controller's rings from the top; 0 for no stack."""
    owner = rings & 3
    cap = min(height, 1)
    while cap < height and (rings >> 2 * cap) & 3 == owner:
        cap += 1
    return cap


@jit
def bit_of(place):
    """Bit of a place in its row."""
    return 1 << (np.int64(place) & 31)


@jit
def lift_stack(geo, states, i, cell):
    """Take the stack off its cell; its rings still count as on the board."""
    s = states[i]
    owner = np.int64(s["top"][cell])
    row, bit = place_of(geo, cell) >> 5, bit_of(place_of(geo, cell))
    s["space_rows"][OPEN, row] |= bit
    s["top_rows"][owner, row] &= ~bit
    s["stacks"][owner] -= 1
    s["rings"][cell] = 0
    s["height"][cell] = 0
    s["cap"][cell] = 0
    s["top"][cell] = 0


@jit
def put_stack(geo, states, i, cell, rings, height):
    """Put a stack (no change for height 0) on a cell without one."""
    if height == 0:
        return
    s = states[i]
    owner = (rings & 3) + 1
    row, bit = place_of(geo, cell) >> 5, bit_of(place_of(geo, cell))
    s["space_rows"][OPEN, row] &= ~bit
    s["top_rows"][owner, row] |= bit
    s["rings"][cell] = rings
    s["height"][cell] = height
    s["cap"][cell] = cap_of(rings, height)
    s["top"][cell] = owner
    s["stacks"][owner] += 1


@jit
def remove_ring(geo, states, i, cell, depth):
    """Remove the ring `depth` rings below the top (0 = the top ring itself); return its owner."""
    s = states[i]
    rings = np.int64(s["rings"][cell])
    height = np.int64(s["height"][cell])
    owner = (rings >> 2 * depth & 3) + 1
    above = rings & ((1 << 2 * depth) - 1)
    below = rings >> 2 * depth + 2
    lift_stack(geo, states, i, cell)
    put_stack(geo, states, i, cell, above | below << 2 * depth, height - 1)
    s["on_board"][owner] -= 1
    return owner


@jit
def eliminate_ring(geo, states, i, cell, depth):
    """Remove one ring and credit it to the mover."""
    remove_ring(geo, states, i, cell, depth)
    s = states[i]
    s["eliminated"][s["player"]] += 1


@jit
def eliminate_rings(geo, states, i, cell, count):
    """Remove the top `count` rings of a stack and credit them to the mover."""
    for _ in range(count):
        eliminate_ring(geo, states, i, cell, 0)


@jit
def buried_depth(states, i, cell, player):
    """Depth of the player's bottom-most ring below the top ring; 0 when none is buried there."""
    s = states[i]
    rings = np.int64(s["rings"][cell])
    depth = np.int64(s["height"][cell]) - 1
    while depth > 0 and (rings >> 2 * depth & 3) + 1 != player:
        depth -= 1
    return max(depth, 0)


@jit
def around(geo, states, i, family, place):
    """The 3 x 3 cells at a place that belong to a family (see `territory`), bit `3 * row + column`."""
    s = states[i]
    window = 0
    for row in range(3):
        number = (place >> 5) - 1 + row
        bounds = np.int64(s["space_rows"][COLLAPSED, number] | s["marker_rows"][family, number])
        window |= (board_row(geo, number) & ~bounds) >> (place & 31) - 1 << 3 * row & 7 << 3 * row
    return window


@jit
def note_change(geo, states, i, family, place, quality):
    """Forget that a family is connected unless the cells around the changed one show that it still is."""
    s = states[i]
    if s["connected"][family] == 1:
        window = around(geo, states, i, family, place)
        s["connected"][family] = geo.tables[0]["holds_together"][window] & quality != 0


@jit
def remove_marker(geo, states, i, cell):
    s = states[i]
    owner = np.int64(s["marker"][cell])
    place = place_of(geo, cell)
    s["marker_rows"][owner, place >> 5] &= ~bit_of(place)
    note_change(geo, states, i, owner, place, HAS_NEIGHBOUR)
    s["markers"][owner] -= 1
    s["marker"][cell] = 0


@jit
def add_marker(geo, states, i, cell, player):
    """Set a marker on a cell without one."""
    s = states[i]
    place = place_of(geo, cell)
    s["marker_rows"][player, place >> 5] |= bit_of(place)
    note_change(geo, states, i, player, place, STAYS_WHOLE)
    s["marker"][cell] = player
    s["markers"][player] += 1


@jit
def collapse(geo, states, i, cell, player):
    """Turn a cell without a stack into the player's territory; a marker there vanishes."""
    s = states[i]
    if s["marker"][cell] > 0:
        remove_marker(geo, states, i, cell)
    place = place_of(geo, cell)
    s["space_rows"][OPEN, place >> 5] &= ~bit_of(place)
    s["space_rows"][COLLAPSED, place >> 5] |= bit_of(place)
    for family in range(s["players"] + 1):
        note_change(geo, states, i, family, place, STAYS_WHOLE)
    s["collapsed"][cell] = player
    s["territory"][player] += 1


@jit
def marked_row(states, i, number):
    """Cells of a row with a marker of any colour."""
    rows = states[i]["marker_rows"]
    return np.int64(rows[1, number] | rows[2, number] | rows[3, number] | rows[4, number])


@jit
def stacks_in_row(geo, states, i, number):
    """Cells of a row with a stack."""
    rows = states[i]["space_rows"]
    return board_row(geo, number) & ~np.int64(rows[OPEN, number] | rows[COLLAPSED, number])


@jit
def any_rings(states, i, seat):
    """True while the seat owns a ring anywhere, in hand, on top or buried."""
    s = states[i]
    return s["hand"][seat] + s["on_board"][seat] > 0


@jit
def is_bare(states, i, cell):
    """True when the cell holds nothing."""
    s = states[i]
    return s["height"][cell] == 0 and s["marker"][cell] == 0 and s["collapsed"][cell] == 0


@jit
def is_blocked(states, i, cell):
    """True when nothing can pass or land: a stack or a collapsed space."""
    s = states[i]
    return s["height"][cell] > 0 or s["collapsed"][cell] > 0
