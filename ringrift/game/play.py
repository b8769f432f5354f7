"""`Game`: the rules for callers in plain Python, one position at a time."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ringrift.errors import IllegalMove
from ringrift.game.apply import apply
from ringrift.game.config import GameConfig
from ringrift.game.geometry import Geometry, geometry
from ringrift.game.legal import is_legal, legal_moves
from ringrift.game.moves import LARGEST_MOVE, MOVE_NAMES
from ringrift.game.phases import OVER, PHASE_NAMES
from ringrift.game.state import Scratch, new_positions, new_scratch, start


class Game:
    """A position with its legal moves, and the moves that led to it."""

    def __init__(self, config: GameConfig, states: npt.NDArray[np.void]) -> None:
        """Take over `states`, one valid record of that config; `Game.new` makes the opening position.

        The moves before it are not known then.
        """
        self.config = config
        self.states = states
        self.geo: Geometry = geometry(config.board)
        self.scratch: Scratch = new_scratch(config.board)
        self.origin = states.copy()
        """The position in which this game began or was loaded."""
        self.played: list[int] = []
        """The moves applied since."""
        self.earlier: list[dict[str, Any]] = []
        """Moves before `origin`, as they stood in the loaded JSON."""

    @classmethod
    def new(cls, config: GameConfig, swap: bool = True) -> Game:
        """Return the opening position; the pie rule exists for two players only."""
        states = new_positions(1)
        start(states, 0, config, swap=swap)
        return cls(config, states)

    @property
    def over(self) -> bool:
        return bool(self.states[0]["phase"] == OVER)

    @property
    def winner(self) -> int:
        """Winning seat, 0 while the game is running."""
        return int(self.states[0]["winner"])

    @property
    def player(self) -> int:
        """Seat to move, 0 when the game is over."""
        return int(self.states[0]["player"])

    @property
    def phase(self) -> int:
        """One of the constants of `ringrift.game.phases`."""
        return int(self.states[0]["phase"])

    def legal(self) -> npt.NDArray[np.int64]:
        """Return the legal set, each move once; empty when the game is over."""
        count = legal_moves(self.geo, self.states, 0, self.scratch, self.scratch.moves)
        return self.scratch.moves[:count].copy()

    def is_legal(self, move: int) -> bool:
        """True for a move of the legal set, and for a recovery slide with another valid payer or window."""
        if not 0 <= move <= LARGEST_MOVE:
            return False
        return bool(is_legal(self.geo, self.states, 0, self.scratch, int(move)))

    def apply(self, move: int) -> None:
        """Play a move; raise `IllegalMove` and change nothing if it is not legal."""
        if not self.is_legal(move):
            raise IllegalMove(f"illegal {self._describe(move)} in {PHASE_NAMES[self.phase]}")
        apply(self.geo, self.states, 0, self.scratch, int(move))
        self.played.append(int(move))

    def copy(self) -> Game:
        other = Game(self.config, self.states.copy())
        other.origin = self.origin.copy()
        other.played = list(self.played)
        other.earlier = list(self.earlier)
        return other

    def _describe(self, move: int) -> str:
        kind = int(move) & 31
        named = 0 <= move <= LARGEST_MOVE and kind < len(MOVE_NAMES)
        return MOVE_NAMES[kind] if named else f"move {move}"
