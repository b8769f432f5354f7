"""Capturing over a stack, once or in a chain (R101-R103)."""

from __future__ import annotations

import numpy as np

from ringrift.game._jit import jit
from ringrift.game.board import add_marker, lift_stack, remove_ring
from ringrift.game.movement import can_capture_along, cross, free_end, land
from ringrift.game.moves import pack


@jit
def add_captures(geo, states, i, cell, direction, end, kind, out, n):
    """Append the captures of a stack along one ray whose first `end` cells are free."""
    s = states[i]
    length = np.int64(geo.ray_length[cell, direction])
    if end == length:
        return n
    target = np.int64(geo.rays[cell, direction, end])
    if s["height"][target] == 0 or s["cap"][target] > s["cap"][cell]:
        return n
    beyond = free_end(geo, states, i, cell, direction, end + 1, length)
    for step in range(max(end + 1, np.int64(s["height"][cell]) - 1), beyond):
        out[n] = pack(kind, cell, target, np.int64(geo.rays[cell, direction, step]), 0, 0, 0)
        n += 1
    return n


@jit
def add_captures_from(geo, states, i, cell, kind, out, n):
    """Append all captures of the stack on `cell`."""
    for direction in range(geo.n_dirs):
        length = np.int64(geo.ray_length[cell, direction])
        end = free_end(geo, states, i, cell, direction, 0, length)
        n = add_captures(geo, states, i, cell, direction, end, kind, out, n)
    return n


@jit
def can_capture(geo, states, i, cell):
    """True when the mover controls the stack on `cell` and that stack has a capture."""
    s = states[i]
    if s["top"][cell] != s["player"]:
        return False
    height = np.int64(s["height"][cell])
    cap = np.int64(s["cap"][cell])
    for direction in range(geo.n_dirs):
        end = free_end(geo, states, i, cell, direction, 0, np.int64(geo.ray_length[cell, direction]))
        if can_capture_along(geo, states, i, cell, direction, end, height, cap):
            return True
    return False


@jit
def apply_capture(geo, states, i, cell, target, to):
    """Jump from `cell` over `target` to `to`; the target's top ring goes below the attacker."""
    s = states[i]
    rings = np.int64(s["rings"][cell])
    height = np.int64(s["height"][cell])
    lift_stack(states, i, cell)
    add_marker(states, i, cell, np.int64(s["player"]))
    cross(geo, states, i, cell, target)
    cross(geo, states, i, target, to)
    captured = remove_ring(states, i, target, 0)
    s["on_board"][captured] += 1
    land(states, i, to, rings | (captured - 1) << 2 * height, height + 1)
