"""A recorded game, every ply of it played again, so that any of its positions can be shown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from ringrift.draw.palette import letter
from ringrift.draw.position import UNMARKED, Marks, marks_of
from ringrift.draw.words import describe
from ringrift.errors import BadInput
from ringrift.game import moves as m
from ringrift.game.config import GameConfig
from ringrift.game.play import Game
from ringrift.notation.keys import key_of

_EVENTS = (
    m.SWAP_SIDES, m.CONTINUE_CAPTURE, m.RECOVERY_SLIDE, m.PROCESS_LINE, m.CHOOSE_LINE, m.CHOOSE_TERRITORY,
    m.FORCED_ELIMINATION,
)  # fmt: skip
"""Moves that are rare enough for a viewer to jump to."""


@dataclass(frozen=True, slots=True)
class Note:
    """What the search thought before a ply: root values of the seats, largest shares of its target."""

    values: tuple[float, ...] = ()
    target: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True, slots=True)
class Recording:
    """A game from `origin` on. Position p is the one after p plies; move p leads from position p to p + 1."""

    title: str
    origin: Game
    moves: tuple[int, ...]
    positions: npt.NDArray[np.void]
    """(plies + 1,) records of the positions."""
    notes: dict[int, Note] = field(default_factory=dict)
    """By the ply of the move that was then made."""
    facts: tuple[str, ...] = ()
    """Lines about the game as a whole: who played, what is not shown."""

    @property
    def config(self) -> GameConfig:
        return self.origin.config

    @property
    def plies(self) -> int:
        return len(self.moves)

    def at(self, ply: int) -> Game:
        """Return position `ply` without its history; enough for drawing and for the legal set."""
        return Game(self.config, self.positions[ply : ply + 1].copy())

    def whole(self, ply: int) -> Game:
        """Return position `ply` with its history, as the wire format needs it."""
        game = self.origin.copy()
        for move in self.moves[:ply]:
            game.apply(move)
        return game

    def marks(self, ply: int) -> Marks:
        """Return the cells of the move that led to position `ply`."""
        return marks_of(self.at(ply - 1), self.moves[ply - 1]) if ply else UNMARKED

    def words(self, ply: int) -> str:
        """Return that move in words, with the letter of who made it."""
        if not ply:
            return "the beginning"
        before = self.at(ply - 1)
        return f"{letter(before.player)} {describe(before, self.moves[ply - 1])}"

    def key(self, ply: int) -> str:
        """Return that move's key; empty at the beginning."""
        return key_of(self.at(ply - 1), self.moves[ply - 1]) if ply else ""

    def events(self) -> list[int]:
        """Return the positions after rare moves, ascending."""
        return [ply + 1 for ply, move in enumerate(self.moves) if m.unpack(move).kind in _EVENTS]

    def check_ply(self, ply: int) -> int:
        """Return `ply`, counted from the end when negative; `BadInput` for one that the game lacks."""
        found = ply + self.plies + 1 if ply < 0 else ply
        if not 0 <= found <= self.plies:
            raise BadInput(f"there is no ply {ply} in this game", hint=f"it has plies 0..{self.plies}")
        return found


def record(
    title: str,
    origin: Game,
    moves: Iterable[int],
    notes: dict[int, Note] | None = None,
    facts: Sequence[str] = (),
) -> Recording:
    """Play moves from `origin` and keep every position; raise `IllegalMove` where one is not legal."""
    game = origin.copy()
    positions = [game.states[0].copy()]
    played = []
    for move in moves:
        game.apply(move)
        played.append(int(move))
        positions.append(game.states[0].copy())
    stacked = np.array(positions, dtype=game.states.dtype)
    return Recording(title, origin, tuple(played), stacked, notes or {}, tuple(facts))
