"""Board symmetries on move keys and canonical states.

A symmetry is an integer matrix on coordinates relative to the board's centre. Square boards have eight, hex
boards twelve.
"""

from __future__ import annotations

import re
from functools import cache
from itertools import product
from typing import Any

from ringrift.game.geometry import geometry

Matrix = tuple[tuple[int, int], tuple[int, int]]
_CELL = re.compile(r"-?\d+,-?\d+")


def symmetries(board: str) -> list[Matrix]:
    """Return every linear map of the coordinates that maps the board's cells onto themselves."""
    cells = set(map(tuple, geometry(board).xy.tolist()))
    entries = product((-1, 0, 1), repeat=4)
    found = [((a, b), (c, d)) for a, b, c, d in entries if abs(a * d - b * c) == 1]
    return [matrix for matrix in found if {turn_cell(board, matrix, cell) for cell in cells} == cells]


@cache
def _last(board: str) -> int:
    """Return the sum of the coordinates of opposite ends of a row through the centre: 0 on hex boards."""
    return int(geometry(board).xy.max() + geometry(board).xy.min())


def turn_cell(board: str, matrix: Matrix, cell: tuple[int, ...]) -> tuple[int, ...]:
    """Return where a symmetry puts (x, y)."""
    last = _last(board)
    x, y = (2 * coordinate - last for coordinate in cell)
    return tuple((a * x + b * y + last) // 2 for a, b in matrix)


def turn_key(board: str, matrix: Matrix, key: str) -> str:
    """Return the key of the same move on the turned board; the cells of a list are sorted again."""

    def turned(cell: re.Match[str]) -> str:
        return ",".join(map(str, turn_cell(board, matrix, tuple(map(int, cell[0].split(","))))))

    parts = re.split(r"([:|=])", _CELL.sub(turned, key))
    return "".join("/".join(sorted(part.split("/"))) for part in parts)


def turn_state(board: str, matrix: Matrix, state: dict[str, Any]) -> dict[str, Any]:
    """Return the canonical state of the turned board."""

    def turned(cell: str) -> str:
        return turn_key(board, matrix, cell)

    return {
        **state,
        **{name: {turned(cell): value for cell, value in state[name].items()} for name in ("co", "mk", "sk")},
        **{name: state[name] and turned(state[name]) for name in ("at", "mu")},
    }
