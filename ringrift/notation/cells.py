"""Names of cells: `"x,y"` in move keys and canonical states, `"x,y,z"` on the wire of hex boards."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache

from ringrift.game.geometry import geometry


@cache
def cell_names(board: str) -> tuple[str, ...]:
    """Return the name of each cell, in the order of cell numbers."""
    return tuple(f"{x},{y}" for x, y in geometry(board).xy.tolist())


@cache
def cells_by_name(board: str) -> dict[str, int]:
    return {name: cell for cell, name in enumerate(cell_names(board))}


def cell_list(board: str, cells: Iterable[int]) -> str:
    """Return cells as their names, sorted as strings and joined by `/`."""
    names = cell_names(board)
    return "/".join(sorted(names[cell] for cell in cells))
