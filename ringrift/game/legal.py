"""The legal set of a position."""

from __future__ import annotations

import numpy as np

from ringrift.game._jit import jit
from ringrift.game.capture import add_captures, add_captures_from
from ringrift.game.cellset import next_cell, place_of, step_of
from ringrift.game.elimination import add_forced_eliminations, add_owed_eliminations
from ringrift.game.geometry import NONE, ROWS
from ringrift.game.lines import add_line_decisions
from ringrift.game.movement import add_stack_moves, free_end
from ringrift.game.moves import (
    CONTINUE_CAPTURE,
    NO_MOVEMENT,
    OVERTAKING_CAPTURE,
    RECOVERY_SLIDE,
    SKIP_CAPTURE,
    move_type,
)
from ringrift.game.phases import (
    ACTIVE,
    CAPTURE,
    CHAIN,
    LINES,
    MOVEMENT,
    NOTHING_OWED,
    PLACEMENT,
    TERRITORY,
)
from ringrift.game.placement import add_placements
from ringrift.game.recovery import add_recovery, default_choice, is_choice_valid, recovery_eligible
from ringrift.game.territory import add_territory_decisions


@jit
def add_stack_actions(geo, states, i, cell, out, n):
    """Append every move and capture of the stack on `cell`."""
    for direction in range(geo.n_dirs):
        step = step_of(geo, direction)
        end = free_end(states, i, place_of(geo, cell), step, 0, ROWS)
        n = add_stack_moves(geo, states, i, cell, step, end, out, n)
        n = add_captures(geo, states, i, cell, step, end, OVERTAKING_CAPTURE, out, n)
    return n


@jit
def add_movements(geo, states, i, out, n):
    """Append the legal set of phase `movement`."""
    s = states[i]
    player = np.int64(s["player"])
    if recovery_eligible(states, i, player):
        return add_recovery(geo, states, i, out, n)
    if s["must_move"] != NONE:
        n = add_stack_actions(geo, states, i, np.int64(s["must_move"]), out, n)
    elif s["stacks"][player] > 0:
        cell = next_cell(geo, s["top_rows"][player], -1)
        while cell != NONE:
            n = add_stack_actions(geo, states, i, cell, out, n)
            cell = next_cell(geo, s["top_rows"][player], cell)
    if n == 0:
        out[n] = NO_MOVEMENT
        n += 1
    return n


@jit
def legal_moves(geo, states, i, scratch, out):
    """Write the full legal set of position `i` to `out` (room for `geo.max_moves`); return its size.

    Each decision appears once. A recovery slide stands for all choices of the stack that pays for it and of
    the window it collapses. An active game always has a legal move; any other has none.
    """
    s = states[i]
    phase = s["phase"]
    if s["status"] != ACTIVE:
        return 0
    if s["pending"] != NOTHING_OWED:
        return add_owed_eliminations(geo, states, i, out, 0)
    if phase == PLACEMENT:
        return add_placements(geo, states, i, out, 0)
    if phase == MOVEMENT:
        return add_movements(geo, states, i, out, 0)
    if phase == CAPTURE:
        n = add_captures_from(geo, states, i, np.int64(s["chain_cell"]), OVERTAKING_CAPTURE, out, 0)
        out[n] = SKIP_CAPTURE
        return n + 1
    if phase == CHAIN:
        return add_captures_from(geo, states, i, np.int64(s["chain_cell"]), CONTINUE_CAPTURE, out, 0)
    if phase == LINES:
        return add_line_decisions(geo, states, i, out, 0)
    if phase == TERRITORY:
        return add_territory_decisions(geo, states, i, scratch, out, 0)
    return add_forced_eliminations(geo, states, i, out, 0)


@jit
def contains(moves, count, move):
    for place in range(count):  # noqa: SIM110 - numba compiles no generators
        if moves[place] == move:
            return True
    return False


@jit
def is_legal(geo, states, i, scratch, move):
    """True for a move of the legal set, and for a recovery slide with another valid payer or window."""
    count = legal_moves(geo, states, i, scratch, scratch.moves)
    if contains(scratch.moves, count, move):
        return True
    if move_type(move) != RECOVERY_SLIDE or states[i]["phase"] != MOVEMENT:
        return False
    if not contains(scratch.moves, count, default_choice(geo, states, i, move)):
        return False
    return is_choice_valid(geo, states, i, move)
