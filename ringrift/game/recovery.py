"""Recovery of a seat that controls no stack but owns markers and buried rings (R110-R115)."""

from __future__ import annotations

import numpy as np

from ringrift.game._jit import jit
from ringrift.game.board import add_marker, buried_depth, eliminate_ring, is_blocked, remove_marker
from ringrift.game.cellset import cell_beyond
from ringrift.game.geometry import NONE
from ringrift.game.lines import collapse_run, run_length
from ringrift.game.moves import (
    RECOVER_FALLBACK,
    RECOVER_LINE,
    RECOVER_STRIKE,
    RECOVERY_SLIDE,
    SKIP_RECOVERY,
    move_aux,
    move_count,
    move_extraction,
    move_from,
    move_to,
    pack,
    recovery_axis,
    recovery_mode,
    recovery_window,
)

COLLAPSE_ALL, COLLAPSE_REQUIRED = 1, 2
"""Options of a line slide: the whole run for one ring, or the required length for free."""


@jit
def recovery_eligible(states, i, player):
    """R110. A seat without stacks has all its rings on the board buried."""
    s = states[i]
    return s["stacks"][player] == 0 and s["markers"][player] > 0 and s["on_board"][player] > 0


@jit
def first_extraction(geo, states, i, player):
    """Lowest cell whose stack has a buried ring of the player."""
    for cell in range(geo.n_cells):
        if buried_depth(states, i, cell, player) > 0:
            return cell
    return NONE


@jit
def cells_behind(geo, states, i, cell, to, axis):
    """Own markers in a row behind `to` along an axis once the marker has left `cell`."""
    return run_length(geo, states, i, to, axis + geo.n_axes, np.int64(states[i]["player"]), cell)


@jit
def run_through(geo, states, i, cell, to, axis):
    """Length of the run through `to` along an axis once the marker has slid there from `cell`."""
    ahead = run_length(geo, states, i, to, axis, np.int64(states[i]["player"]), cell)
    return 1 + ahead + cells_behind(geo, states, i, cell, to, axis)


@jit
def line_axis_of_slide(geo, states, i, cell, to):
    """First axis on which the slide makes a line (section 9, row 9), or `NONE`."""
    for axis in range(geo.n_axes):
        if run_through(geo, states, i, cell, to, axis) >= states[i]["line_length"]:
            return axis
    return NONE


@jit
def is_slide_goal(states, i, to):
    s = states[i]
    return s["collapsed"][to] == 0 and s["marker"][to] == 0


@jit
def add_line_slide(geo, states, i, cell, to, payer, out, n):
    """Append the options of one slide, if it makes a line."""
    axis = line_axis_of_slide(geo, states, i, cell, to)
    if axis == NONE:
        return n
    need = np.int64(states[i]["line_length"])
    aux = RECOVER_LINE + 4 * axis
    out[n] = pack(RECOVERY_SLIDE, cell, 0, to, COLLAPSE_ALL, aux, payer)
    n += 1
    if run_through(geo, states, i, cell, to, axis) > need:
        window = max(0, cells_behind(geo, states, i, cell, to, axis) + 1 - need)
        out[n] = pack(RECOVERY_SLIDE, cell, 0, to, COLLAPSE_REQUIRED, aux + 16 * window, NONE)
        n += 1
    return n


@jit
def add_slides(geo, states, i, lines, payer, out, n):
    """Append the slides that make lines, or those that do not."""
    s = states[i]
    for cell in range(geo.n_cells):
        if s["marker"][cell] != s["player"]:
            continue
        for direction in range(geo.n_dirs):
            to = cell_beyond(geo, cell, direction, 1)
            if to == NONE or not is_slide_goal(states, i, to):
                continue
            struck = is_blocked(states, i, to)
            if not lines:
                mode = RECOVER_STRIKE if struck else RECOVER_FALLBACK
                out[n] = pack(RECOVERY_SLIDE, cell, 0, to, COLLAPSE_ALL, mode, payer)
                n += 1
            elif not struck:
                n = add_line_slide(geo, states, i, cell, to, payer, out, n)
    return n


@jit
def add_recovery(geo, states, i, out, n):
    """Append the recovery decisions of an eligible mover: one per slide and option, and the skip."""
    payer = first_extraction(geo, states, i, np.int64(states[i]["player"]))
    before = n
    n = add_slides(geo, states, i, True, payer, out, n)
    if n == before:
        n = add_slides(geo, states, i, False, payer, out, n)
    out[n] = SKIP_RECOVERY
    return n + 1


@jit
def default_choice(geo, states, i, move):
    """The move of the legal set with the same slide and option; its window and payer are the default ones.

    The move may be any number: cells and axis outside of the board make it one of no legal set.
    """
    payer = first_extraction(geo, states, i, np.int64(states[i]["player"]))
    aux = move_aux(move) & 15
    exists = max(move_from(move), move_to(move)) < geo.n_cells and recovery_axis(move) < geo.n_axes
    if exists and move_count(move) == COLLAPSE_REQUIRED:
        need = np.int64(states[i]["line_length"])
        behind = cells_behind(geo, states, i, move_from(move), move_to(move), recovery_axis(move))
        aux += 16 * max(0, behind + 1 - need)
        payer = NONE
    return pack(RECOVERY_SLIDE, move_from(move), 0, move_to(move), move_count(move), aux, payer)


@jit
def is_choice_valid(geo, states, i, move):
    """True when window and payer of a slide may stand instead of the default ones."""
    s = states[i]
    cell, to, axis = move_from(move), move_to(move), recovery_axis(move)
    payer = move_extraction(move)
    if move_count(move) == COLLAPSE_ALL:
        return payer < geo.n_cells and buried_depth(states, i, payer, np.int64(s["player"])) > 0
    need = np.int64(s["line_length"])
    window = recovery_window(move)
    behind = cells_behind(geo, states, i, cell, to, axis)
    fits = window + need <= run_through(geo, states, i, cell, to, axis)
    return payer == NONE and fits and window <= behind < window + need


@jit
def collapse_slide(geo, states, i, cell, to, move):
    """Collapse the run that a line slide has made, or its chosen window."""
    axis = recovery_axis(move)
    behind = cells_behind(geo, states, i, cell, to, axis)
    first = to if behind == 0 else cell_beyond(geo, to, axis + geo.n_axes, behind)
    if move_count(move) == COLLAPSE_ALL:
        length = run_through(geo, states, i, cell, to, axis)
        collapse_run(geo, states, i, first, axis, 0, length)
    else:
        collapse_run(geo, states, i, first, axis, recovery_window(move), np.int64(states[i]["line_length"]))


@jit
def apply_recovery(geo, states, i, move):
    """Slide a marker, collapse or strike, then take the bottom-most buried ring of the paying stack."""
    s = states[i]
    player = np.int64(s["player"])
    cell, to, payer = move_from(move), move_to(move), move_extraction(move)
    paying_depth = 0 if payer == NONE else buried_depth(states, i, payer, player)
    remove_marker(geo, states, i, cell)
    if recovery_mode(move) == RECOVER_STRIKE:
        eliminate_ring(geo, states, i, to, 0)
        paying_depth -= np.int64(to == payer)
    else:
        add_marker(geo, states, i, to, player)
    if recovery_mode(move) == RECOVER_LINE:
        collapse_slide(geo, states, i, cell, to, move)
    if payer != NONE:
        eliminate_ring(geo, states, i, payer, paying_depth)
