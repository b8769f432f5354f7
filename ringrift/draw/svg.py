"""A board as a vector picture: one self-contained SVG text, no fonts or addresses from elsewhere.

Stacks are drawn as piles of their rings, the top ring highest, with letter, height and cap in figures.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator
from math import sqrt

from ringrift.draw.palette import (
    CELLS,
    COLOURS,
    DIM,
    GROUND,
    INK,
    LAND,
    LETTERS,
    LINE,
    LIT,
    TEXT,
    superscript,
)
from ringrift.draw.panel import players, turn
from ringrift.draw.position import UNMARKED, Cell, Marks, cells_of
from ringrift.game.play import Game

UNIT = 48.0
"""Width of a cell in user units."""
MARGIN = 36.0
SIDE = 232.0
"""Width of the column with the counters."""
FONTS = "'DejaVu Sans Mono', Menlo, Consolas, 'Liberation Mono', monospace"
_FORBIDDEN = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")

Point = tuple[float, float]


def draw_svg(game: Game, marks: Marks = UNMARKED, title: str = "", note: str = "") -> str:
    """Return the picture of a position; `marks` is the last move, `note` says it in words."""
    points = _centres(game)
    width = max(x for x, _ in points) + UNIT / 2 + MARGIN
    height = max(y for _, y in points) + UNIT / 2 + MARGIN
    height = max(height, 260.0)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width + SIDE:.0f} {height:.0f}" role="img">',
        f"<title>{_escaped(title or game.config.key)}</title>",
        f'<rect width="100%" height="100%" fill="{GROUND}"/>',
        f'<g font-family="{FONTS}" text-anchor="middle" font-size="13">',
        *_ground(game, points, marks),
        *_arrow(points, marks),
        *(part for point, cell in zip(points, cells_of(game), strict=True) for part in _piece(point, cell)),
        *_rim(game, points),
        "</g>",
        *_side(game, width, title, note),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _centres(game: Game) -> list[Point]:
    """Return the middle of every cell; hexagons stand on a point."""
    xy = game.geo.xy.tolist()
    if not game.config.is_hex:
        return [(MARGIN + UNIT * (x + 0.5), MARGIN + UNIT * (y + 0.5)) for x, y in xy]
    radius = max(x for x, _ in xy)
    rise = UNIT * sqrt(3) / 2
    return [
        (MARGIN + UNIT * (x + y / 2 + radius + 0.5), MARGIN + UNIT / sqrt(3) + rise * (y + radius))
        for x, y in xy
    ]


def _outline(game: Game, centre: Point, scale: float = 1.0) -> str:
    x, y = centre
    if not game.config.is_hex:
        half = UNIT / 2 * scale
        corners = [(x - half, y - half), (x + half, y - half), (x + half, y + half), (x - half, y + half)]
    else:
        wide, high = UNIT / 2 * scale, UNIT / sqrt(3) * scale
        corners = [(x, y - high), (x + wide, y - high / 2), (x + wide, y + high / 2)]
        corners += [(x, y + high), (x - wide, y + high / 2), (x - wide, y - high / 2)]
    return " ".join(f"{a:.1f},{b:.1f}" for a, b in corners)


def _ground(game: Game, points: list[Point], marks: Marks) -> Iterator[str]:
    """Yield the cells without pieces; the outlines of marked cells come last, over the others."""
    for number, ((x, y), cell) in enumerate(zip(points, cells_of(game), strict=True)):
        column, row = game.geo.xy[number].tolist()
        shade = (column - row) % 3 if game.config.is_hex else (column + row) % 2
        fill = LAND[cell.owner] if cell.kind == "territory" else CELLS[shade]
        yield f'<polygon points="{_outline(game, (x, y))}" fill="{fill}" stroke="{LINE}"/>'
    touched: list[tuple[int | None, str]] = [(number, DIM) for number in marks.others]
    for place, colour in [*touched, (marks.origin, LIT), (marks.to, LIT)]:
        if place is not None:
            outline = _outline(game, points[place], 0.93)
            yield f'<polygon points="{outline}" fill="none" stroke="{colour}" stroke-width="2.5"/>'


def _piece(centre: Point, cell: Cell) -> Iterator[str]:
    x, y = centre
    colour, name = COLOURS[cell.owner], LETTERS[cell.owner]
    if cell.kind == "territory":
        yield f'<text x="{x:.1f}" y="{y + 5:.1f}" fill="{colour}">{name}</text>'
    elif cell.kind == "marker":
        yield f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{UNIT * 0.2:.1f}" fill="{colour}"/>'
        yield f'<text x="{x:.1f}" y="{y + 4.5:.1f}" fill="{INK}" font-weight="bold">{name}</text>'
    elif cell.kind == "stack":
        yield from _pile(x, y, cell)


def _pile(x: float, y: float, cell: Cell) -> Iterator[str]:
    """Yield rings from the bottom up; tall piles are pressed so that they stay in their cell."""
    wide, flat = UNIT * 0.33, UNIT * 0.13
    step = min(UNIT * 0.095, UNIT * 0.42 / cell.height)
    base = y + UNIT * 0.16
    for level, ring in enumerate(reversed(cell.rings)):
        at = base - step * level
        look = f'fill="{COLOURS[ring]}" stroke="{INK}"'
        arc = f"a{wide:.1f} {flat:.1f} 0 0 0"
        rim = f"v{step:.1f}{arc} {2 * wide:.1f} 0v{-step:.1f}{arc} {-2 * wide:.1f} 0z"
        yield f'<path d="M{x - wide:.1f} {at - step:.1f}{rim}" {look}/>'
        yield f'<ellipse cx="{x:.1f}" cy="{at - step:.1f}" rx="{wide:.1f}" ry="{flat:.1f}" {look}/>'
    told = f"{LETTERS[cell.owner]}{cell.height}{superscript(cell.cap)}"
    yield (
        f'<text x="{x:.1f}" y="{base - step * cell.height + 4:.1f}" fill="{INK}" font-size="11" '
        f'font-weight="bold">{told}</text>'
    )


def _arrow(points: list[Point], marks: Marks) -> Iterator[str]:
    """Yield a line from where the last move began to where it ended."""
    if marks.origin is None or marks.to is None:
        return
    (x1, y1), (x2, y2) = points[marks.origin], points[marks.to]
    yield (
        f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{LIT}" stroke-width="2.5" '
        f'stroke-dasharray="2 5" stroke-linecap="round"/>'
    )


def _rim(game: Game, points: list[Point]) -> Iterator[str]:
    """Yield y left of each row and x above its column; on hex boards the columns fall to the right."""
    seen_x: set[int] = set()
    seen_y: set[int] = set()
    for (column, row), (x, y) in zip(game.geo.xy.tolist(), points, strict=True):
        if row not in seen_y:
            seen_y.add(row)
            yield f'<text x="{x - UNIT * 0.5 - 14:.1f}" y="{y + 4:.1f}" fill="{DIM}">{row}</text>'
        if column not in seen_x:
            seen_x.add(column)
            left, up = (UNIT * 0.38, UNIT * 0.66) if game.config.is_hex else (0.0, UNIT * 0.5 + 10)
            if not game.config.is_hex or column >= 0:
                yield f'<text x="{x - left:.1f}" y="{y - up:.1f}" fill="{DIM}">{column}</text>'
    if game.config.is_hex:
        yield from _lower_rim(game, points)


def _lower_rim(game: Game, points: list[Point]) -> Iterator[str]:
    """Yield x below the last row, where the columns that begin at the left edge end."""
    last = max(row for _, row in game.geo.xy.tolist())
    for (column, row), (x, y) in zip(game.geo.xy.tolist(), points, strict=True):
        if row == last:
            yield (
                f'<text x="{x + UNIT * 0.38:.1f}" y="{y + UNIT * 0.66 + 10:.1f}" fill="{DIM}">{column}</text>'
            )


def _side(game: Game, left: float, title: str, note: str) -> Iterator[str]:
    """Yield title, counters, turn and last move as a column of text."""
    lines = [(title, 0), ("", 0), *players(game), ("", 0), *turn(game), ("", 0), (note, -1)]
    yield f'<g font-family="{FONTS}" font-size="13">'
    row = 0
    for line, tone in lines:
        colour = DIM if tone < 0 else COLOURS[tone] if tone else TEXT
        for part in _broken(line, 26):
            told = _escaped(part).replace(" ", "\u00a0")  # viewers run ordinary spaces together
            yield f'<text x="{left:.0f}" y="{MARGIN + 18 * row:.0f}" fill="{colour}">{told}</text>'
            row += 1
    yield "</g>"


def _broken(line: str, width: int) -> list[str]:
    return textwrap.wrap(line, width, drop_whitespace=False) or [""]


def _escaped(text: str) -> str:
    """Return text for XML; U+FFFD stands for characters that XML 1.0 cannot hold."""
    text = _FORBIDDEN.sub("\ufffd", text)
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
