"""Lines of markers: finding them and collapsing them (R120-R123)."""

from __future__ import annotations

import numpy as np

from ringrift.game._jit import jit
from ringrift.game.board import collapse
from ringrift.game.cellset import cell_beyond, direction_of, holds, place_of, shifted, step_of
from ringrift.game.geometry import MARGIN
from ringrift.game.moves import CHOOSE_LINE, NO_LINE, PROCESS_LINE, pack
from ringrift.game.phases import OWED_LINE


@jit
def run_length(geo, states, i, cell, direction, player, without):
    """Markers of the player met one after another when walking from `cell`; `without` counts as empty."""
    rows = states[i]["marker_rows"][player]
    step = step_of(geo, direction)
    place = place_of(geo, cell) + step
    end = place_of(geo, without)
    length = 0
    while place != end and holds(rows, place):
        length += 1
        place += step
    return length


@jit
def line_from(geo, states, i, cell, axis, player):
    """Length of the maximal run of the player's markers that starts at the marker on `cell`, else 0."""
    rows = states[i]["marker_rows"][player]
    if holds(rows, place_of(geo, cell) - step_of(geo, axis)):
        return 0
    return 1 + run_length(geo, states, i, cell, axis, player, cell)


@jit
def has_line(geo, states, i, player):
    """True when somewhere enough of the player's markers stand in a row; all of a board's row at a time."""
    s = states[i]
    if s["markers"][player] < s["line_length"]:
        return False
    rows = s["marker_rows"][player]
    for number in range(MARGIN, MARGIN + geo.n_rows):
        if rows[number] == 0:
            continue
        for axis in range(geo.n_axes):
            dx, dy = direction_of(geo, axis)
            begun = np.int64(rows[number])
            for step in range(1, np.int64(s["line_length"])):
                begun &= shifted(rows, number, step * dx, step * dy)
            if begun != 0:
                return True
    return False


@jit
def add_lines(geo, states, i, out, n):
    """Append the decisions over the mover's lines: the whole run, or a window of a longer one."""
    s = states[i]
    player = np.int64(s["player"])
    need = np.int64(s["line_length"])
    if not has_line(geo, states, i, player):
        return n
    for cell in range(geo.n_cells):
        if s["marker"][cell] != player:
            continue
        for axis in range(geo.n_axes):
            length = line_from(geo, states, i, cell, axis, player)
            if length == need:
                out[n] = pack(PROCESS_LINE, cell, 0, cell, length, axis, 0)
                n += 1
            elif length > need:
                for window in range(length - need + 2):
                    out[n] = pack(CHOOSE_LINE, cell, 0, cell, length, axis + 4 * window, 0)
                    n += 1
    return n


@jit
def add_line_decisions(geo, states, i, out, n):
    """Append the legal set of phase `line_processing` while nothing is owed."""
    n = add_lines(geo, states, i, out, n)
    if n == 0:
        out[n] = NO_LINE
        n += 1
    return n


@jit
def collapse_run(geo, states, i, cell, axis, first, count):
    """Collapse `count` cells of the run that starts at `cell`, from its `first`-th cell (0-based) on."""
    player = np.int64(states[i]["player"])
    for place in range(first, first + count):
        if place == 0:
            collapse(geo, states, i, cell, player)
        else:
            collapse(geo, states, i, cell_beyond(geo, cell, axis, place), player)


@jit
def apply_line(geo, states, i, cell, length, axis, window):
    """Collapse a run, or the required number of its cells; the whole run costs a ring if there is a stack."""
    s = states[i]
    if window > 0:
        collapse_run(geo, states, i, cell, axis, window - 1, np.int64(s["line_length"]))
        return
    collapse_run(geo, states, i, cell, axis, 0, length)
    if s["stacks"][s["player"]] > 0:
        s["pending"] = OWED_LINE
