"""Names of cells: `"x,y"` in move keys and canonical states, `"x,y,z"` on the wire of hex boards."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache

from ringrift.errors import BadInput
from ringrift.game.geometry import NONE, cell_index, cell_xy, coordinates, geometry
from ringrift.notation.fields import Fields, shown


@cache
def cell_names(board: str) -> tuple[str, ...]:
    """Return the name of each cell, in the order of cell numbers."""
    return tuple(f"{x},{y}" for x, y in coordinates(board))


@cache
def cells_by_name(board: str) -> dict[str, int]:
    return {name: cell for cell, name in enumerate(cell_names(board))}


@cache
def wire_keys(board: str) -> tuple[str, ...]:
    """Return the position key of each cell: with z on hex boards."""
    if not _is_hex(board):
        return cell_names(board)
    return tuple(f"{x},{y},{-x - y}" for x, y in coordinates(board))


@cache
def cells_by_wire_key(board: str) -> dict[str, int]:
    return {key: cell for cell, key in enumerate(wire_keys(board))}


def cell_list(board: str, cells: Iterable[int]) -> str:
    """Return cells as their names, sorted as strings and joined by `/`."""
    names = cell_names(board)
    return "/".join(sorted(names[cell] for cell in cells))


def position_json(board: str, cell: int) -> dict[str, int]:
    """Return the position of a cell: no `z` on square boards, always `z` on hex boards."""
    return vector_json(board, *cell_xy(board, cell))


def vector_json(board: str, x: int, y: int) -> dict[str, int]:
    return {"x": x, "y": y, "z": -x - y} if _is_hex(board) else {"x": x, "y": y}


def read_position(board: str, value: object, path: str) -> int:
    """Return the cell of a position object; `z` may be absent or null, else it must fit."""
    position = Fields(value, path)
    x, y = position.integer("x", -99, 99), position.integer("y", -99, 99)
    if position.has("z") and (not _is_hex(board) or position.integer("z", -99, 99) != -x - y):
        raise position.wrong("z", f"{shown(position.get('z'))} does not belong to x={x}, y={y}")
    cell = cell_index(board, x, y)
    if cell == NONE:
        raise BadInput(f"{path}: ({x}, {y}) is not on {board}")
    return cell


def read_wire_key(board: str, key: object, path: str) -> int:
    """Return the cell of a position key."""
    cell = cells_by_wire_key(board).get(key, NONE) if isinstance(key, str) else NONE
    if cell == NONE:
        raise BadInput(f"{path}: {shown(key)} is no cell of {board}")
    return cell


def _is_hex(board: str) -> bool:
    return geometry(board).n_dirs == 6
