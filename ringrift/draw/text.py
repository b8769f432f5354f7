"""A board as characters: plain text, and rich text with the same characters and colours added.

| drawn | is |
|---|---|
| `A3²` | a stack controlled by A: three rings, of which the top two make the cap |
| `●A` | a marker |
| `▒A▒` | territory |
| `[A3²]`, `(●A )` | where the last move ended and began, in the lined style |

Where a stack of ten or more rings does not fit, `+` stands for the figure; `tall_stacks` tells it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ringrift.draw.layout import INSIDE, Layout, Style, layout
from ringrift.draw.palette import (
    AIM,
    CELLS,
    COLOURS,
    DIM,
    GROUND,
    HATCH,
    INK,
    LAND,
    LETTERS,
    LINE,
    LIT,
    TEXT,
    superscript,
)
from ringrift.draw.position import UNMARKED, Cell, Marks, cells_of
from ringrift.game.play import Game
from ringrift.notation.cells import cell_names

if TYPE_CHECKING:
    from rich.text import Text

LEGEND = "A3² stack of A: 3 rings, cap 2 · ●A marker · ▒A▒ territory · [ ] last move to · ( ) from"


class Canvas:
    """A grid of characters with a style each."""

    def __init__(self, width: int, height: int) -> None:
        self.chars = [[" "] * width for _ in range(height)]
        self.styles = [[""] * width for _ in range(height)]

    def put(self, row: int, column: int, text: str, style: str = "") -> None:
        """Write text; what would stand outside is an error of the layout."""
        for offset, char in enumerate(text):
            self.chars[row][column + offset] = char
            self.styles[row][column + offset] = style

    def lines(self) -> list[str]:
        """Return the lines, all of one width."""
        return ["".join(line) for line in self.chars]

    def text(self) -> Text:
        """Return the grid as rich text of many lines."""
        from rich.text import Text

        drawn = Text(end="", no_wrap=True)
        for number, (chars, styles) in enumerate(zip(self.chars, self.styles, strict=True)):
            drawn.append("\n" if number else "")
            start = 0
            for at in range(1, len(chars) + 1):
                if at == len(chars) or styles[at] != styles[start]:
                    drawn.append("".join(chars[start:at]), styles[start] or None)
                    start = at
        return drawn


def draw_board(
    game: Game, style: Style = "lined", marks: Marks = UNMARKED, cursor: Marks = UNMARKED
) -> Canvas:
    """Return a position on a canvas. `marks` is the last move; `cursor` what a person points at and may."""
    plan = layout(game.config.board, style)
    canvas = Canvas(plan.width, plan.height)
    for mark in plan.walls:
        canvas.put(mark.row, mark.column, mark.text, LINE)
    for mark in plan.rim:
        canvas.put(mark.row, mark.column, mark.text, DIM)
    shades = _shades(game)
    for number, cell in enumerate(cells_of(game)):
        row, column = plan.places[number]
        ground = GROUND if style == "lined" else CELLS[shades[number]]
        ground = AIM if number in cursor.others else ground
        for offset, char in enumerate(_inside(cell, style)):
            look = _look(cell, ground, char)
            canvas.put(row, column + offset, char, _lit(look, number, marks, cursor))
    _brackets(canvas, plan, marks, cursor)
    return canvas


def tall_stacks(game: Game) -> list[str]:
    """Return the stacks whose height or cap the board shows as `+`: `A12¹⁰ on 3,4`."""
    names = cell_names(game.config.board)
    return [
        f"{LETTERS[cell.owner]}{cell.height}{superscript(cell.cap)} on {names[number]}"
        for number, cell in enumerate(cells_of(game))
        if cell.height > 9
    ]


def _shades(game: Game) -> list[int]:
    """Colour neighbours apart: two shades do for squares, hexagons take three."""
    if game.config.is_hex:
        return [(x - y) % 3 for x, y in game.geo.xy.tolist()]
    return [(x + y) % 2 for x, y in game.geo.xy.tolist()]


def _inside(cell: Cell, style: Style) -> str:
    """Return the three characters of a cell."""
    if cell.kind == "stack":
        height = str(cell.height) if cell.height < 10 else "+"
        return LETTERS[cell.owner] + height + (superscript(cell.cap) if cell.cap < 10 else "⁺")
    if cell.kind == "marker":
        return f"●{LETTERS[cell.owner]} "
    if cell.kind == "territory":
        return f"▒{LETTERS[cell.owner]}▒"
    return " · " if style == "tight" else " " * INSIDE


def _look(cell: Cell, ground: str, char: str) -> str:
    if cell.kind == "stack":
        return f"bold {INK} on {COLOURS[cell.owner]}"
    if cell.kind == "marker":
        return f"{COLOURS[cell.owner]} on {ground}"
    if cell.kind == "territory":
        return f"{(HATCH if char == '▒' else COLOURS)[cell.owner]} on {LAND[cell.owner]}"
    return f"{TEXT if ground == AIM else LINE} on {ground}"


def _lit(look: str, number: int, marks: Marks, cursor: Marks) -> str:
    """Add what tells a cell apart without colour: reverse for the cursor, underline for the last move."""
    if number == cursor.to:
        return f"bold {INK} on {LIT}"
    if number == marks.to or number == cursor.origin:
        return f"{look} bold underline"
    if number == marks.origin or number in marks.others or number in cursor.others:
        return f"{look} underline"
    return look


def _brackets(canvas: Canvas, plan: Layout, marks: Marks, cursor: Marks) -> None:
    """Replace the walls beside marked cells; later ones win, so the cursor comes last."""
    if plan.style != "lined":
        return
    others = (*marks.others, *cursor.others)
    shown: list[tuple[int | None, str, str]] = [(number, "{", "}") for number in others]
    shown += [(marks.origin, "(", ")"), (marks.to, "[", "]")]
    shown += [(cursor.origin, "(", ")"), (cursor.to, "▐", "▌")]
    for number, before, after in shown:
        if number is not None:
            row, column = plan.places[number]
            canvas.put(row, column - 1, before, f"bold {LIT}")
            canvas.put(row, column + INSIDE, after, f"bold {LIT}")
