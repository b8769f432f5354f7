"""A position on any board as one record of a structured array.

Compiled functions take `(geo, states, i, scratch)` and work on record `i` of `states`. Per-cell fields have
room for the largest board; only the first `geo.n_cells` entries mean anything. Per-seat fields are indexed by
the seat, 1..4; entry 0 is unused.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ringrift.game.config import GameConfig
from ringrift.game.geometry import MAX_CELLS, NONE, ROWS, geometry
from ringrift.game.phases import ACTIVE, PLACEMENT

SEATS = 5

OPEN, COLLAPSED = range(2)
"""The cell sets of field `space_rows`."""

POSITION = np.dtype(
    [
        ("rings", np.int64, MAX_CELLS),  # owner - 1 of every ring, 2 bits each, the top ring lowest
        ("height", np.int8, MAX_CELLS),  # rings in the stack, 0 = no stack
        ("cap", np.int8, MAX_CELLS),  # run of the controller's rings from the top
        ("top", np.int8, MAX_CELLS),  # controller of the stack, 0 = no stack
        ("marker", np.int8, MAX_CELLS),  # owner of the marker, 0 = none
        ("collapsed", np.int8, MAX_CELLS),  # owner of the collapsed space, 0 = not collapsed
        # Cell sets (see `geometry`) that say the same again, for tests of many cells at once:
        ("space_rows", np.int32, (2, ROWS)),  # `OPEN`: can be passed, no stack and not collapsed; `COLLAPSED`
        ("marker_rows", np.int32, (SEATS, ROWS)),
        ("top_rows", np.int32, (SEATS, ROWS)),  # stacks that the seat controls
        # 1 = the cells that neither a collapsed space nor a marker of the seat takes (seat 0: of nobody) are
        # known to be connected; 0 = not known. Follows from the moves alone.
        ("connected", np.int64, SEATS),
        ("hand", np.int64, SEATS),  # rings not yet placed
        ("eliminated", np.int64, SEATS),  # rings credited to the seat as causer, of any colour
        ("territory", np.int64, SEATS),  # collapsed spaces owned
        ("stacks", np.int64, SEATS),  # stacks controlled
        ("on_board", np.int64, SEATS),  # rings of the seat's colour in stacks, buried ones too
        ("markers", np.int64, SEATS),  # markers owned
        ("lps_mask", np.int64, SEATS),  # 1 / 0 = had / had no real action this round, -1 = not seen yet
        ("players", np.int64),
        ("player", np.int64),  # seat to move, 0 when the game is over
        ("phase", np.int64),
        ("status", np.int64),
        ("winner", np.int64),  # 0 = none
        ("reason", np.int64),  # why the game ended
        ("pending", np.int64),  # what elimination is owed
        ("must_move", np.int64),  # cell of the stack placed this turn, or NONE
        ("chain_cell", np.int64),  # cell of the stack that may (CAPTURE) or must (CHAIN) capture, or NONE
        ("acted", np.int64),  # 1 = the mover's latest unbroken moves include a real one
        ("recovered", np.int64),  # 1 = they include a recovery slide
        ("last_actor", np.int64),  # seat of the last move, 0 = none yet
        ("moved", np.int64),  # bit `1 << seat` is set once that seat has moved
        ("swap_rule", np.int64),  # 1 = the pie rule is on
        ("swapped", np.int64),  # 1 = seats 1 and 2 have exchanged identities
        ("line_length", np.int64),
        ("rings_per_player", np.int64),
        ("ring_threshold", np.int64),  # eliminated rings that win
        ("territory_threshold", np.int64),  # collapsed spaces that win
        ("lps_round", np.int64),
        ("lps_first", np.int64),  # seat that opened the round, 0 = none
        ("lps_streak", np.int64),  # consecutive rounds with the same exclusive seat
        ("lps_exclusive", np.int64),  # that seat, 0 = none
        ("lps_required", np.int64),  # rounds that win
        ("ply", np.int64),  # moves played since the start or since loading
        ("rng", np.int64),  # 32-bit xorshift state, never 0
    ],
    align=True,
)


PAYERS, REGION, BORDER = range(3)
"""Cell sets of the working memory: stacks that could pay for a region, a region, the markers around it."""

MAX_RUNS = 400
"""Runs that fit on a board: 25 rows, every other cell of each."""

WORK = np.dtype(
    [
        ("run", np.int64, MAX_RUNS),  # cells of a family side by side in one row, as bits of that row
        ("row", np.int64, MAX_RUNS),  # row of the run
        ("root", np.int64, MAX_RUNS),  # first run of the component that a run belongs to
        # Per component, at its first run:
        ("controllers", np.int64, MAX_RUNS),  # bit set of the seats that control a stack inside
        ("paying", np.int64, MAX_RUNS),  # 1 if a stack inside could pay for a region, else 0
        ("colours", np.int64, MAX_RUNS),  # bit set of the marker colours inside or around it
        ("sets", np.int32, (3, ROWS)),  # cell sets `PAYERS`, `REGION` and `BORDER`
    ],
    align=True,
)


class Scratch(NamedTuple):
    """Working memory of the compiled functions: one per thread, any content between calls."""

    moves: npt.NDArray[np.int64]
    """(max_moves,): a legal set."""
    work: npt.NDArray[np.void]
    """(1,) of `WORK`."""


def new_scratch(board: str) -> Scratch:
    return Scratch(np.zeros(geometry(board).max_moves, dtype=np.int64), np.zeros(1, dtype=WORK))


def new_positions(count: int) -> npt.NDArray[np.void]:
    """Return `count` zeroed records; each must be set up by `start` or by a loader before use."""
    return np.zeros(count, dtype=POSITION)


def start(states: npt.NDArray[np.void], i: int, config: GameConfig, *, swap: bool = True) -> None:
    """Set record `i` to the opening position (section 2.4); the pie rule exists for two players only."""
    states[i] = np.zeros((), dtype=POSITION)
    position = states[i]
    seats = slice(1, config.players + 1)
    position["hand"][seats] = config.rings_per_player
    position["lps_mask"][seats] = -1
    position["players"] = config.players
    position["player"] = 1
    position["phase"] = PLACEMENT
    position["status"] = ACTIVE
    position["must_move"] = NONE
    position["chain_cell"] = NONE
    position["swap_rule"] = int(swap and config.players == 2)
    position["line_length"] = config.line_length
    position["rings_per_player"] = config.rings_per_player
    position["ring_threshold"] = config.ring_threshold
    position["territory_threshold"] = config.territory_minimum
    position["lps_required"] = 3
    position["rng"] = 1
    position["connected"] = 1
    position["space_rows"][OPEN] = geometry(config.board).tables[0]["board_rows"]
