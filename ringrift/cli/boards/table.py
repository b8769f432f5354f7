"""The terminal of `play`: a board with a cursor, the moves that fit, the opponent in a thread of its own."""

from __future__ import annotations

from collections.abc import Callable

from textual import events
from textual.suggester import SuggestFromList
from textual.widgets import Input

from ringrift.cli.boards.beside import cut
from ringrift.cli.boards.choosing import Choice, following, middle, neighbour
from ringrift.cli.boards.match import Choose, Match
from ringrift.cli.boards.screen import BoardApp
from ringrift.draw.palette import LETTERS
from ringrift.draw.panel import Line
from ringrift.draw.position import UNMARKED, Marks, marks_of
from ringrift.draw.words import describe
from ringrift.errors import RingRiftError
from ringrift.game.play import Game
from ringrift.notation.keys import key_of, legal_keys
from tui.keys import Key

# fmt: off
KEYS = (
    Key("left", "left", "", "move the cursor: arrow keys"),
    Key("right", "right", "", "(also over the rows of the board)"),
    Key("up", "up", "", "one row up"),
    Key("down", "down", "", "one row down"),
    Key("enter", "pick", "pick", "pick the cell: where the move begins, then where it ends", footer=True),
    Key("tab", "jump", "next cell", "to the next cell that can be picked", footer=True),
    Key("escape", "clear", "back", "forget what was picked"),
    Key("colon", "type", "type", "type a move's key; its beginning is enough", footer=True),
    Key("u", "undo", "undo", "take your last move back", footer=True),
    Key("i", "hint", "hint", "what level 4 would play", footer=True),
    Key("question_mark", "help", "help", "this page", footer=True),
    Key("q", "quit", "quit", "leave the game", footer=True),
)
# fmt: on
LISTED = 9
"""Moves that are listed with a number to choose by."""


class Table(BoardApp):
    """One person at the board. While the opponent or the adviser thinks, the keys only look."""

    KEYS = KEYS

    def __init__(self, match: Match, choose: Choose, advise: Choose) -> None:
        super().__init__()
        self.match = match
        self._choose, self._advise = choose, advise
        self._cell = middle(match.game.config)
        self._said = ""
        self._thinking = ""
        self._shown = UNMARKED
        self.choice = Choice(match.game)

    def on_mount(self) -> None:
        super().on_mount()
        self.call_after_refresh(self._go_on)

    # What is shown.

    def position(self) -> Game:
        return self.match.game

    def last_move(self) -> Marks:
        return self._shown if self._shown != UNMARKED else self.match.last

    def cursor(self) -> Marks:
        if not self.match.waits_for_person or self._thinking:
            return UNMARKED
        picked = self.choice.picked
        if not picked:
            return Marks(to=self._cell)
        return Marks(picked[0], self._cell, self.choice.cells())

    def head(self) -> tuple[str, str]:
        game = self.match.game
        state = self._thinking or ("game over" if game.over else f"ply {int(game.states[0]['ply'])}")
        return f"{game.config.key}  you against {self.match.opponent}", state

    def beside(self) -> list[Line]:
        lines = [*self._said_lines(), *self.match.standing()]
        if self._may_move():
            lines += [*self._choices(), ("", 0)]
        return [*lines, *self.match.news()]

    def _said_lines(self) -> list[Line]:
        return [(self._said, 0), ("", 0)] if self._said else []

    def listed(self) -> list[int]:
        """Return the moves to choose by number: those that fit, if they are few, and those without cells.

        Of many that no further cell tells apart, the first; the others can be typed.
        """
        fitting = self.choice.fitting()
        few = fitting if len(fitting) <= LISTED or not self.choice.cells() else []
        skips = [move for move in self.choice.plain() if move not in few]
        return [*few, *skips][:LISTED]

    def _choices(self) -> list[Line]:
        game = self.match.game
        lines: list[Line] = [
            (f"{number} {describe(game, move)}", 0) for number, move in enumerate(self.listed(), start=1)
        ]
        hidden = len(self.choice.fitting()) - len(lines)
        if hidden > 0 and not self.choice.cells():
            lines.append((f"{hidden} more: type the key with :", -1))
        elif hidden > 0:
            what = "cells to end on" if self.choice.picked else "cells to begin on"
            lines.append((f"{len(self.choice.cells())} {what}: arrows or tab, then enter", -1))
        return lines

    # What happens.

    def _go_on(self) -> None:
        """After any move: let the opponent think, or the person choose."""
        self.choice = Choice(self.match.game)
        if self.match.waits_for_opponent:
            letter = LETTERS[self.match.game.player]
            self._think(f"{letter} thinks ...", self._choose, self._opponent_moves)
        elif self.choice.cells() and self._cell not in self.choice.cells():
            self._cell = self.choice.picked[0] if self.choice.picked else self._cell
        self.repaint()

    def _think(self, told: str, choose: Choose, done: Callable[[int], None]) -> None:
        """Let a player choose in a thread; the screen goes on living."""
        game = self.match.game.copy()
        self._thinking = told

        def work() -> None:
            try:
                move = choose(game)
            except Exception as problem:
                self.failure = problem
                self.call_from_thread(self.exit)
                return
            if self.is_running:
                self.call_from_thread(done, move)

        self.run_worker(work, thread=True, exclusive=True)

    def _opponent_moves(self, move: int) -> None:
        self._thinking = ""
        self.match.play(move)
        self._go_on()

    def _advised(self, move: int) -> None:
        self._thinking = ""
        game = self.match.game
        self._said = f"hint: {describe(game, move)} ({cut(key_of(game, move))})"
        self._shown = marks_of(game, move)
        self.repaint()

    def _decide(self, move: int) -> None:
        self.match.decide(move)
        self._go_on()

    # Keys.

    async def on_key(self, event: events.Key) -> None:
        """Forget what was said with every key; the help stays until the next."""
        if not self.prompting and event.key != "question_mark":
            self._said, self._shown = "", UNMARKED
        await super().on_key(event)

    def typed(self, event: events.Key) -> None:
        """A figure chooses from the list."""
        listed = self.listed() if self._may_move() else []
        if event.key.isdecimal() and 1 <= int(event.key) <= len(listed):
            self._decide(listed[int(event.key) - 1])

    def answered(self, text: str) -> None:
        if not text or not self._may_move():
            return
        try:
            self._decide(self.match.find(text))
        except RingRiftError as problem:
            self._said = problem.line()

    def _may_move(self) -> bool:
        return self.match.waits_for_person and not self._thinking

    def _step(self, direction: str) -> None:
        self._cell = neighbour(self.match.game.config.board, self._cell, direction)

    def do_left(self) -> None:
        self._step("left")

    def do_right(self) -> None:
        self._step("right")

    def do_up(self) -> None:
        self._step("up")

    def do_down(self) -> None:
        self._step("down")

    def do_jump(self) -> None:
        """Go to the next cell that can be picked."""
        self._cell = following(tuple(self.choice.cells()), self._cell)

    def do_pick(self) -> None:
        """Pick the cell under the cursor; play when that leaves one move."""
        if not self._may_move():
            return
        if self._cell not in self.choice.cells():
            self.choice.clear()
        if self._cell not in self.choice.cells():
            self._said = "no move begins here: tab goes to the next cell that can be picked"
            return
        move = self.choice.pick(self._cell)
        if move is not None:
            self._decide(move)

    def do_clear(self) -> None:
        self.choice.clear()

    def do_type(self) -> None:
        if self._may_move():
            self.open_prompt("a move's key, or its beginning")
            prompt = self.query_one("#prompt", Input)
            prompt.suggester = SuggestFromList(legal_keys(self.match.game), case_sensitive=False)

    def do_undo(self) -> None:
        """Take back; while the opponent thinks it cannot be interrupted."""
        if self._thinking:
            self._said = "wait for the opponent's move, then take yours back"
            return
        try:
            self.match.undo()
        except RingRiftError as problem:
            self._said = problem.line()
        self._go_on()

    def do_hint(self) -> None:
        if self._may_move():
            self._think("level 4 thinks ...", self._advise, self._advised)
