"""A table that draws only the lines that changed. Columns give way by rank where the screen is narrow."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from rich.segment import Segment
from rich.style import Style
from rich.text import Text
from textual.geometry import Region
from textual.strip import Strip
from textual.widget import Widget

from tui.draw import join, line, words
from tui.theme import CURSOR, PANEL

MARGIN = 2
"""Cells at the left edge: the cursor's mark and a space."""


@dataclass(frozen=True)
class Column:
    """One column. `cell(row, width)` draws; widths in cells; the highest `rank` is left out first."""

    title: str
    cell: Callable[[Any, int], Text]
    least: int
    most: int
    right: bool = False
    rank: int = 0


def gap(width: int) -> int:
    """Return the cells between two columns."""
    return 2 if width >= 100 else 1


def fit(columns: Sequence[Column], width: int) -> list[tuple[Column, int]]:
    """Return the columns that have room, with their widths: least first, then up to most from the left."""
    shown = list(columns)

    def needed() -> int:
        return MARGIN + sum(column.least for column in shown) + gap(width) * (len(shown) - 1)

    while len(shown) > 1 and needed() > width:
        shown.remove(max(shown, key=lambda column: column.rank))
    spare = max(0, width - needed())
    widths = []
    for column in shown:
        extra = min(spare, column.most - column.least)
        spare -= extra
        widths.append((column, column.least + extra))
    return widths


class Rows(Widget):
    """Rows under a header line, with a cursor that stays on its row when rows come and go."""

    def __init__(self, columns: Sequence[Column], key: Callable[[Any], str], empty: str) -> None:
        super().__init__()
        self._columns, self._key, self._empty = columns, key, empty
        self.rows: list[Any] = []
        self.cursor = 0
        self._top = 0
        self._fitted: list[tuple[Column, int]] = []
        self._drawn: list[tuple[tuple[Text, ...], bool]] = []

    @property
    def selected(self) -> Any | None:
        """Return the row under the cursor."""
        return self.rows[self.cursor] if self.rows else None

    def show(self, rows: Sequence[Any]) -> None:
        """Take new rows; the cursor follows its row, or stays at its place when that row is gone."""
        here = self._key(self.selected) if self.rows else ""
        self.rows = list(rows)
        keys = [self._key(row) for row in self.rows]
        self.cursor = keys.index(here) if here in keys else min(self.cursor, max(0, len(keys) - 1))
        self._redraw()

    def use(self, columns: Sequence[Column]) -> None:
        """Take columns anew, before `show`; they carry the age of the rows."""
        self._columns = columns

    def move_to(self, index: int) -> None:
        """Put the cursor on a line, as near as there is one."""
        self.cursor = min(max(0, index), max(0, len(self.rows) - 1))
        self._redraw()

    def page(self) -> int:
        """Return how many rows fit."""
        return max(1, self.size.height - 1)

    def on_resize(self) -> None:
        self._drawn = []
        self._redraw()

    def _redraw(self) -> None:
        """Draw what is visible and refresh only the lines that differ from what stands there."""
        page = self.page()
        self._top = min(max(self._top, self.cursor - page + 1), self.cursor, max(0, len(self.rows) - page))
        self._fitted = fit(self._columns, self.size.width - 1)
        drawn = [
            (tuple(column.cell(row, width) for column, width in self._fitted), index == self.cursor)
            for index, row in enumerate(self.rows[self._top : self._top + page], self._top)
        ]
        if len(drawn) != len(self._drawn):
            self._drawn = drawn
            self.refresh()
            return
        changed = [y for y, (new, old) in enumerate(zip(drawn, self._drawn, strict=True), 1) if new != old]
        self._drawn = drawn
        for y in changed:
            self.refresh(Region(0, y, self.size.width, 1))

    def render_line(self, y: int) -> Strip:
        if y == 0:
            return self._strip(self._header(), Style(bgcolor=PANEL))
        if y - 1 < len(self._drawn):
            return self._row(y)
        return self._strip(words(f"  {self._empty}" if y == 2 and not self.rows else "", "dim"))

    def _header(self) -> Text:
        return self._line("  ", [words(column.title, "dim") for column, _ in self._fitted])

    def _row(self, y: int) -> Strip:
        cells, here = self._drawn[y - 1]
        text = self._line(words("▸ " if here else "  ", "accent"), cells)
        return self._strip(text, Style(bgcolor=CURSOR) if here else Style(), self._thumb(y))

    def _line(self, margin: Text | str, cells: Sequence[Text]) -> Text:
        rooms = zip(self._fitted, cells, strict=True)
        drawn = [_cell(text, room, column.right) for (column, room), text in rooms]
        return line(margin, join(drawn, " " * gap(self.size.width)))

    def _thumb(self, y: int) -> str:
        """Return the mark at the right edge that shows which part of the rows is visible."""
        page, total = self.page(), len(self.rows)
        if total <= page:
            return " "
        first, last = self._top * page // total, -(-(self._top + page) * page // total)
        return "┃" if first <= y - 1 < last else "│"

    def _strip(self, text: Text, under: Style | None = None, edge: str = " ") -> Strip:
        """Return a line over the whole width on its background, with `edge` in the last cell."""
        width = self.size.width
        text.truncate(width - 1)
        text.pad_right(width - 1 - text.cell_len)
        base = self.rich_style + (under or Style())
        segments = line(text, words(edge, "dim")).render(self.app.console)
        return Strip(Segment.apply_style(segments, base), width)


def _cell(text: Text, width: int, right: bool) -> Text:
    cell = text.copy()
    cell.truncate(width, overflow="ellipsis")
    missing = width - cell.cell_len
    if right:
        cell.pad_left(missing)
    else:
        cell.pad_right(missing)
    return cell
