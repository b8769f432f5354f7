"""Games of one config that advance side by side, one decision each per step.

Batching is what makes search fast: all positions of a step go to the players in one call. Each game depends
on its own seeds only, never on the games beside it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from ringrift.errors import RingRiftError
from ringrift.game.state import new_positions
from ringrift.learning.records import OPENING, GameEnd, GameHeader, GameRecord, RecordBuilder
from ringrift.learning.replay import Board
from ringrift.learning.seeds import derive

DECISIONS_PER_CELL = 60
"""A game with more decisions than this times the cells of its board is a fault of the rules: every turn that
neither places a ring nor raises a bounded sum belongs to a seat without stacks (rules, invariant 14), and the
longest random games have about 5 a cell."""


@dataclass(slots=True)
class RunningGame:
    """One game at the table. `opening_seed` fixes its random opening; equal seeds give equal openings."""

    opening_seed: int
    builder: RecordBuilder
    end: GameEnd | None = None
    """Set when the game is over."""

    def record(self, header: GameHeader, number: int) -> GameRecord:
        """Return the record of the game, which must be over."""
        if self.end is None:
            raise RingRiftError(f"game {number} is not over")
        return self.builder.finish(header, number, self.end)


@dataclass(frozen=True, slots=True)
class Turn:
    """The positions to be decided in one step: k games by number, their legal moves in canonical order."""

    games: list[int]
    states: npt.NDArray[np.void]
    legal: list[npt.NDArray[np.int64]]
    decisions: list[int]
    """(k,) how many decisions each game has had before."""


@dataclass(frozen=True, slots=True)
class Choice:
    """The answer for one position of a turn, as it goes into the record."""

    move: int
    kind: int
    values: npt.NDArray[np.float32]
    """(players,) root value of each seat."""
    target: tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]] | None = None
    """Ranks among the legal moves, and their probabilities."""


Decide = Callable[[Turn], Sequence[Choice]]


@dataclass(slots=True)
class Table:
    """A table of games of one config."""

    board: Board
    games: list[RunningGame]
    swap: bool
    opening_plies: int
    states: npt.NDArray[np.void] = field(init=False)

    def __post_init__(self) -> None:
        self.states = new_positions(len(self.games))
        for game in range(len(self.games)):
            self.board.start(self.states, game, swap=self.swap)

    def play(self, decide: Decide, report: Callable[[float], None]) -> None:
        """Play every game to its end. `report` gets the number of games played so far, with fractions."""
        active = list(range(len(self.games)))
        while active:
            active = self._step(active, decide)
            report(self._done())

    def _step(self, active: list[int], decide: Decide) -> list[int]:
        """Make one decision in every active game; return the games that still run."""
        legal = {game: self.board.decision(self.states, game) for game in active}
        running = [game for game in active if len(legal[game])]
        for game in set(active) - set(running):
            self._finish(game)
        decisions = {game: self.games[game].builder.decisions for game in running}
        for game in running:
            if decisions[game] < self.opening_plies:
                self._random_ply(game, legal[game])
        thinking = [game for game in running if decisions[game] >= self.opening_plies]
        if thinking:
            self._think(thinking, legal, decide)
        self._check_lengths(running)
        return running

    def _think(self, thinking: list[int], legal: dict[int, npt.NDArray[np.int64]], decide: Decide) -> None:
        """Let the players decide in these games, and play what they chose."""
        decisions = [self.games[game].builder.decisions for game in thinking]
        turn = Turn(thinking, self.states[thinking], [legal[game] for game in thinking], decisions)
        for game, choice in zip(thinking, decide(turn), strict=True):
            rank = int(np.flatnonzero(legal[game] == choice.move)[0])
            self.games[game].builder.add(rank, choice.kind, choice.values, choice.target)
            self.board.play(self.states, game, choice.move)

    def _random_ply(self, game: int, legal: npt.NDArray[np.int64]) -> None:
        running = self.games[game]
        rank = derive(running.opening_seed, running.builder.decisions) % len(legal)
        running.builder.add(rank, OPENING)
        self.board.play(self.states, game, int(legal[rank]))

    def _finish(self, game: int) -> None:
        self.games[game].end = self.board.end(self.states, game)

    def _check_lengths(self, running: list[int]) -> None:
        limit = DECISIONS_PER_CELL * self.board.config.cells
        if any(self.games[game].builder.decisions > limit for game in running):
            raise RingRiftError(f"a game of {self.board.config.key} did not end within {limit} decisions")

    def _done(self) -> float:
        """Add up how far each game is: its nearest victory by rings or territory, as a share."""
        rings = self.states["eliminated"].max(1) / self.states["ring_threshold"]
        land = self.states["territory"].max(1) / self.states["territory_threshold"]
        over = [game.end is not None for game in self.games]
        return float(np.where(over, 1.0, np.minimum(np.maximum(rings, land), 1.0)).sum())
