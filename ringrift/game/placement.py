"""Placing rings and doing without (R080-R082)."""

from __future__ import annotations

import numpy as np

from ringrift.game._jit import jit
from ringrift.game.board import is_bare, lift_stack, marked_row, put_stack, stacks_in_row
from ringrift.game.cellset import direction_of, first_cell, place_of, shifted, step_of
from ringrift.game.geometry import MARGIN, NONE, ROWS
from ringrift.game.movement import can_act_from, can_any_stack_act, capturable, free_end
from ringrift.game.moves import NO_PLACEMENT, PLACE_RING, SKIP_PLACEMENT, SWAP_SIDES, at_cell
from ringrift.game.recovery import recovery_eligible
from ringrift.game.state import OPEN

MOST_RINGS = 3
"""Rings that may be placed at once on an empty cell."""


@jit
def placeable(states, i, player):
    """Rings the player may still bring onto the board: in hand, and within the own-colour supply."""
    s = states[i]
    return min(np.int64(s["hand"][player]), np.int64(s["rings_per_player"] - s["on_board"][player]))


@jit
def reach_of_row(geo, states, i, number, goal):
    """Cells of a row from which one, two and three open steps lead along some ray: three bit sets.

    Rays are tried until all cells of `goal` have three steps.
    """
    open_rows = states[i]["space_rows"][OPEN]
    one = two = three = 0
    for direction in range(geo.n_dirs):
        dx, dy = direction_of(geo, direction)
        first = shifted(open_rows, number, dx, dy)
        second = first & shifted(open_rows, number, 2 * dx, 2 * dy)
        one |= first
        two |= second
        three |= second & shifted(open_rows, number, 3 * dx, 3 * dy)
        if goal & ~three == 0:
            break
    return one, two, three


@jit
def reach_for(steps, reach):
    """The bit set of `reach_of_row` for 1, 2 or 3 steps."""
    one, two, three = reach
    if steps == 1:
        return one
    return two if steps == 2 else three


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
    if most <= 0:
        return False
    # A step along the first ray, for a row of cells at once, nearly always settles it.
    for number in range(MARGIN, MARGIN + geo.n_rows):
        bare = np.int64(states[i]["space_rows"][OPEN, number]) & ~marked_row(states, i, number)
        if bare != 0 and reach_of_row(geo, states, i, number, 0)[0] & bare != 0:
            return True
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
def add_free_row(geo, number, bare, most, out, n):
    """Append placements of 1 to `most` rings on each cell of a row in `bare`.

    Three are written for every cell and counted only where they hold, which spares the branches.
    """
    first = first_cell(geo, number)
    row = bare >> (place_of(geo, first) & 31)
    for cell in range(first, first_cell(geo, number + 1)):
        for count in range(1, MOST_RINGS + 1):
            out[n + count - 1] = at_cell(PLACE_RING, cell, count)
        n += most * (row & 1)
        row >>= 1
    return n


@jit
def capture_counts(geo, states, i, cell, most):
    """Bit set of the counts, 1 to `most`, of which a new stack on a bare cell could capture."""
    place = place_of(geo, cell)
    counts = 0
    for direction in range(geo.n_dirs):
        step = step_of(geo, direction)
        end = free_end(states, i, place, step, 0, ROWS)
        target = capturable(geo, states, i, place + (end + 1) * step, most)
        if target != NONE:
            beyond = free_end(states, i, place, step, end + 1, max(end + 2, most))
            for count in range(np.int64(states[i]["cap"][target]), most + 1):
                counts |= np.int64(max(end + 2, count) <= beyond) << count
    return counts


@jit
def bare_counts(geo, states, i, cell, reach, most):
    """Bit set of the counts that may be placed on a bare cell."""
    one, two, three = reach
    bit = place_of(geo, cell) & 31
    counts = (one >> bit & 1) << 1 | (two >> bit & 1) << 2 | (three >> bit & 1) << 3
    if counts >> most & 1 == 0:
        # A stack of n rings moves wherever n steps are free: only the others need a capture.
        counts |= capture_counts(geo, states, i, cell, most)
    return counts


@jit
def may_top(geo, states, i, cell, reach, player):
    """True when one more ring may be placed on the stack on `cell`."""
    height = np.int64(states[i]["height"][cell]) + 1
    bit = place_of(geo, cell) & 31
    if height <= MOST_RINGS and reach_for(height, reach) >> bit & 1 == 1:
        return True
    return may_place(geo, states, i, cell, 1, player)


@jit
def add_tight_row(geo, states, i, number, reach, most, player, out, n):
    """Append the placements on a row where some stack may have to rely on a capture."""
    for cell in range(first_cell(geo, number), first_cell(geo, number + 1)):
        if is_bare(states, i, cell):
            counts = bare_counts(geo, states, i, cell, reach, most)
            for count in range(1, most + 1):
                out[n] = at_cell(PLACE_RING, cell, count)
                n += counts >> count & 1
        elif states[i]["height"][cell] > 0 and may_top(geo, states, i, cell, reach, player):
            out[n] = at_cell(PLACE_RING, cell, 1)
            n += 1
    return n


@jit
def add_placements(geo, states, i, out, n):
    """Append the legal set of phase `ring_placement`."""
    s = states[i]
    player = np.int64(s["player"])
    most = min(placeable(states, i, player), MOST_RINGS)
    if most > 0:
        for number in range(MARGIN, MARGIN + geo.n_rows):
            bare = np.int64(s["space_rows"][OPEN, number]) & ~marked_row(states, i, number)
            stacks = stacks_in_row(geo, states, i, number)
            reach = reach_of_row(geo, states, i, number, bare | stacks)
            if bare & ~reach_for(most, reach) | stacks == 0:
                n = add_free_row(geo, number, bare, most, out, n)
            else:
                n = add_tight_row(geo, states, i, number, reach, most, player, out, n)
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
def apply_placement(geo, states, i, cell, count):
    """Push `count` rings of the mover onto `cell`."""
    s = states[i]
    player = np.int64(s["player"])
    rings = np.int64(s["rings"][cell])
    height = np.int64(s["height"][cell])
    if height > 0:
        lift_stack(geo, states, i, cell)
    for _ in range(count):
        rings = rings << 2 | (player - 1)
    put_stack(geo, states, i, cell, rings, height + count)
    s["hand"][player] -= count
    s["on_board"][player] += count
    s["must_move"] = cell
