"""A game of a person against the ladder: whose turn it is, what was played, how to take it back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from ringrift.cli.boards.beside import cut
from ringrift.draw.palette import LETTERS
from ringrift.draw.panel import Line, players, turn
from ringrift.draw.position import UNMARKED, Marks, marks_of
from ringrift.draw.text import tall_stacks
from ringrift.draw.words import describe
from ringrift.errors import BadInput, IllegalMove
from ringrift.game.play import Game
from ringrift.notation.keys import key_of, keyed_moves, move_of

Choose = Callable[[Game], int]
TOLD = 8
"""Moves since the person's last one that are listed."""


@dataclass
class Match:
    """A running game. Forced plies are played at once, so that `game` always waits for a decision."""

    game: Game
    seat: int
    """The seat that the person took; swapping sides changes it, see `person`."""
    opponent: str
    past: list[Game] = field(default_factory=list)
    """The positions in which the person decided."""
    told: list[Line] = field(default_factory=list)
    """What was played since the person's last decision, in words."""
    last: Marks = UNMARKED

    def __post_init__(self) -> None:
        self._settle()

    @property
    def person(self) -> int:
        """The seat that the person plays now."""
        return 3 - self.seat if self.game.states[0]["swapped"] else self.seat

    @property
    def waits_for_person(self) -> bool:
        return not self.game.over and self.game.player == self.person

    @property
    def waits_for_opponent(self) -> bool:
        return not self.game.over and self.game.player != self.person

    def decide(self, move: int) -> None:
        """Play the person's move; raise `IllegalMove` and change nothing if it is not legal."""
        before = self.game.copy()
        if not before.is_legal(move):
            raise IllegalMove("that move is not legal here")
        self.past.append(before)
        self.told = []
        self.play(move)

    def play(self, move: int) -> None:
        """Play a move and the forced plies after it."""
        self._play(move)
        self._settle()

    def undo(self) -> None:
        """Go back to the person's decision before; `BadInput` when there is none."""
        if not self.past:
            raise BadInput("there is nothing to take back")
        self.game = self.past.pop()
        self.told, self.last = [("took the move back", -1)], UNMARKED

    def find(self, text: str) -> int:
        """Return the legal move of a key, of the unique beginning of one, or of a number in `listing`.

        Raises `BadInput` or `IllegalMove` with what to type instead.
        """
        keyed = keyed_moves(self.game)
        keys = sorted(keyed)
        if text.isdecimal():
            number = int(text) if len(text) <= 6 else 0
            if not 1 <= number <= len(keys):
                raise BadInput(f"there is no move number {text[:12]}", hint=f"use 1 to {len(keys)}")
            return keyed[keys[number - 1]]
        begun = [key for key in keys if key.lower().startswith(text.lower())]
        exact = [key for key in begun if key.lower() == text.lower()]
        if len(exact or begun) == 1:
            return keyed[(exact or begun)[0]]
        if begun:
            raise BadInput(f"{text!r} begins {len(begun)} moves", hint=f"such as {cut(begun[0])}")
        return move_of(self.game, text, keyed)

    def listing(self) -> list[tuple[str, str]]:
        """Return the legal moves by key: key and words."""
        keyed = keyed_moves(self.game)
        return [(key, describe(self.game, keyed[key])) for key in sorted(keyed)]

    def result(self) -> str:
        """Return how the game ended for the person; empty while it runs."""
        if not self.game.over:
            return ""
        return "You win." if self.game.winner == self.person else "You lose."

    def standing(self) -> list[Line]:
        """Return where the game stands: its end, the counters, who is to do what."""
        position = turn(self.game)
        lines: list[Line] = []
        if self.game.over:
            lines += [("GAME OVER", 0), (self.result(), self.person), *position, ("", 0)]
        lines += [*players(self.game), (f"you are {LETTERS[self.person]}", self.person), (self.opponent, -1)]
        return [*lines, ("", 0)] if self.game.over else [*lines, ("", 0), *position, ("", 0)]

    def news(self) -> list[Line]:
        """Return what was played since the person's last decision, and stacks too tall for the board."""
        shown = self.told[-TOLD:]
        more = len(self.told) - len(shown)
        lines: list[Line] = [(f"{more} moves before", -1)] if more else []
        return [*lines, *shown, *((f"tall: {stack}", -1) for stack in tall_stacks(self.game))]

    def _settle(self) -> None:
        """Play while there is only one legal move."""
        while len(legal := self.game.legal()) == 1:
            self._play(int(legal[0]))

    def _play(self, move: int) -> None:
        seat, key = self.game.player, key_of(self.game, move)
        words, marks = describe(self.game, move), marks_of(self.game, move)
        self.game.apply(move)
        if marks != UNMARKED:
            self.last = marks
        if key not in ("NP", "NM", "NL", "NT"):
            self.told.append((f"{LETTERS[seat]} {words}", seat))
