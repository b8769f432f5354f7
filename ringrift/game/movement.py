"""Moving a stack along a ray (R090-R092), and whether a stack can do anything at all."""

from __future__ import annotations

import numpy as np

from ringrift.game._jit import jit
from ringrift.game.board import (
    add_marker,
    collapse,
    eliminate_ring,
    lift_stack,
    put_stack,
    remove_marker,
)
from ringrift.game.cellset import cell_at, holds, next_cell, place_of, step_of
from ringrift.game.geometry import NONE
from ringrift.game.moves import MOVE_STACK, pack
from ringrift.game.state import OPEN


@jit
def free_end(states, i, place, step, taken, stop):
    """Walk a ray on from `taken` steps while cells are open; return the steps then taken, at most `stop`."""
    open_rows = states[i]["space_rows"][OPEN]
    place += (taken + 1) * step
    while taken < stop and holds(open_rows, place):
        taken += 1
        place += step
    return taken


@jit
def distance_between(geo, cell, other):
    """Steps from one cell to another one on a ray of it."""
    place, end = place_of(geo, cell), place_of(geo, other)
    return max(abs((end & 31) - (place & 31)), abs((end >> 5) - (place >> 5)))


@jit
def add_stack_moves(geo, states, i, cell, step, end, out, n):
    """Append the moves of a stack along one ray whose first `end` cells are free."""
    height = np.int64(states[i]["height"][cell])
    place = place_of(geo, cell) + height * step
    for _ in range(height, end + 1):
        out[n] = pack(MOVE_STACK, cell, 0, cell_at(geo, place), 0, 0, 0)
        n += 1
        place += step
    return n


@jit
def capturable(geo, states, i, place, cap):
    """The cell at that place if it holds a stack of at most that cap, else `NONE`."""
    s = states[i]
    cell = cell_at(geo, place)
    if cell == NONE or s["height"][cell] == 0 or s["cap"][cell] > cap:
        return NONE
    return cell


@jit
def can_capture_along(geo, states, i, place, step, end, height, cap):
    """True when a stack of that height and cap could capture along a ray whose first `end` cells are free."""
    if capturable(geo, states, i, place + (end + 1) * step, cap) == NONE:
        return False
    landing = max(end + 2, height)
    return free_end(states, i, place, step, end + 1, landing) == landing


@jit
def can_act_from(geo, states, i, cell, height, cap):
    """True when a stack of that height and cap on `cell` would have a move or a capture (section 4.3)."""
    place = place_of(geo, cell)
    for direction in range(geo.n_dirs):
        step = step_of(geo, direction)
        end = free_end(states, i, place, step, 0, height)
        if end == height or can_capture_along(geo, states, i, place, step, end, height, cap):
            return True
    return False


@jit
def can_any_stack_act(geo, states, i, player):
    """True when the player controls a stack with a legal move or capture; must-move is ignored."""
    s = states[i]
    if s["stacks"][player] == 0:
        return False
    stacks = s["top_rows"][player]
    cell = next_cell(geo, stacks, -1)
    while cell != NONE:
        if can_act_from(geo, states, i, cell, np.int64(s["height"][cell]), np.int64(s["cap"][cell])):
            return True
        cell = next_cell(geo, stacks, cell)
    return False


@jit
def cross(geo, states, i, cell, to):
    """Pass over the markers strictly between two cells: own ones collapse, others turn own."""
    s = states[i]
    player = np.int64(s["player"])
    place, end = place_of(geo, cell), place_of(geo, to)
    distance = distance_between(geo, cell, to)
    step = (end - place) // distance
    for _ in range(distance - 1):
        place += step
        passed = cell_at(geo, place)
        owner = np.int64(s["marker"][passed])
        if owner == player:
            collapse(geo, states, i, passed, player)
        elif owner > 0:
            remove_marker(geo, states, i, passed)
            add_marker(geo, states, i, passed, player)


@jit
def land(geo, states, i, to, rings, height):
    """Put a moving stack down; a marker there vanishes and costs the top ring."""
    on_marker = states[i]["marker"][to] > 0
    if on_marker:
        remove_marker(geo, states, i, to)
    put_stack(geo, states, i, to, rings, height)
    if on_marker:
        eliminate_ring(geo, states, i, to, 0)


@jit
def apply_stack_move(geo, states, i, cell, to):
    """Move the stack on `cell` to `to`, leaving a marker behind."""
    s = states[i]
    rings = np.int64(s["rings"][cell])
    height = np.int64(s["height"][cell])
    lift_stack(geo, states, i, cell)
    add_marker(geo, states, i, cell, np.int64(s["player"]))
    cross(geo, states, i, cell, to)
    land(geo, states, i, to, rings, height)
