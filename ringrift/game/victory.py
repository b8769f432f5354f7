"""The end of a game, tested when a turn ends (R061, R062, R170-R173)."""

from __future__ import annotations

from ringrift.game._jit import jit
from ringrift.game.board import any_rings
from ringrift.game.geometry import NONE
from ringrift.game.phases import (
    COMPLETED,
    NOTHING_OWED,
    OVER,
    RING_ELIMINATION,
    SOLE_SURVIVOR,
    STALEMATE,
    TERRITORY_CONTROL,
)
from ringrift.game.placement import can_place


@jit
def finish(states, i, winner, reason):
    """End the game; board, hands and counters stay as they are."""
    s = states[i]
    s["status"] = COMPLETED
    s["phase"] = OVER
    s["winner"] = winner
    s["reason"] = reason
    s["player"] = 0
    s["pending"] = NOTHING_OWED
    s["must_move"] = NONE
    s["chain_cell"] = NONE


@jit
def ring_winner(states, i):
    s = states[i]
    for seat in range(1, s["players"] + 1):
        if s["eliminated"][seat] >= s["ring_threshold"]:
            return seat
    return 0


@jit
def territory_winner(states, i):
    """Seat with the required number of collapsed spaces, and more than all others together."""
    s = states[i]
    total = 0
    for seat in range(1, s["players"] + 1):
        total += s["territory"][seat]
    for seat in range(1, s["players"] + 1):
        own = s["territory"][seat]
        if own >= s["territory_threshold"] and own > total - own:
            return seat
    return 0


@jit
def sole_survivor(states, i):
    """Seat that controls a stack while no other seat owns a ring anywhere."""
    s = states[i]
    survivor = 0
    for seat in range(1, s["players"] + 1):
        if any_rings(states, i, seat):
            if survivor > 0:
                return 0
            survivor = seat
    return survivor if s["stacks"][survivor] > 0 else 0


@jit
def is_stalemate(geo, states, i):
    """True on a board without stacks on which nobody can place a ring."""
    s = states[i]
    for seat in range(1, s["players"] + 1):
        if s["stacks"][seat] > 0:
            return False
    for seat in range(1, s["players"] + 1):  # noqa: SIM110 - numba compiles no generators
        if can_place(geo, states, i, seat, 1):
            return False
    return True


@jit
def ranks_higher(states, i, seat, other):
    """R173: territory, then eliminated rings with those in hand, then markers, then the last actor."""
    s = states[i]
    if s["territory"][seat] != s["territory"][other]:
        return s["territory"][seat] > s["territory"][other]
    lost = s["eliminated"][seat] + s["hand"][seat]
    other_lost = s["eliminated"][other] + s["hand"][other]
    if lost != other_lost:
        return lost > other_lost
    if s["markers"][seat] != s["markers"][other]:
        return s["markers"][seat] > s["markers"][other]
    return s["last_actor"] == seat


@jit
def stalemate_winner(states, i):
    """First seat of the stalemate ladder; the lowest seat when nothing separates them."""
    best = 1
    for seat in range(2, states[i]["players"] + 1):
        if ranks_higher(states, i, seat, best):
            best = seat
    return best


@jit
def check_victory(geo, states, i):
    """End the game if a seat has won (section 5.1, in that order)."""
    winner = ring_winner(states, i)
    if winner > 0:
        finish(states, i, winner, RING_ELIMINATION)
        return
    winner = territory_winner(states, i)
    if winner > 0:
        finish(states, i, winner, TERRITORY_CONTROL)
        return
    winner = sole_survivor(states, i)
    if winner > 0:
        finish(states, i, winner, SOLE_SURVIVOR)
    elif is_stalemate(geo, states, i):
        finish(states, i, stalemate_winner(states, i), STALEMATE)
