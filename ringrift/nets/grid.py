"""Cells of a board on a rectangular grid, in every orientation under which the rules stay the same.

Hex boards lie on the grid of their axial coordinates: six of the eight surrounding grid cells are neighbours.
Symmetries are exact. The border of a claimed region spreads on `hex8` along the two grid diagonals as well
(rules, section 1.2), which only four of the hexagon's twelve symmetries leave alone.
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ringrift.game.geometry import coordinates

_Matrix = tuple[tuple[int, int], tuple[int, int]]

_SQUARE: tuple[_Matrix, ...] = (
    ((1, 0), (0, 1)), ((0, -1), (1, 0)), ((-1, 0), (0, -1)), ((0, 1), (-1, 0)),
    ((-1, 0), (0, 1)), ((1, 0), (0, -1)), ((0, 1), (1, 0)), ((0, -1), (-1, 0)),
)  # fmt: skip
_HEX_BOTH: tuple[_Matrix, ...] = (((1, 0), (0, 1)), ((-1, 0), (0, -1)), ((0, 1), (1, 0)), ((0, -1), (-1, 0)))
_HEX_REST: tuple[_Matrix, ...] = (
    ((0, -1), (1, 1)), ((-1, -1), (1, 0)), ((0, 1), (-1, -1)), ((1, 1), (-1, 0)),
    ((1, 0), (-1, -1)), ((-1, 0), (1, 1)), ((1, 1), (0, -1)), ((-1, -1), (0, 1)),
)  # fmt: skip
_SYMMETRIES = {
    "square8": _SQUARE,
    "square19": _SQUARE,
    "hex8": _HEX_BOTH,
    "hexagonal": _HEX_BOTH + _HEX_REST,
}


class Grid(NamedTuple):
    """`cells[s, c]` is the grid cell (row * width + column) of cell c in orientation s; 0 is as it is."""

    height: int
    width: int
    cells: npt.NDArray[np.int64]


@cache
def grid(board: str) -> Grid:
    """Return the grid of a board; its table (symmetries, cells) is shared and read-only."""
    xy = np.array(coordinates(board), dtype=np.int64)
    centred = 2 * xy - xy.max(0) - xy.min(0)
    side = int(xy[:, 0].max() - xy[:, 0].min()) + 1
    turned = [(centred @ np.array(matrix).T + side - 1) // 2 for matrix in _SYMMETRIES[board]]
    cells = np.ascontiguousarray(np.stack([at[:, 1] * side + at[:, 0] for at in turned]))
    cells.flags.writeable = False
    return Grid(side, side, cells)


def symmetries(board: str) -> int:
    """Return in how many orientations the board's rules are the same."""
    return len(_SYMMETRIES[board])
