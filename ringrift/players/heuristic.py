"""A position's value without a net: named terms per seat, a weighted sum, a softmax over seats.

Terms of a seat p (share = p's part of the sum over all seats, every seat counted with two more, so that the
first stack of a game decides nothing):

| term | meaning |
|---|---|
| rings | eliminated rings / ring threshold |
| rings_near | its square: the last rings count more |
| territory | collapsed spaces / territory threshold |
| territory_near | its square |
| stacks | share of the controlled stacks |
| caps | share of the rings in caps, which decide who may capture whom |
| mobile | share of the stacks that have a move or capture |
| markers | share of the markers |
| lines | sum over p's marker runs of two and more of (length / line length)^2, divided by 4, at most 2 |
| hand | rings in hand / rings per player |
| buried | rings under another colour's ring / rings per player |
| lone | rounds as the only seat with real actions / rounds required |
| stuck | 1 if p has neither rings in hand nor a stack that can act |

The weights come from SPSA on the small boards against a pool of random moves and earlier weights, in searches
of 16 simulations; they were then scaled so that the softmax is a probability of winning, and rounded.
`benchmarks/tune_heuristic.py` does the same one move ahead.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ringrift.game._jit import jit
from ringrift.game.apply import apply
from ringrift.game.lines import line_from
from ringrift.game.movement import can_act_from
from ringrift.game.playout import copy_position, settle
from ringrift.game.state import new_positions

TERMS = (
    "rings",
    "rings_near",
    "territory",
    "territory_near",
    "stacks",
    "caps",
    "mobile",
    "markers",
    "lines",
    "hand",
    "buried",
    "lone",
    "stuck",
)
(
    RINGS,
    RINGS_NEAR,
    LAND,
    LAND_NEAR,
    STACKS,
    CAPS,
    MOBILE,
    MARKERS,
    LINES,
    HAND,
    BURIED,
    LONE,
    STUCK,
    COUNT,
) = range(len(TERMS) + 1)

WEIGHTS = np.array(
    [
        [0.9, 1.5, 0.4, 0.4, 0.2, 0.3, 0.5, 0.9, 0.1, 1.1, -0.3, 0.3, -0.5],
        [0.5, 0.4, 0.8, 0.7, 0.4, 0.8, 0.4, 0.3, 0.5, 0.3, 0.0, 0.3, -0.5],
    ]
)
"""One weight per entry of `TERMS`: with two players, with three or four (`weights_row`)."""

HEAD_START = 2.0
"""Stacks, rings or markers that every seat is thought to have besides its own when shares are formed."""

Terms = npt.NDArray[np.float64]


class Trial(NamedTuple):
    """Working memory of `look_ahead`, one per thread."""

    states: npt.NDArray[np.void]
    """(1,) the position after a move."""
    values: Terms
    """(1, 4)"""
    terms: Terms


def new_trial() -> Trial:
    return Trial(new_positions(1), np.zeros((1, 4)), new_terms())


def new_terms() -> Terms:
    """Working memory of `evaluate`: (5, terms), row = seat; one per thread."""
    return np.zeros((5, COUNT))


@jit
def weights_row(players):
    """Return the row of `WEIGHTS` for a number of players."""
    return 0 if players == 2 else 1


@jit
def evaluate(geo, states, i, terms, values, row):
    """Write the value vector of position i to `values[row]` (4,): probabilities over seats 1..4, sum 1.

    A finished game is worth 1 to its winner.
    """
    s = states[i]
    for k in range(4):
        values[row, k] = 0.0
    if s["winner"] > 0:
        values[row, s["winner"] - 1] = 1.0
        return
    measure(geo, states, i, terms)
    row_of_weights = weights_row(s["players"])
    total = 0.0
    for seat in range(1, s["players"] + 1):
        score = 0.0
        for term in range(COUNT):
            score += WEIGHTS[row_of_weights, term] * terms[seat, term]
        values[row, seat - 1] = math.exp(score)
        total += values[row, seat - 1]
    for k in range(4):
        values[row, k] /= total


@jit
def look_ahead(geo, states, i, moves, results, trial, scratch):
    """Write to `results[j]` what the mover of position i may expect after `moves[j]` and the forced plies.

    `trial` is working memory.
    """
    for j in range(moves.shape[0]):
        copy_position(trial.states, 0, states, i)
        apply(geo, trial.states, 0, scratch, moves[j])
        settle(geo, trial.states, 0, scratch)
        evaluate(geo, trial.states, 0, trial.terms, trial.values, 0)
        seat = states[i]["player"]
        if trial.states[0]["swapped"] != states[i]["swapped"]:
            seat = 3 - seat
        results[j] = trial.values[0, seat - 1]


@jit
def measure(geo, states, i, terms):
    """Write every term of every seat to `terms` (5, COUNT)."""
    s = states[i]
    for seat in range(5):
        for term in range(COUNT):
            terms[seat, term] = 0.0
    measure_cells(geo, states, i, terms)
    for seat in range(1, s["players"] + 1):
        measure_counters(states, i, terms, seat)
    for term in (STACKS, CAPS, MOBILE, MARKERS):
        to_shares(terms, term, s["players"])


@jit
def measure_cells(geo, states, i, terms):
    """Add up what has to be looked for on the board: caps, stacks that can act, buried rings, marker runs."""
    s = states[i]
    for cell in range(geo.n_cells):
        seat = int(s["top"][cell])
        if seat > 0:
            height = int(s["height"][cell])
            cap = int(s["cap"][cell])
            terms[seat, CAPS] += cap
            terms[seat, BURIED] -= height_of_colour(states, i, cell, seat)
            if can_act_from(geo, states, i, cell, height, cap):
                terms[seat, MOBILE] += 1.0
        elif s["marker"][cell] > 0:
            add_runs(geo, states, i, cell, terms)
    for seat in range(1, s["players"] + 1):
        terms[seat, BURIED] = (terms[seat, BURIED] + s["on_board"][seat]) / s["rings_per_player"]
        terms[seat, LINES] = min(terms[seat, LINES] / 4.0, 2.0)


@jit
def height_of_colour(states, i, cell, seat):
    """Return how many rings of the seat's colour are in the stack on `cell`."""
    s = states[i]
    rings = int(s["rings"][cell])
    found = 0
    for _ in range(int(s["height"][cell])):
        if (rings & 3) + 1 == seat:
            found += 1
        rings >>= 2
    return found


@jit
def add_runs(geo, states, i, cell, terms):
    """Add (length / L)^2 for each run of two or more own markers that begins at the marker on `cell`."""
    s = states[i]
    seat = int(s["marker"][cell])
    for axis in range(geo.n_axes):
        length = line_from(geo, states, i, cell, axis, seat)
        if length > 1:
            terms[seat, LINES] += (length / s["line_length"]) ** 2


@jit
def to_shares(terms, term, players):
    """Divide the seats' entries of a term by their sum, with `HEAD_START` added to each."""
    total = HEAD_START * players
    for seat in range(1, players + 1):
        total += terms[seat, term]
    for seat in range(1, players + 1):
        terms[seat, term] = (terms[seat, term] + HEAD_START) / total


@jit
def measure_counters(states, i, terms, seat):
    """Write the terms of a seat that follow from counters; `MOBILE` must hold the stacks that can act."""
    s = states[i]
    rings = s["eliminated"][seat] / s["ring_threshold"]
    land = s["territory"][seat] / s["territory_threshold"]
    terms[seat, RINGS] = rings
    terms[seat, RINGS_NEAR] = rings * rings
    terms[seat, LAND] = land
    terms[seat, LAND_NEAR] = land * land
    terms[seat, STACKS] = s["stacks"][seat]
    terms[seat, MARKERS] = s["markers"][seat]
    terms[seat, HAND] = s["hand"][seat] / s["rings_per_player"]
    if s["lps_exclusive"] == seat:
        terms[seat, LONE] = s["lps_streak"] / s["lps_required"]
    if s["hand"][seat] == 0 and terms[seat, MOBILE] == 0.0:
        terms[seat, STUCK] = 1.0
