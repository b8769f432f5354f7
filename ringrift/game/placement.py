"""Placing rings and doing without (R080-R082)."""

from __future__ import annotations

import numpy as np

from ringrift.game._jit import jit
from ringrift.game.board import is_bare, lift_stack, put_stack
from ringrift.game.movement import can_act_from, can_any_stack_act, free_end
from ringrift.game.moves import NO_PLACEMENT, PLACE_RING, SKIP_PLACEMENT, SWAP_SIDES, at_cell
from ringrift.game.recovery import recovery_eligible

MOST_RINGS = 3
"""Rings that may be placed at once on an empty cell."""


@jit
def placeable(states, i, player):
    """Rings the player may still bring onto the board: in hand, and within the own-colour supply."""
    s = states[i]
    return min(np.int64(s["hand"][player]), np.int64(s["rings_per_player"] - s["on_board"][player]))


@jit
def open_distance(geo, states, i, cell, most):
    """Longest free walk from a cell along a ray, at most `most` steps."""
    reach = 0
    for direction in range(geo.n_dirs):
        reach = max(reach, free_end(geo, states, i, cell, direction, 0, most))
        if reach == most:
            break
    return reach


@jit
def may_place(geo, states, i, cell, count, player):
    """True when `count` rings may be placed on `cell` and the new stack could act (no dead placement)."""
    s = states[i]
    if s["collapsed"][cell] > 0 or s["marker"][cell] > 0:
        return False
    height = np.int64(s["height"][cell])
    if height == 0:
        return can_act_from(geo, states, i, cell, count, count)
    if count > 1:
        return False
    cap = np.int64(s["cap"][cell]) + 1 if s["top"][cell] == player else 1
    return can_act_from(geo, states, i, cell, height + 1, cap)


@jit
def can_place(geo, states, i, player, most):
    """True when the player has a legal placement of at most `most` rings."""
    most = min(most, placeable(states, i, player))
    for cell in range(geo.n_cells):
        for count in range(1, most + 1):
            if may_place(geo, states, i, cell, count, player):
                return True
    return False


@jit
def may_skip_placement(geo, states, i, player):
    s = states[i]
    if s["hand"][player] == 0:
        return False
    return recovery_eligible(states, i, player) or can_any_stack_act(geo, states, i, player)


@jit
def may_swap(states, i):
    """The pie rule: seat 2's first decision, once seat 1 has moved."""
    s = states[i]
    return s["swap_rule"] == 1 and s["player"] == 2 and s["moved"] == 1 << 1


@jit
def add_placements(geo, states, i, out, n):
    """Append the legal set of phase `ring_placement`."""
    s = states[i]
    player = np.int64(s["player"])
    most = min(placeable(states, i, player), MOST_RINGS)
    for cell in range(geo.n_cells):
        # A stack of n rings moves wherever n steps are free: then its capture need not be looked for.
        reach = open_distance(geo, states, i, cell, most) if is_bare(states, i, cell) else 0
        for count in range(1, most + 1):
            if count <= reach or may_place(geo, states, i, cell, count, player):
                out[n] = at_cell(PLACE_RING, cell, count)
                n += 1
    if may_skip_placement(geo, states, i, player):
        out[n] = SKIP_PLACEMENT
        n += 1
    if n == 0:
        out[n] = NO_PLACEMENT
        n += 1
    elif may_swap(states, i):
        out[n] = SWAP_SIDES
        n += 1
    return n


@jit
def apply_placement(states, i, cell, count):
    """Push `count` rings of the mover onto `cell`."""
    s = states[i]
    player = np.int64(s["player"])
    rings = np.int64(s["rings"][cell])
    height = np.int64(s["height"][cell])
    if height > 0:
        lift_stack(states, i, cell)
    for _ in range(count):
        rings = rings << 2 | (player - 1)
    put_stack(states, i, cell, rings, height + count)
    s["hand"][player] -= count
    s["on_board"][player] += count
    s["must_move"] = cell
