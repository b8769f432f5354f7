"""The terminal around a board: header, board, what stands beside it, keys. Shared by `replay` and `play`."""

from __future__ import annotations

import textwrap

from rich.text import Text
from textual import events
from textual.app import App, ComposeResult
from textual.containers import Container, ScrollableContainer
from textual.geometry import Region
from textual.widgets import Input

from ringrift.cli.boards.beside import rich_lines
from ringrift.draw.layout import Style, best_style, layout, size_of
from ringrift.draw.panel import Line
from ringrift.draw.position import UNMARKED, Marks
from ringrift.draw.text import draw_board
from ringrift.errors import RingRiftError
from ringrift.game.play import Game
from tui import theme
from tui.chrome import Footer
from tui.chrome import Line as Strip
from tui.draw import words
from tui.keys import Key

NARROW, WIDE = 18, 46
"""Columns of what stands beside the board: at least, at most."""
BELOW = 7
"""Lines of it where the board takes the whole width."""
CHROME = 2
"""Lines of header and footer."""

CSS = theme.CSS + f"""
#top, #foot {{ height: 1; background: {theme.PANEL}; color: {theme.TEXT}; }}
#table {{ height: 1fr; layout: horizontal; align: center middle; }}
#table.below {{ layout: vertical; align: center top; }}
#field {{ width: auto; height: auto; max-height: 100%; max-width: 100%; scrollbar-size: 1 1;
          scrollbar-color: {theme.LINE}; scrollbar-background: {theme.GROUND}; }}
#table.below #field {{ height: 1fr; }}
#board {{ width: auto; height: auto; }}
#side {{ height: auto; max-height: 100%; padding: 0 0 0 2; }}
#table.below #side {{ height: {BELOW}; width: 100%; padding: 0 1; background: {theme.PANEL}; }}
#prompt {{ height: 1; border: none; padding: 0 1; background: {theme.PANEL}; display: none; }}
"""


class Field(ScrollableContainer, can_focus=False):
    """Holds the board; it scrolls only where the board is larger than the terminal."""


class BoardApp(App[None]):
    """Shows one position; subclasses say which, and what their keys do."""

    CSS = CSS
    ENABLE_COMMAND_PALETTE = False
    AUTO_FOCUS = None
    KEYS: tuple[Key, ...] = ()
    TITLE = "RingRift"

    def __init__(self) -> None:
        super().__init__()
        self.helping = False
        self.failure: Exception | None = None
        """What the terminal, or a player in it, failed with."""

    def show(self) -> None:
        """Run until the person leaves; raise what the terminal failed with."""
        self.run()
        if self.failure is not None:
            raise self.failure
        if self.return_code:
            raise RingRiftError("the terminal ended before its time")

    def _handle_exception(self, error: Exception) -> None:
        self.failure = self.failure or error
        super()._handle_exception(error)

    def _fatal_error(self) -> None:
        """Leave without a traceback on the screen; `show` raises what happened."""
        self._close_messages_no_wait()

    def compose(self) -> ComposeResult:
        self.top, self.side, self.board, self.foot = Strip(), Strip(), Strip(), Footer()
        self.top.id, self.side.id, self.board.id, self.foot.id = "top", "side", "board", "foot"
        yield self.top
        with Container(id="table"):
            with Field(id="field"):
                yield self.board
            yield self.side
        yield Input(id="prompt", compact=True)
        yield self.foot

    def on_mount(self) -> None:
        self.register_theme(theme.THEME)
        self.theme = theme.THEME.name
        self.screen.set_focus(None)
        self.call_after_refresh(self.repaint)

    def on_resize(self) -> None:
        self.repaint()

    # What a subclass tells.

    def position(self) -> Game:
        """Return the position to show."""
        raise NotImplementedError

    def last_move(self) -> Marks:
        """Return the cells of the last move."""
        return UNMARKED

    def cursor(self) -> Marks:
        """Return what the person points at."""
        return UNMARKED

    def beside(self) -> list[Line]:
        """Return what stands beside the board."""
        return []

    def head(self) -> tuple[str, str]:
        """Return title and state for the header."""
        return "", ""

    # Drawing.

    def repaint(self) -> None:
        """Draw everything anew; only lines that changed are sent."""
        width, height = self.size
        game = self.position()
        style, below = self._arrangement(game, width, height - CHROME)
        self.query_one("#table").set_class(below, "below")
        self.board.put(draw_board(game, style, self.last_move(), self.cursor()).text())
        room = width - 2 if below else min(WIDE, width - size_of(game.config, style)[0] - 2)
        self.side.styles.width = "100%" if below else room + 2
        lines = self._help(room) if self.helping else self.beside()
        self.side.put(self._columns(lines, room) if below else rich_lines(lines, room))
        self.top.put(self._header(width))
        self.foot.paint(self.KEYS, frozenset())
        self._follow(style)

    @staticmethod
    def _arrangement(game: Game, width: int, height: int) -> tuple[Style, bool]:
        """Return the board's style, and whether the words have no room beside it."""
        style = best_style(game.config, width - NARROW - 2, height)
        return style, size_of(game.config, style)[0] + NARROW + 2 > width

    @staticmethod
    def _columns(lines: list[Line], width: int) -> Text:
        """Return lines in as many columns as fit, for the strip below a large board."""
        column = 26
        count = max(1, width // column)
        parts = [rich_lines([line], column - 2) for line in lines if line[0]]
        rows = [row for part in parts for row in part.split("\n")][: BELOW * count]
        drawn = Text(end="")
        for row in range(BELOW):
            for at in range(row, len(rows), BELOW):
                drawn.append_text(rows[at])
                drawn.append(" " * max(1, column - rows[at].cell_len))
            drawn.append("\n" if row < BELOW - 1 else "")
        return drawn

    def _header(self, width: int) -> Text:
        title, state = self.head()
        right = words(f"{state} ", "dim")
        left = Text.assemble(words(" RingRift ", "accent"), words(f" {title}"), end="", no_wrap=True)
        left.truncate(max(0, width - right.cell_len - 1), overflow="ellipsis")
        left.pad_right(max(0, width - left.cell_len - right.cell_len))
        return left.append_text(right)

    def _help(self, width: int) -> list[Line]:
        lines: list[Line] = [("keys", -1)]
        for key in self.KEYS:
            told = textwrap.wrap(key.help, max(10, width - 6))
            lines += [(f"{key.shown:<5} {told[0]}", 0), *((f"      {rest}", 0) for rest in told[1:])]
        lines += [("", 0), ("A3² stack: 3 rings, cap 2", -1), ("●A marker  ▒A▒ territory", -1)]
        lines += [("[ ] the last move, ( ) its start", -1)]
        return lines

    def _follow(self, style: Style) -> None:
        """Keep in sight what the person points at, else where the last move ended."""
        cell = self.cursor().to if self.cursor().to is not None else self.last_move().to
        if cell is not None:
            row, column = layout(self.position().config.board, style).places[cell]
            region = Region(max(0, column - 8), max(0, row - 3), 19, 7)
            self.query_one("#field").scroll_to_region(region, animate=False, force=True)

    # Keys.

    async def on_key(self, event: events.Key) -> None:
        """Do what the table of keys says; any other key goes to `typed`."""
        if self.prompting:
            if event.key == "escape":
                self.close_prompt()
            return
        found = next((key for key in self.KEYS if key.key == event.key), None)
        event.stop()
        event.prevent_default()
        if found is None:
            self.typed(event)
        else:
            if found.verb != "help":
                self.helping = False
            getattr(self, f"do_{found.verb}")()
        self.repaint()

    def typed(self, event: events.Key) -> None:
        """Take a key that stands in no table."""

    @property
    def prompting(self) -> bool:
        return bool(self.query_one("#prompt").display)

    def open_prompt(self, placeholder: str, value: str = "") -> None:
        """Ask for a line of text; it goes to `answered`."""
        prompt = self.query_one("#prompt", Input)
        prompt.placeholder, prompt.value = placeholder, value
        prompt.display = True
        prompt.focus()

    def close_prompt(self) -> None:
        self.query_one("#prompt").display = False
        self.screen.set_focus(None)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        self.close_prompt()
        self.answered(event.value.strip())
        self.repaint()

    def answered(self, text: str) -> None:
        """Take the line that the prompt asked for."""

    def do_help(self) -> None:
        self.helping = not self.helping

    def do_quit(self) -> None:
        self.exit()
