"""Moving a stack along a ray (R090-R092), and whether a stack can do anything at all."""

from __future__ import annotations

import numpy as np

from ringrift.game._jit import jit
from ringrift.game.board import (
    add_marker,
    collapse,
    eliminate_ring,
    is_blocked,
    lift_stack,
    put_stack,
    remove_marker,
)
from ringrift.game.moves import MOVE_STACK, pack


@jit
def free_end(geo, states, i, cell, direction, step, stop):
    """Walk a ray from `step` on while cells are free; return the first step that is not, at most `stop`."""
    end = min(stop, np.int64(geo.ray_length[cell, direction]))
    while step < end and not is_blocked(states, i, np.int64(geo.rays[cell, direction, step])):
        step += 1
    return step


@jit
def direction_between(geo, cell, other):
    """Direction of the ray from one cell through another one on it."""
    dx = np.int64(geo.xy[other, 0]) - np.int64(geo.xy[cell, 0])
    dy = np.int64(geo.xy[other, 1]) - np.int64(geo.xy[cell, 1])
    return np.int64(geo.heading[1 + min(max(dx, -1), 1), 1 + min(max(dy, -1), 1)])


@jit
def distance_between(geo, cell, other):
    """Steps from one cell to another one on a ray of it; on hex rays |z| never exceeds |x| and |y|."""
    dx = np.int64(geo.xy[other, 0]) - np.int64(geo.xy[cell, 0])
    dy = np.int64(geo.xy[other, 1]) - np.int64(geo.xy[cell, 1])
    return max(abs(dx), abs(dy))


@jit
def add_stack_moves(geo, states, i, cell, direction, end, out, n):
    """Append the moves of a stack along one ray whose first `end` cells are free."""
    for step in range(np.int64(states[i]["height"][cell]) - 1, end):
        to = np.int64(geo.rays[cell, direction, step])
        out[n] = pack(MOVE_STACK, cell, 0, to, 0, 0, 0)
        n += 1
    return n


@jit
def can_capture_along(geo, states, i, cell, direction, end, height, cap):
    """True when a stack of that height and cap could capture along a ray whose first `end` cells are free."""
    s = states[i]
    if end >= geo.ray_length[cell, direction]:
        return False
    target = np.int64(geo.rays[cell, direction, end])
    if s["height"][target] == 0 or s["cap"][target] > cap:
        return False
    landing = max(end + 2, height)
    return free_end(geo, states, i, cell, direction, end + 1, landing) == landing


@jit
def can_act_from(geo, states, i, cell, height, cap):
    """True when a stack of that height and cap on `cell` would have a move or a capture (section 4.3)."""
    for direction in range(geo.n_dirs):
        end = free_end(geo, states, i, cell, direction, 0, height)
        if end == height or can_capture_along(geo, states, i, cell, direction, end, height, cap):
            return True
    return False


@jit
def can_any_stack_act(geo, states, i, player):
    """True when the player controls a stack with a legal move or capture; must-move is ignored."""
    s = states[i]
    left = np.int64(s["stacks"][player])
    for cell in range(geo.n_cells):
        if left == 0:
            return False
        if s["top"][cell] == player:
            left -= 1
            if can_act_from(geo, states, i, cell, np.int64(s["height"][cell]), np.int64(s["cap"][cell])):
                return True
    return False


@jit
def cross(geo, states, i, cell, to):
    """Pass over the markers strictly between two cells: own ones collapse, others turn own."""
    s = states[i]
    player = np.int64(s["player"])
    direction = direction_between(geo, cell, to)
    for step in range(distance_between(geo, cell, to) - 1):
        passed = np.int64(geo.rays[cell, direction, step])
        owner = np.int64(s["marker"][passed])
        if owner == player:
            collapse(states, i, passed, player)
        elif owner > 0:
            remove_marker(states, i, passed)
            add_marker(states, i, passed, player)


@jit
def land(states, i, to, rings, height):
    """Put a moving stack down; a marker there vanishes and costs the top ring."""
    on_marker = states[i]["marker"][to] > 0
    if on_marker:
        remove_marker(states, i, to)
    put_stack(states, i, to, rings, height)
    if on_marker:
        eliminate_ring(states, i, to, 0)


@jit
def apply_stack_move(geo, states, i, cell, to):
    """Move the stack on `cell` to `to`, leaving a marker behind."""
    s = states[i]
    rings = np.int64(s["rings"][cell])
    height = np.int64(s["height"][cell])
    lift_stack(states, i, cell)
    add_marker(states, i, cell, np.int64(s["player"]))
    cross(geo, states, i, cell, to)
    land(states, i, to, rings, height)
