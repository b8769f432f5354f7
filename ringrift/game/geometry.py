"""Boards as tables: cells, rays, adjacency. Rules document, sections 1.1 and 1.2.

Cells are numbered row by row: ascending y, then ascending x. Hex boards use axial (x, y), with z = -x-y
left out. Directions are numbered so that `d` and `d + n_axes` are opposite and the first `n_axes` of them are
the line axes in the order of section 1.2.
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

_RADIUS = {"hex8": 4, "hexagonal": 12}
_SIDE = {"square8": 8, "square19": 19}

_SQUARE_AXES = ((1, 0), (1, 1), (0, 1), (1, -1))
_HEX_AXES = ((1, 0), (1, -1), (0, -1))
_ORTHOGONAL = ((1, 0), (0, 1), (-1, 0), (0, -1))
_EIGHT = ((1, 0), (1, 1), (0, 1), (-1, 1), (-1, 0), (-1, -1), (0, -1), (1, -1))


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
    earlier: npt.NDArray[np.int16]
    """(n_cells, 3): those territory neighbours that have a smaller number, then `NONE`."""
    heading: npt.NDArray[np.int16]
    """(3, 3): direction with signs (dx, dy), at [dx + 1, dy + 1]; `NONE` where that is no direction."""
    spread: npt.NDArray[np.int16]
    """(n_cells, 8): where a collapsing border spreads to, then `NONE`."""
    xy: npt.NDArray[np.int16]
    """(n_cells, 2): coordinates of a cell."""


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


def _adjacent(
    board: str, offsets: tuple[tuple[int, int], ...], *, earlier_only: bool = False
) -> list[list[int]]:
    index = _index(board)
    found = []
    for cell, (x, y) in enumerate(_coordinates(board)):
        near = [index[x + dx, y + dy] for dx, dy in offsets if (x + dx, y + dy) in index]
        found.append([other for other in near if other < cell or not earlier_only])
    return found


def _headings(directions: tuple[tuple[int, int], ...]) -> npt.NDArray[np.int16]:
    table = np.full((3, 3), NONE, dtype=np.int16)
    for number, (dx, dy) in enumerate(directions):
        table[dx + 1, dy + 1] = number
    return table


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
        # are at most as many moves as ray cells; placements are at most three a cell; two more may be
        # skips or the swap.
        max_moves=max(int(lengths.sum()), 3 * len(cells)) + 2,
        rays=_table(walks, width).reshape(len(cells), len(directions), width),
        ray_length=lengths,
        neighbours=_table(_adjacent(board, touching), 6),
        earlier=_table(_adjacent(board, touching, earlier_only=True), 3),
        heading=_headings(directions),
        spread=_table(_adjacent(board, _EIGHT if board != "hexagonal" else ()), 8),
        xy=np.array(cells, dtype=np.int16),
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
