"""Boards as tables: cells, rays, adjacency. Rules document, sections 1.1 and 1.2.

Cells are numbered row by row: ascending y, then ascending x. Hex boards use axial (x, y), with z = -x-y
left out. Directions are numbered so that `d` and `d + n_axes` are opposite and the first `n_axes` of them are
the line axes in the order of section 1.2.

A set of cells is a list of 32 rows, one integer each. The *place* of a cell is `32 * row + bit`: a step along a
ray adds a constant to it. `MARGIN` empty rows and columns surround the board, so that three steps in any
direction stay within the list.
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

_RADIUS = {"hex8": 4, "hexagonal": 12}
_SIDE = {"square8": 8, "square19": 19}

_SQUARE_AXES = ((1, 0), (1, 1), (0, 1), (1, -1))
_HEX_AXES = ((1, 0), (1, -1), (0, -1))
_ORTHOGONAL = ((1, 0), (0, 1), (-1, 0), (0, -1))


class Geometry(NamedTuple):
    """Everything about one board that never changes. Absent cells are `NONE`."""

    board: int
    """Position of the board in `ringrift.game.config.BOARDS`."""
    n_cells: int
    n_axes: int
    """Line axes: 4 on square boards, 3 on hex boards."""
    n_dirs: int
    """Ray directions: 8 or 6."""
    max_moves: int
    """No position has more legal moves than this."""
    rays: npt.NDArray[np.int16]
    """(n_cells, n_dirs, width): the cells met when walking from a cell, nearest first, then `NONE`."""
    ray_length: npt.NDArray[np.int16]
    """(n_cells, n_dirs): how many cells each ray has."""
    neighbours: npt.NDArray[np.int16]
    """(n_cells, 6): territory adjacency, 4 orthogonal or 6 hex neighbours, then `NONE`."""
    xy: npt.NDArray[np.int16]
    """(n_cells, 2): coordinates of a cell."""
    step: npt.NDArray[np.int16]
    """(n_dirs, 2): dx and dy of each direction."""
    place: npt.NDArray[np.int16]
    """(n_cells,): place of a cell in a cell set."""
    cell_at: npt.NDArray[np.int16]
    """(1024,): cell at a place, `NONE` off the board."""
    first_cell: npt.NDArray[np.int16]
    """(33,): lowest cell in a row or in a later one."""
    board_rows: npt.NDArray[np.int32]
    """(32,): the set of all cells."""
    n_rows: int
    """Rows of the board; the first one is row `MARGIN`."""
    lean: int
    """Territory neighbours in the row before are dx = 0 and dx = `lean`: 0 on square boards, 1 on hex boards."""
    spreads: int
    """1 where a collapsing border spreads to all eight cells around (section 1.2); 0 on `hexagonal`."""


def _coordinates(board: str) -> list[tuple[int, int]]:
    if board in _SIDE:
        side = range(_SIDE[board])
        return [(x, y) for y in side for x in side]
    radius = _RADIUS[board]
    span = range(-radius, radius + 1)
    return [(x, y) for y in span for x in span if abs(x + y) <= radius]


@cache
def _index(board: str) -> dict[tuple[int, int], int]:
    return {xy: cell for cell, xy in enumerate(_coordinates(board))}


def _ray(index: dict[tuple[int, int], int], start: tuple[int, int], step: tuple[int, int]) -> list[int]:
    cells = []
    x, y = start[0] + step[0], start[1] + step[1]
    while (x, y) in index:
        cells.append(index[x, y])
        x, y = x + step[0], y + step[1]
    return cells


def _table(lists: list[list[int]], width: int) -> npt.NDArray[np.int16]:
    """Pad lists of cells with `NONE` to one read-only table."""
    table = np.full((len(lists), width), NONE, dtype=np.int16)
    for row, cells in enumerate(lists):
        table[row, : len(cells)] = cells
    return table


def _adjacent(board: str, offsets: tuple[tuple[int, int], ...]) -> list[list[int]]:
    index = _index(board)
    return [
        [index[x + dx, y + dy] for dx, dy in offsets if (x + dx, y + dy) in index]
        for x, y in _coordinates(board)
    ]


def _cell_sets(cells: list[tuple[int, int]]) -> dict[str, npt.NDArray[np.generic]]:
    """Build the tables that lead from cells to places and back."""
    left, top = min(x for x, _ in cells), min(y for _, y in cells)
    place = np.array([ROWS * (y - top + MARGIN) + x - left + MARGIN for x, y in cells], dtype=np.int16)
    cell_at = np.full(ROWS * ROWS, NONE, dtype=np.int16)
    cell_at[place] = np.arange(len(cells))
    board_rows = np.zeros(ROWS, dtype=np.int32)
    np.bitwise_or.at(board_rows, place // ROWS, np.int32(1) << place % ROWS)
    first_cell = np.searchsorted(place, ROWS * np.arange(ROWS + 1)).astype(np.int16)
    return {"place": place, "cell_at": cell_at, "first_cell": first_cell, "board_rows": board_rows}


@cache
def geometry(board: str) -> Geometry:
    """Return the tables of a board; the arrays are shared and read-only."""
    if board not in BOARDS:
        raise BadInput(f"unknown board {board!r}", hint=f"use one of {', '.join(BOARDS)}")
    index, cells = _index(board), _coordinates(board)
    is_hex = board in _RADIUS
    axes = _HEX_AXES if is_hex else _SQUARE_AXES
    directions = axes + tuple((-dx, -dy) for dx, dy in axes)
    touching = directions if is_hex else _ORTHOGONAL
    walks = [_ray(index, cell, step) for cell in cells for step in directions]
    lengths = np.array([len(walk) for walk in walks], dtype=np.int16).reshape(len(cells), -1)
    width = int(lengths.max()) + 1
    built = Geometry(
        board=BOARDS.index(board),
        n_cells=len(cells),
        n_axes=len(axes),
        n_dirs=len(directions),
        # A stack reaches a given cell either by a move or over the one first target of that ray, so there
        # are at most as many moves as ray cells; placements are at most three a cell, which are written
        # three at a time; two more may be skips or the swap.
        max_moves=max(int(lengths.sum()), 3 * len(cells)) + 5,
        rays=_table(walks, width).reshape(len(cells), len(directions), width),
        ray_length=lengths,
        neighbours=_table(_adjacent(board, touching), 6),
        xy=np.array(cells, dtype=np.int16),
        step=np.array(directions, dtype=np.int16),
        n_rows=len({y for _, y in cells}),
        lean=int(is_hex),
        spreads=int(board != "hexagonal"),
        **_cell_sets(cells),
    )
    for table in built:
        if isinstance(table, np.ndarray):
            table.flags.writeable = False
    return built


def cell_index(board: str, x: int, y: int) -> int:
    """Return the number of the cell at (x, y), or `NONE` when that is off the board."""
    return _index(board).get((x, y), NONE)


def cell_xy(board: str, cell: int) -> tuple[int, int]:
    """Return (x, y) of a cell."""
    x, y = geometry(board).xy[cell]
    return int(x), int(y)
