"""The phase machine of a turn (section 3.2)."""

from __future__ import annotations

import numpy as np

from ringrift.game._jit import jit
from ringrift.game.board import any_rings
from ringrift.game.capture import can_capture
from ringrift.game.geometry import NONE
from ringrift.game.lines import has_line
from ringrift.game.lps import start_turn
from ringrift.game.phases import ACTIVE, FORCED, LINES, NOTHING_OWED, PLACEMENT, TERRITORY
from ringrift.game.territory import find_connected, has_region
from ringrift.game.victory import check_victory


@jit
def enter_lines(states, i):
    s = states[i]
    s["phase"] = LINES
    s["must_move"] = NONE
    s["chain_cell"] = NONE


@jit
def after_landing(geo, states, i, to, phase):
    """Go on to `phase` while the stack that has just landed can capture, else to the lines."""
    if can_capture(geo, states, i, to):
        s = states[i]
        s["phase"] = phase
        s["chain_cell"] = to
        s["must_move"] = NONE
    else:
        enter_lines(states, i)


@jit
def is_blocked_turn(states, i):
    """True when the mover has done nothing this turn although it controls a stack (R100)."""
    s = states[i]
    return s["acted"] == 0 and s["stacks"][s["player"]] > 0


@jit
def after_line(geo, states, i, scratch):
    """Stay with the lines while something is owed or another line is left."""
    s = states[i]
    if s["pending"] == NOTHING_OWED and not has_line(geo, states, i, np.int64(s["player"])):
        after_lines(geo, states, i, scratch)


@jit
def after_lines(geo, states, i, scratch):
    if is_blocked_turn(states, i) and not has_region(geo, states, i, scratch):
        states[i]["phase"] = FORCED
    else:
        states[i]["phase"] = TERRITORY
        find_connected(geo, states, i, scratch)


@jit
def after_region(geo, states, i, scratch):
    """Stay with the territory while another region can be claimed."""
    if not has_region(geo, states, i, scratch):
        after_territory(geo, states, i)


@jit
def after_territory(geo, states, i):
    if is_blocked_turn(states, i):
        states[i]["phase"] = FORCED
    else:
        end_turn(geo, states, i)


@jit
def next_seat(states, i):
    """The next seat in order that owns a ring anywhere; the mover itself comes last."""
    s = states[i]
    seat = np.int64(s["player"])
    for _ in range(s["players"]):
        seat = seat % s["players"] + 1
        if any_rings(states, i, seat):
            return seat
    return np.int64(s["player"])


@jit
def end_turn(geo, states, i):
    """Test for the end of the game, else give the turn to the next seat."""
    check_victory(geo, states, i)
    s = states[i]
    if s["status"] != ACTIVE:
        return
    seat = next_seat(states, i)
    if seat != s["player"]:
        s["acted"] = 0
        s["recovered"] = 0
    s["player"] = seat
    s["phase"] = PLACEMENT
    start_turn(geo, states, i)
