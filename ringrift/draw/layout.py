"""Where the cells of a board stand on a grid of characters.

Two styles: `lined` has walls between the cells and needs two lines a row; `tight` has none and fits the large
boards on a usual screen. The inside of a cell is always three characters. Square boards have their rows below
one another; on hex boards each row is shifted by half a cell, so that x runs along the falling diagonal.
Coordinates stand on the rim: y to the left of each row, x above (and, on hex boards, below) its column.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Literal

from ringrift.game.config import GameConfig
from ringrift.game.geometry import geometry

Style = Literal["lined", "tight"]
INSIDE = 3
"""Characters inside a cell."""


@dataclass(frozen=True, slots=True)
class Mark:
    """Text at a place of the grid."""

    row: int
    column: int
    text: str


@dataclass(frozen=True, slots=True)
class Layout:
    """A board on a grid of `height` lines of `width` characters."""

    style: Style
    width: int
    height: int
    places: tuple[tuple[int, int], ...]
    """Line and first column of the inside of each cell, by cell number."""
    walls: tuple[Mark, ...]
    rim: tuple[Mark, ...]
    """Coordinates."""


def size_of(config: GameConfig, style: Style) -> tuple[int, int]:
    """Return width and height of a board in a style."""
    found = layout(config.board, style)
    return found.width, found.height


def best_style(config: GameConfig, width: int, height: int) -> Style:
    """Return the larger style if it fits, else the tight one."""
    wide, high = size_of(config, "lined")
    return "lined" if wide <= width and high <= height else "tight"


@cache
def layout(board: str, style: Style) -> Layout:
    """Return the layout of a board."""
    if geometry(board).n_dirs == 6:
        return _hex(board, style)
    return _square(board, style)


def _square(board: str, style: Style) -> Layout:
    cells = [(int(x), int(y)) for x, y in geometry(board).xy]
    side = max(x for x, _ in cells) + 1
    lined = style == "lined"
    left, pitch, rise = 3, INSIDE + lined, 1 + lined
    places = tuple((1 + lined + rise * y, left + lined + pitch * x) for x, y in cells)
    rim = [Mark(1 + lined + rise * y, 0, f"{y:>2}") for y in range(side)]
    rim += [Mark(0, left + lined + pitch * x, f"{x:^3}") for x in range(side)]
    walls = _square_walls(side, left) if lined else ()
    return Layout(style, left + pitch * side + lined, 1 + rise * side + lined, places, walls, tuple(rim))


def _square_walls(side: int, left: int) -> tuple[Mark, ...]:
    walls = []
    for line in range(side + 1):
        first, between, last = "┌┬┐" if line == 0 else "└┴┘" if line == side else "├┼┤"
        walls.append(Mark(1 + 2 * line, left, first + between.join(["───"] * side) + last))
        if line < side:
            walls += [Mark(2 + 2 * line, left + 4 * wall, "│") for wall in range(side + 1)]
    return tuple(walls)


def _hex(board: str, style: Style) -> Layout:
    cells = [(int(x), int(y)) for x, y in geometry(board).xy]
    radius = max(x for x, _ in cells)
    lined = style == "lined"
    left, pitch, rise = 4, INSIDE + lined, 1 + lined

    def place(x: int, y: int) -> tuple[int, int]:
        """A cell's place is x + y/2 cells to the right; the middle row begins at the left edge."""
        return 1 + lined + rise * (y + radius), left + lined + pitch * (2 * x + y + 2 * radius) // 2

    places = tuple(place(x, y) for x, y in cells)
    width, height = left + pitch * (2 * radius + 1) + lined, 2 + rise * (2 * radius + 1) + lined
    rim = []
    for y in range(-radius, radius + 1):
        row, column = place(max(-radius, -radius - y), y)
        rim.append(Mark(row, column - 4 - lined, f"{y:>3}"))
    for x in range(radius + 1):
        rim.append(Mark(0, place(x, -radius - 1)[1], f"{x:^3}"))
        if lined or x < 10 or x % 2 == 0:  # longer figures would touch
            rim.append(Mark(height - 1, place(-x, radius + 1)[1], f"{-x:>3}"))
    walls = _hex_walls(places) if lined else ()
    return Layout(style, width, height, places, walls, tuple(rim))


def _hex_walls(places: tuple[tuple[int, int], ...]) -> tuple[Mark, ...]:
    walls: dict[tuple[int, int], str] = {}
    for row, column in places:
        walls |= {(row, column - 1): "│", (row, column + 3): "│"}
        walls |= {(row - 1, column): "╱", (row - 1, column + 2): "╲"}
        walls |= {(row + 1, column): "╲", (row + 1, column + 2): "╱"}
    return tuple(Mark(row, column, text) for (row, column), text in sorted(walls.items()))
