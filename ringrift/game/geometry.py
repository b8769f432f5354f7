"""Boards as tables: cells, rays, adjacency. Rules document, sections 1.1 and 1.2.

Cells are numbered row by row: ascending y, then ascending x. Hex boards use axial (x, y), with z = -x-y
left out. Directions are numbered so that `d` and `d + n_axes` are opposite and the first `n_axes` of them are
the line axes in the order of section 1.2.

A set of cells is a list of 32 rows, one integer each. The *place* of a cell is `32 * row + bit`: a step
along a ray adds a constant to it. `MARGIN` empty rows and columns surround the board, so that three steps in
any direction stay within the list.
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ringrift.errors import BadInput
from ringrift.game.config import BOARDS

NONE = 511
"""No cell. Larger than every cell number, so that using it as an index is caught by the bounds check."""

MAX_CELLS = 472
"""Room for the largest board's 469 cells, rounded up so that a position record has no padding bytes."""

ROWS = 32
"""Rows of a cell set, and bits of a row."""

MARGIN = 3
"""Empty rows and columns around the board in a cell set: as far as a placed stack has to move."""

STAYS_WHOLE, HAS_NEIGHBOUR = 1, 2
"""What the eight cells around one tell of it: those that touch it are joined without it; some touch it."""

_RADIUS = {"hex8": 4, "hexagonal": 12}
_SIDE = {"square8": 8, "square19": 19}

_SQUARE_AXES = ((1, 0), (1, 1), (0, 1), (1, -1))
_SQUARE_DIRECTIONS = _SQUARE_AXES + tuple((-dx, -dy) for dx, dy in _SQUARE_AXES)
_HEX_AXES = ((1, 0), (1, -1), (0, -1))
_HEX_DIRECTIONS = _HEX_AXES + tuple((-dx, -dy) for dx, dy in _HEX_AXES)
_ORTHOGONAL = ((1, 0), (0, 1), (-1, 0), (0, -1))


@cache
def _xy(board: int) -> npt.NDArray[np.int16]:
    table = np.array(coordinates(BOARDS[board]), dtype=np.int16)
    table.flags.writeable = False
    return table


TABLES = np.dtype(
    [
        ("place", np.int16, MAX_CELLS),  # place of a cell in a cell set
        ("cell_at", np.int16, ROWS * ROWS),  # cell at a place, `NONE` off the board
        ("first_cell", np.int16, ROWS + 1),  # lowest cell in a row or in a later one
        ("dx", np.int16, 8),  # one step in each direction
        ("dy", np.int16, 8),
        ("step", np.int16, 8),  # what one step adds to a place
        ("board_rows", np.int32, ROWS),  # the set of all cells
        ("holds_together", np.int8, 512),  # by the cells around: bits `STAYS_WHOLE`, `HAS_NEIGHBOUR`
    ],
    align=True,
)


class Geometry(NamedTuple):
    """Everything about one board that never changes.

    The tables are one record, read by the functions of `ringrift.game.cellset`: as an argument of a compiled
    function an array costs seven words wherever the call is not inlined.
    """

    board: int
    """Position of the board in `ringrift.game.config.BOARDS`."""
    n_cells: int
    n_rows: int
    """Rows of the board; the first one is row `MARGIN`."""
    n_axes: int
    """Line axes: 4 on square boards, 3 on hex boards."""
    n_dirs: int
    """Ray directions: 8 or 6."""
    lean: int
    """Territory neighbours in the row before have dx = 0 and dx = `lean`: 0 on square, 1 on hex boards."""
    spreads: int
    """1 where a collapsing border spreads to all eight cells around (section 1.2); 0 on `hexagonal`."""
    max_moves: int
    """Room for a legal set: no position has more moves than this."""
    tables: npt.NDArray[np.void]
    """(1,) of `TABLES`, read-only."""

    @property
    def xy(self) -> npt.NDArray[np.int16]:
        """(n_cells, 2): coordinates of each cell, for callers in plain Python."""
        return _xy(self.board)


@cache
def coordinates(board: str) -> list[tuple[int, int]]:
    """Return (x, y) of every cell, by cell number."""
    if board in _SIDE:
        side = range(_SIDE[board])
        return [(x, y) for y in side for x in side]
    radius = _RADIUS[board]
    span = range(-radius, radius + 1)
    return [(x, y) for y in span for x in span if abs(x + y) <= radius]


@cache
def _index(board: str) -> dict[tuple[int, int], int]:
    return {xy: cell for cell, xy in enumerate(coordinates(board))}


def _tables(board: str, directions: tuple[tuple[int, int], ...]) -> npt.NDArray[np.void]:
    cells = coordinates(board)
    left, top = min(x for x, _ in cells), min(y for _, y in cells)
    place = np.array([ROWS * (y - top + MARGIN) + x - left + MARGIN for x, y in cells])
    built = np.zeros(1, dtype=TABLES)
    built["place"][0, : len(cells)] = place
    built["cell_at"][0] = NONE
    built["cell_at"][0, place] = np.arange(len(cells))
    built["first_cell"][0] = np.searchsorted(place, ROWS * np.arange(ROWS + 1))
    np.bitwise_or.at(built["board_rows"][0], place // ROWS, 1 << place % ROWS)
    for direction, (dx, dy) in enumerate(directions):
        built["dx"][0, direction], built["dy"][0, direction] = dx, dy
        built["step"][0, direction] = ROWS * dy + dx
    touching = _HEX_DIRECTIONS if board in _RADIUS else _ORTHOGONAL
    built["holds_together"][0] = [_holds_together(around, touching) for around in range(512)]
    built.flags.writeable = False
    return built


def _holds_together(around: int, touching: tuple[tuple[int, int], ...]) -> int:
    """Judge a 3 x 3 window, bit `3 * row + column`, by its cells other than the middle one."""
    cells = {(bit % 3 - 1, bit // 3 - 1) for bit in range(9) if around >> bit & 1} - {(0, 0)}
    neighbours = cells & set(touching)
    joined = set(list(neighbours)[:1])
    while True:
        grown = joined | {(x + dx, y + dy) for x, y in joined for dx, dy in touching} & cells
        if grown == joined:
            break
        joined = grown
    return STAYS_WHOLE * (neighbours <= joined) + HAS_NEIGHBOUR * bool(neighbours)


def _directions(board: str) -> tuple[tuple[int, int], ...]:
    return _HEX_DIRECTIONS if board in _RADIUS else _SQUARE_DIRECTIONS


def ray(board: str, cell: int, direction: int) -> list[int]:
    """Return the cells met when walking from a cell, nearest first."""
    index, (dx, dy) = _index(board), _directions(board)[direction]
    x, y = coordinates(board)[cell]
    cells = []
    while (x + dx, y + dy) in index:
        x, y = x + dx, y + dy
        cells.append(index[x, y])
    return cells


@cache
def geometry(board: str) -> Geometry:
    """Return the constants of a board, always the same object."""
    if board not in BOARDS:
        raise BadInput(f"unknown board {board!r}", hint=f"use one of {', '.join(BOARDS)}")
    cells, directions = coordinates(board), _directions(board)
    is_hex = board in _RADIUS
    reached = sum(len(ray(board, cell, way)) for cell in range(len(cells)) for way in range(len(directions)))
    return Geometry(
        board=BOARDS.index(board),
        n_cells=len(cells),
        n_rows=len({y for _, y in cells}),
        n_axes=len(directions) // 2,
        n_dirs=len(directions),
        lean=int(is_hex),
        spreads=int(board != "hexagonal"),
        # A stack reaches a given cell either by a move or over the one first target of that ray, so there
        # are at most as many moves as ray cells; placements are at most three a cell, which are written
        # three at a time; two more may be skips or the swap.
        max_moves=max(reached, 3 * len(cells)) + 5,
        tables=_tables(board, directions),
    )


def cell_index(board: str, x: int, y: int) -> int:
    """Return the number of the cell at (x, y), or `NONE` when that is off the board."""
    return _index(board).get((x, y), NONE)


def cell_xy(board: str, cell: int) -> tuple[int, int]:
    """Return (x, y) of a cell."""
    return coordinates(board)[cell]
