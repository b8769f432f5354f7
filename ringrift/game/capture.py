"""Capturing over a stack, once or in a chain (R101-R103)."""

from __future__ import annotations

import numpy as np

from ringrift.game._jit import jit
from ringrift.game.board import add_marker, lift_stack, remove_ring
from ringrift.game.cellset import cell_at, place_of, step_of
from ringrift.game.geometry import NONE, ROWS
from ringrift.game.movement import can_capture_along, capturable, cross, free_end, land
from ringrift.game.moves import pack


@jit
def add_captures(geo, states, i, cell, step, end, kind, out, n):
    """Append the captures of a stack along one ray whose first `end` cells are free."""
    s = states[i]
    place = place_of(geo, cell)
    target = capturable(geo, states, i, place + (end + 1) * step, np.int64(s["cap"][cell]))
    if target == NONE:
        return n
    beyond = free_end(states, i, place, step, end + 1, ROWS)
    nearest = max(end + 2, np.int64(s["height"][cell]))
    place += nearest * step
    for _ in range(nearest, beyond + 1):
        out[n] = pack(kind, cell, target, cell_at(geo, place), 0, 0, 0)
        n += 1
        place += step
    return n


@jit
def add_captures_from(geo, states, i, cell, kind, out, n):
    """Append all captures of the stack on `cell`."""
    for direction in range(geo.n_dirs):
        step = step_of(geo, direction)
        end = free_end(states, i, place_of(geo, cell), step, 0, ROWS)
        n = add_captures(geo, states, i, cell, step, end, kind, out, n)
    return n


@jit
def can_capture(geo, states, i, cell):
    """True when the mover controls the stack on `cell` and that stack has a capture."""
    s = states[i]
    if s["top"][cell] != s["player"]:
        return False
    place, height, cap = place_of(geo, cell), np.int64(s["height"][cell]), np.int64(s["cap"][cell])
    for direction in range(geo.n_dirs):
        step = step_of(geo, direction)
        end = free_end(states, i, place, step, 0, ROWS)
        if can_capture_along(geo, states, i, place, step, end, height, cap):
            return True
    return False


@jit
def apply_capture(geo, states, i, cell, target, to):
    """Jump from `cell` over `target` to `to`; the target's top ring goes below the attacker."""
    s = states[i]
    rings = np.int64(s["rings"][cell])
    height = np.int64(s["height"][cell])
    lift_stack(geo, states, i, cell)
    add_marker(geo, states, i, cell, np.int64(s["player"]))
    cross(geo, states, i, cell, target)
    cross(geo, states, i, target, to)
    captured = remove_ring(geo, states, i, target, 0)
    s["on_board"][captured] += 1
    land(geo, states, i, to, rings | (captured - 1) << 2 * height, height + 1)
