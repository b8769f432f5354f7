"""Playing records again: the proof that they are games, and the source of training positions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ringrift.errors import CorruptData
from ringrift.game import replay as rules
from ringrift.game.apply import apply
from ringrift.game.config import GameConfig
from ringrift.game.geometry import Geometry, geometry
from ringrift.game.state import Scratch, new_positions, new_scratch, start
from ringrift.learning.records import FULL, GameEnd, GameRecord

_GUESS = 64
"""Legal moves that room is made for per position at first; more is made when it is used up."""


class Replayed(NamedTuple):
    """N decisions of replayed games with M legal moves in all."""

    states: npt.NDArray[np.void]
    """(N,) positions before the decision."""
    moves: npt.NDArray[np.int64]
    """(M,) legal moves in canonical order; those of position i are `offsets[i]:offsets[i + 1]`."""
    offsets: npt.NDArray[np.int64]
    """(N + 1,)"""
    swapped: npt.NDArray[np.int64]
    """(games,) 1 where the pie rule has exchanged the seats by the end of the game."""


class Room:
    """Memory that positions are replayed into, used again by the next replay into the same room.

    Fresh memory costs more than replaying: the system hands out 8 KB of zeroed pages for each position.
    """

    def __init__(self) -> None:
        self._states = new_positions(0)
        self._moves = np.empty(0, dtype=np.int64)

    def states(self, count: int) -> npt.NDArray[np.void]:
        """Return `count` records of any content."""
        if len(self._states) < count:
            self._states = new_positions(count)
        return self._states[:count]

    def moves(self, count: int) -> npt.NDArray[np.int64]:
        """Return room for at least `count` moves; what the room held stays."""
        if len(self._moves) < count:
            self._moves = np.concatenate([self._moves, np.empty(count - len(self._moves), dtype=np.int64)])
        return self._moves


class Board:
    """Tables and working memory for stepping games of one config; one per thread."""

    def __init__(self, config: GameConfig) -> None:
        self.config = config
        self.geo: Geometry = geometry(config.board)
        self.scratch: Scratch = new_scratch(config.board)
        self._moves = np.zeros(rules.room(self.geo), dtype=np.int64)

    def start(self, states: npt.NDArray[np.void], i: int, *, swap: bool) -> None:
        start(states, i, self.config, swap=swap)

    def decision(self, states: npt.NDArray[np.void], i: int) -> npt.NDArray[np.int64]:
        """Play forced plies; return the legal moves (m,) of the decision reached, in canonical order."""
        count = rules.sorted_decision(self.geo, states, i, self.scratch, self._moves, 0)
        return self._moves[:count].copy()

    def play(self, states: npt.NDArray[np.void], i: int, move: int) -> None:
        """Apply a legal move."""
        apply(self.geo, states, i, self.scratch, move)

    def end(self, states: npt.NDArray[np.void], i: int) -> GameEnd:
        """Return how a finished game ended."""
        checksum = int(rules.final_checksum(self.geo, states, i))
        return GameEnd(int(states[i]["winner"]), int(states[i]["ply"]), checksum)


@dataclass(frozen=True, slots=True)
class Decision:
    """One decision: the position (1,), its legal moves (m,) in canonical order, and the move played."""

    index: int
    states: npt.NDArray[np.void]
    legal: npt.NDArray[np.int64]
    move: int


def replay(record: GameRecord, board: Board | None = None) -> Iterator[Decision]:
    """Yield every decision of a game; raise `CorruptData` at once if it breaks the rules."""
    found = replay_games([record], board or Board(record.config), everything=True)
    for index, rank in enumerate(record.played.tolist()):
        legal = found.moves[found.offsets[index] : found.offsets[index + 1]]
        yield Decision(index, found.states[index : index + 1], legal, int(legal[rank]))


def replay_games(
    records: Sequence[GameRecord], board: Board, *, room: Room | None = None, everything: bool = False
) -> Replayed:
    """Replay games; return their decisions with a policy target in order, or with `everything` all of them.

    Positions and moves lie in `room`, where the next replay into it overwrites them.

    Raises `CorruptData` unless every move was legal, every game is over with the recorded winner, number of
    plies and checksum, and every policy target names legal moves only.
    """
    return _Replay(records, board, room or Room(), everything).run()


class _Replay:
    """One call of `replay_games`: the columns of all games, and room that grows."""

    def __init__(
        self, records: Sequence[GameRecord], board: Board, room: Room, everything: bool
    ) -> None:
        self._records, self._board, self._room = records, board, room
        self._full = np.concatenate([record.kinds for record in records]) == FULL
        self._kept = np.ones(len(self._full), np.uint8) if everything else self._full.astype(np.uint8)
        self._swap = np.array([record.header.swap_rule for record in records], dtype=np.int64)
        self._played = np.concatenate([record.played for record in records])
        self._bounds = np.cumsum([0, *(record.decisions for record in records)], dtype=np.int64)
        self._count = np.concatenate([[0], np.cumsum(self._kept, dtype=np.int64)])
        total = int(self._count[-1])
        self._states = room.states(total)
        self._moves = room.moves(_GUESS * total + int(rules.room(board.geo)))
        self._offsets = np.zeros(total + 1, dtype=np.int64)
        self._ends = np.zeros((len(records), 5), dtype=np.int64)

    def run(self) -> Replayed:
        games, first = len(self._records), 0
        while (first := self._from(first)) < games:
            if self._ends[first, rules.DONE] != rules.NO_ROOM:
                raise CorruptData(self._reason(first))
            self._moves = self._room.moves(2 * len(self._moves))
        self._check_ends()
        self._check_targets()
        moves = self._moves[: self._offsets[-1]]
        return Replayed(self._states, moves, self._offsets, self._ends[:, rules.SWAPPED])

    def _from(self, first: int) -> int:
        openings = new_positions(2)
        for variant in range(2):
            self._board.start(openings, variant, swap=bool(variant))
        at = int(self._count[self._bounds[first]])
        return int(
            rules.replay_games(
                self._board.geo,
                openings,
                self._swap,
                new_positions(1),
                self._board.scratch,
                self._played,
                self._kept,
                self._bounds,
                first,
                self._states,
                at,
                self._moves,
                self._offsets,
                self._ends,
            )
        )

    def _reason(self, game: int) -> str:
        """Tell why a game did not come to its end with its last decision."""
        done = int(self._ends[game, rules.DONE])
        if done > self._records[game].decisions:
            return f"{self._name(game)}goes on after its {done - 1} decisions"
        return f"{self._name(game)}decision {done} plays a move that is not legal"

    def _name(self, game: int) -> str:
        return f"game {game}: " if len(self._records) > 1 else ""

    def _check_ends(self) -> None:
        said = [(end.winner, end.plies, end.checksum) for end in (record.end for record in self._records)]
        found = self._ends[:, [rules.WINNER, rules.PLIES, rules.CHECKSUM]]
        for game in np.flatnonzero((found != np.array(said)).any(1)).tolist():
            winner, plies, _ = found[game].tolist()
            if winner != said[game][0]:
                what = f"seat {winner} won, the record says seat {said[game][0]}"
            elif plies != said[game][1]:
                what = f"it has {plies} plies, the record says {said[game][1]}"
            else:
                what = "its last position is not the recorded one"
            raise CorruptData(self._name(game) + what)

    def _check_targets(self) -> None:
        sizes = np.concatenate([record.sizes for record in self._records])
        ranks = np.concatenate([record.ranks for record in self._records])
        legal = np.diff(self._offsets)[self._full[self._kept > 0]]
        bad = np.flatnonzero(ranks[np.cumsum(sizes, dtype=np.int64) - 1] >= legal)
        if len(bad):
            decision = int(np.flatnonzero(self._full)[bad[0]])
            game = int(np.searchsorted(self._bounds, decision, side="right")) - 1
            what = f"decision {decision - self._bounds[game]} has a policy target for moves that do not exist"
            raise CorruptData(self._name(game) + what)
