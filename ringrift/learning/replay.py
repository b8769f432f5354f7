"""Playing a record again: the proof that it is a game, and the source of training positions."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ringrift.errors import CorruptData
from ringrift.game.apply import apply
from ringrift.game.config import GameConfig
from ringrift.game.geometry import Geometry, geometry
from ringrift.game.phases import COMPLETED
from ringrift.game.playout import next_decision
from ringrift.game.state import Scratch, new_positions, new_scratch, start
from ringrift.learning.records import GameRecord


@dataclass(frozen=True, slots=True)
class Decision:
    """One decision of a replayed game, before its move is made.

    `states` (1,) is the position, overwritten by the next step; `legal` (m,) are the legal moves, ascending.
    """

    index: int
    states: npt.NDArray[np.void]
    legal: npt.NDArray[np.int64]


class Board:
    """Tables and working memory for stepping games of one config; one per thread."""

    def __init__(self, config: GameConfig) -> None:
        self.config = config
        self.geo: Geometry = geometry(config.board)
        self.scratch: Scratch = new_scratch(config.board)
        self._moves = np.zeros(self.geo.max_moves, dtype=np.int64)

    def start(self, states: npt.NDArray[np.void], i: int, *, swap: bool) -> None:
        start(states, i, self.config, swap=swap)

    def decision(self, states: npt.NDArray[np.void], i: int) -> npt.NDArray[np.int64]:
        """Play forced plies up to a decision; return its legal moves (m,), ascending, or none at the end."""
        count = next_decision(self.geo, states, i, self.scratch, self._moves)
        return np.sort(self._moves[:count])

    def play(self, states: npt.NDArray[np.void], i: int, move: int) -> None:
        """Apply a legal move."""
        apply(self.geo, states, i, self.scratch, move)


def replay(record: GameRecord, board: Board | None = None) -> Iterator[Decision]:
    """Yield every decision of a game; raise `CorruptData` where the record breaks the rules.

    When the iterator ends, every move was legal, every policy target names legal moves only, and the game is
    over with the recorded winner and number of plies. `board` may be given to reuse its memory.
    """
    board = board or Board(record.config)
    states = new_positions(1)
    board.start(states, 0, swap=record.header.swap_rule)
    starts = record.target_starts()
    for index, move in enumerate(record.moves):
        legal = board.decision(states, 0)
        at = int(np.searchsorted(legal, move))
        if at == len(legal) or legal[at] != move:
            raise CorruptData(f"decision {index} plays a move that is not legal")
        if record.ranks[starts[index] : starts[index + 1]].max(initial=0) >= len(legal):
            raise CorruptData(f"decision {index} has a policy target for moves that do not exist")
        yield Decision(index, states, legal)
        board.play(states, 0, move)
    if len(board.decision(states, 0)):
        raise CorruptData(f"the game goes on after its {record.decisions} decisions")
    _check_end(record, states)


def _check_end(record: GameRecord, states: npt.NDArray[np.void]) -> None:
    final, header = states[0], record.header
    if final["status"] != COMPLETED or final["winner"] != header.winner:
        raise CorruptData(f"seat {int(final['winner'])} won the game, the record says seat {header.winner}")
    if final["ply"] != header.plies:
        raise CorruptData(f"the game has {int(final['ply'])} plies, the record says {header.plies}")


def verify(record: GameRecord, board: Board | None = None) -> None:
    """Replay a record to its end; raise `CorruptData` if it is not a game by the rules."""
    for _ in replay(record, board):
        pass
