"""Last player standing: rounds in which one seat alone had a real action at its turn's start (R172)."""

from __future__ import annotations

import numpy as np

from ringrift.game._jit import jit
from ringrift.game.board import any_rings
from ringrift.game.movement import can_any_stack_act
from ringrift.game.phases import LAST_PLAYER_STANDING
from ringrift.game.placement import MOST_RINGS, can_place
from ringrift.game.victory import finish


@jit
def has_real_action(geo, states, i, seat):
    """True when the seat has a placement, a move or a capture on this board, whatever the phase."""
    return can_any_stack_act(geo, states, i, seat) or can_place(geo, states, i, seat, MOST_RINGS)


@jit
def clear_mask(states, i):
    s = states[i]
    for seat in range(1, s["players"] + 1):
        s["lps_mask"][seat] = -1


@jit
def open_cycle(states, i, seat):
    """Start counting anew from `seat`: there was no first seat, or it has lost all its rings."""
    s = states[i]
    s["lps_round"] += 1
    s["lps_first"] = seat
    clear_mask(states, i)
    if s["lps_exclusive"] == 0 or not any_rings(states, i, s["lps_exclusive"]):
        s["lps_exclusive"] = 0
        s["lps_streak"] = 0


@jit
def exclusive_seat(states, i):
    """The one seat with rings that had a real action this round; 0 if there was none or more than one."""
    s = states[i]
    found = 0
    for seat in range(1, s["players"] + 1):
        if s["lps_mask"][seat] == 1 and any_rings(states, i, seat):
            if found > 0:
                return 0
            found = seat
    return found


@jit
def close_round(states, i):
    s = states[i]
    seat = exclusive_seat(states, i)
    if seat == 0:
        s["lps_streak"] = 0
    elif seat == s["lps_exclusive"]:
        s["lps_streak"] += 1
    else:
        s["lps_streak"] = 1
    s["lps_exclusive"] = seat
    s["lps_round"] += 1
    clear_mask(states, i)


@jit
def mask_is_empty(states, i):
    s = states[i]
    for seat in range(1, s["players"] + 1):  # noqa: SIM110 - numba compiles no generators
        if s["lps_mask"][seat] >= 0:
            return False
    return True


@jit
def start_turn(geo, states, i):
    """Count the turn that starts now, and end the game if its seat is the last one standing."""
    s = states[i]
    seat = np.int64(s["player"])
    first = np.int64(s["lps_first"])
    if first == 0 or not any_rings(states, i, first):
        open_cycle(states, i, seat)
    elif seat == first and not mask_is_empty(states, i):
        close_round(states, i)
    real = has_real_action(geo, states, i, seat)
    s["lps_mask"][seat] = np.int64(real)
    if not real or s["lps_streak"] < s["lps_required"] or s["lps_exclusive"] != seat:
        return
    for other in range(1, s["players"] + 1):
        if other != seat and has_real_action(geo, states, i, other):
            return
    finish(states, i, seat, LAST_PLAYER_STANDING)
