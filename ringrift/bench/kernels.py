"""Compiled loops of the measurement: random games, counted or timed."""

from __future__ import annotations

import ctypes
import time

import numpy as np

from ringrift.game._jit import jit
from ringrift.game.apply import apply
from ringrift.game.legal import legal_moves
from ringrift.game.playout import copy_position, playout
from ringrift.game.rng import draw, seed_rng

clock_gettime = ctypes.CDLL(None).clock_gettime
clock_gettime.argtypes = (ctypes.c_int, ctypes.c_void_p)
clock_gettime.restype = ctypes.c_int


@jit
def settled_games(geo, origin, states, scratch, seed, games):
    """Play random games from `origin[0]` in record 0 of `states`, decision by decision; return the plies.

    Game k has the seed `seed + k`.
    """
    plies = 0
    for game in range(games):
        copy_position(states, 0, origin, 0)
        plies += playout(geo, states, 0, scratch, seed + game)
    return plies


@jit
def stepped_games(geo, origin, states, scratch, seed, games, sizes):
    """Play the same games ply by ply; add to `sizes[n]` the plies whose legal set had n moves."""
    plies = 0
    for game in range(games):
        copy_position(states, 0, origin, 0)
        states[0]["rng"] = seed_rng(seed + game)
        count = legal_moves(geo, states, 0, scratch, scratch.moves)
        while count > 0:
            plies += 1
            sizes[count] += 1
            choice = draw(states, 0, count) if count > 1 else 0
            apply(geo, states, 0, scratch, scratch.moves[choice])
            count = legal_moves(geo, states, 0, scratch, scratch.moves)
    return plies


@jit
def now(clock):
    """Return the time in nanoseconds; `clock` has room for the two fields of a `timespec`."""
    clock_gettime(time.CLOCK_MONOTONIC, clock.ctypes)
    return clock[0] * 1_000_000_000 + clock[1]


@jit
def read_clock(clock, times):
    """Read the clock that often; return the nanoseconds it took."""
    began = now(clock)
    for _ in range(times):
        now(clock)
    return now(clock) - began


@jit
def timed_games(geo, origin, states, scratch, seed, games, clock, phases):
    """Play the same games again; add to `phases[p]` its plies and the nanoseconds of listing and of playing.

    Both times contain one reading of the clock a ply.
    """
    for game in range(games):
        copy_position(states, 0, origin, 0)
        states[0]["rng"] = seed_rng(seed + game)
        count = 1
        while count > 0:
            phase = np.int64(states[0]["phase"])
            began = now(clock)
            count = legal_moves(geo, states, 0, scratch, scratch.moves)
            listed = now(clock)
            if count > 0:
                choice = draw(states, 0, count) if count > 1 else 0
                apply(geo, states, 0, scratch, scratch.moves[choice])
                phases[phase, 0] += 1
                phases[phase, 1] += listed - began
                phases[phase, 2] += now(clock) - listed
