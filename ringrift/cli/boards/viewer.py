"""The terminal of `replay`: one recorded game, step by step."""

from __future__ import annotations

from bisect import bisect_left, bisect_right

from ringrift.cli.boards.beside import recorded
from ringrift.cli.boards.recording import Recording
from ringrift.cli.boards.screen import BoardApp
from ringrift.draw.panel import Line
from ringrift.draw.position import Marks
from ringrift.game.play import Game
from tui.keys import Key

LEAP = 10
"""Plies of a leap."""

# fmt: off
KEYS = (
    Key("left", "back", "back", "one ply back (also h)", footer=True),
    Key("right", "forward", "forward", "one ply forward (also l)", footer=True),
    Key("up", "leap_back", "-10", "ten plies back (also k)", footer=True),
    Key("down", "leap", "+10", "ten plies forward (also j)", footer=True),
    Key("home", "first", "first", "to the beginning"),
    Key("end", "last", "last", "to the end"),
    Key("n", "next", "event", "to the next line, region, chain, recovery or the like", footer=True),
    Key("p", "previous", "event before", "to the one before"),
    Key("g", "go", "go to", "type a ply and go there", footer=True),
    Key("question_mark", "help", "help", "this page", footer=True),
    Key("q", "quit", "quit", "leave", footer=True),
)
# fmt: on
ALIASES = {"h": "left", "l": "right", "k": "up", "j": "down"}


class Viewer(BoardApp):
    """Shows the positions of a recording; `ply` is the one on the screen."""

    KEYS = KEYS

    def __init__(self, recording: Recording, ply: int = 0) -> None:
        super().__init__()
        self.recording = recording
        self.ply = ply
        self._events = recording.events()
        self._said = ""

    def position(self) -> Game:
        return self.recording.at(self.ply)

    def last_move(self) -> Marks:
        return self.recording.marks(self.ply)

    def beside(self) -> list[Line]:
        lines = recorded(self.recording, self.ply)
        return [(self._said, 0), ("", 0), *lines] if self._said else lines

    def head(self) -> tuple[str, str]:
        recording = self.recording
        done = round(12 * self.ply / recording.plies) if recording.plies else 12
        bar = "━" * done + "─" * (12 - done)
        state = f"ply {self.ply} of {recording.plies}"
        if self.size.width >= 100:
            state = f"{bar} {state}"
        return f"{recording.config.key}  {recording.title}", state

    def go(self, ply: int) -> None:
        """Show a position; what lies outside is the nearest end."""
        self.ply = min(max(ply, 0), self.recording.plies)
        self._said = ""

    def typed(self, event: object) -> None:
        wanted = ALIASES.get(str(getattr(event, "key", "")))
        for key in KEYS:
            if key.key == wanted:
                getattr(self, f"do_{key.verb}")()

    def answered(self, text: str) -> None:
        if text.isdecimal() and len(text) <= 6 and int(text) <= self.recording.plies:
            self.go(int(text))
        elif text:
            self._said = f"there is no ply {text[:12]!r}: 0 to {self.recording.plies}"

    def do_back(self) -> None:
        self.go(self.ply - 1)

    def do_forward(self) -> None:
        self.go(self.ply + 1)

    def do_leap_back(self) -> None:
        self.go(self.ply - LEAP)

    def do_leap(self) -> None:
        self.go(self.ply + LEAP)

    def do_first(self) -> None:
        self.go(0)

    def do_last(self) -> None:
        self.go(self.recording.plies)

    def do_next(self) -> None:
        """Go to the next rare move, else to the end."""
        at = bisect_right(self._events, self.ply)
        self.go(self._events[at] if at < len(self._events) else self.recording.plies)

    def do_previous(self) -> None:
        """Go to the rare move before, else to the beginning."""
        at = bisect_left(self._events, self.ply)
        self.go(self._events[at - 1] if at else 0)

    def do_go(self) -> None:
        self.open_prompt(f"ply, 0 to {self.recording.plies}")
