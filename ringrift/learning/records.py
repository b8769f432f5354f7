"""One game as a replayable record: how it was played, and per decision the move and what the search thought.

Tensors are never stored; they follow from replaying the moves through the rules. A decision is a ply with
more than one legal move; the forced plies between decisions are not stored, since `next_decision` plays them
the same way every time. Moves are named by their rank in the canonical order of the legal set
(`ringrift.game.replay`): a byte instead of eight, and a rank that exists is legal by construction. That a
replay reaches the game that was played is proven by the checksum of its final position.

`GameRecord.canonical` is the one byte string of a game, whose SHA-256 is the game's id; shards hold the same
columns in a form that compresses better.
"""

from __future__ import annotations

import hashlib
import json
import struct
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any, Final, Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field

from ringrift.game.config import GameConfig
from ringrift.protocol.jobs import GameResult, PlayerSpec
from ringrift.protocol.types import ConfigKey, Count, Fraction, Sha256, Wire

OPENING, CHEAP, FULL = range(3)
"""Kinds of decision: a random opening ply, one with a small search, one with a full search and a target."""

TARGET_MOVES = 32
"""A policy target keeps this many of its largest entries; what they leave belongs to the others evenly."""

WHOLE = 255
"""The weight that stands for the whole of a policy target, and the value that stands for certain victory."""

RULES: Final = 1
"""Version of the rules that records are played by."""

_NUMBERS = struct.Struct("<IBIII")


class GameHeader(Wire):
    """How games were played: what one unit of work has in common.

    `seats[i]` played seat i + 1. `seed` and `sequence` say which unit of work it was; `evaluation` is set for
    games of an evaluation, whose blocks are their sequences.
    """

    rules: Literal[1] = RULES
    """Version of the rules that the games were played by; 1 is the rules document's recommended profile."""
    config: ConfigKey
    swap_rule: bool
    seats: Annotated[tuple[PlayerSpec, ...], Field(min_length=2, max_length=4)]
    evaluation: Sha256 | None
    seed: Count
    sequence: Count
    opening_random_plies: Count
    full_share: Fraction
    cheap_simulations: Count

    @cached_property
    def canonical(self) -> bytes:
        """The one byte string of this header."""
        return json.dumps(self.model_dump(mode="json"), sort_keys=True, separators=(",", ":")).encode()


@dataclass(frozen=True, slots=True)
class GameEnd:
    """How a game ended: the winning seat, all its plies, and `final_checksum` of its last position."""

    winner: int
    plies: int
    checksum: int


@dataclass(frozen=True, eq=False)
class GameRecord:
    """Game number `game` of its unit of work: n decisions, f of them with a target of t entries in all.

    Records are equal when their ids are.
    """

    header: GameHeader
    game: int
    end: GameEnd
    played: npt.NDArray[np.uint16]
    """(n,) rank of the move played."""
    kinds: npt.NDArray[np.uint8]
    """(n,) `OPENING`, `CHEAP` or `FULL`."""
    values: npt.NDArray[np.uint8]
    """(n, players) root value of each seat, 0..255 for 0..1; 0 in the opening."""
    sizes: npt.NDArray[np.uint8]
    """(f,) number of entries of each policy target."""
    ranks: npt.NDArray[np.uint16]
    """(t,) ranks of the targets' moves, ascending within a target."""
    weights: npt.NDArray[np.uint8]
    """(t,) their shares, in 1/255."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, GameRecord) and self.id == other.id

    def __hash__(self) -> int:
        return hash(self.id)

    @property
    def config(self) -> GameConfig:
        return GameConfig.parse(self.header.config)

    @property
    def decisions(self) -> int:
        return len(self.played)

    @cached_property
    def id(self) -> str:
        """The SHA-256 of the canonical bytes."""
        return hashlib.sha256(self.canonical()).hexdigest()

    def canonical(self) -> bytes:
        """Return the one byte string of this game."""
        header, end = self.header.canonical, self.end
        numbers = _NUMBERS.pack(self.game, end.winner, end.plies, end.checksum, self.decisions)
        columns = (self.played, self.kinds, self.values, self.sizes, self.ranks, self.weights)
        return b"".join([header, b"\n", numbers, *(little_endian(column) for column in columns)])

    def result(self) -> GameResult:
        """Return what is told of this game on the wire."""
        return GameResult(
            game_id=self.id, winner=self.end.winner, plies=self.end.plies, decisions=self.decisions
        )

    def root_values(self) -> npt.NDArray[np.float32]:
        """Return the root values (n, players) in 0..1."""
        return self.values.astype(np.float32) / np.float32(WHOLE)

    def target_starts(self) -> npt.NDArray[np.int64]:
        """Return offsets (n + 1,) into `ranks` and `weights`: the target of decision d is [d]:[d + 1]."""
        sizes = np.zeros(self.decisions + 1, dtype=np.int64)
        sizes[1:][self.kinds == FULL] = self.sizes
        return np.cumsum(sizes)


def little_endian(column: npt.NDArray[Any]) -> bytes:
    """Return a column's bytes, little-endian, in C order."""
    return column.astype(column.dtype.newbyteorder("<"), copy=False).tobytes()


class RecordBuilder:
    """Collects the decisions of one running game."""

    def __init__(self, players: int) -> None:
        self._players = players
        self._played: list[int] = []
        self._kinds: list[int] = []
        self._values: list[npt.NDArray[np.uint8]] = []
        self._targets: list[tuple[npt.NDArray[np.uint16], npt.NDArray[np.uint8]]] = []

    @property
    def decisions(self) -> int:
        return len(self._played)

    def add(
        self,
        rank: int,
        kind: int,
        values: npt.NDArray[np.float32] | None = None,
        target: tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]] | None = None,
    ) -> None:
        """Add a decision by the rank of its move.

        `values` (players,) in 0..1; `target`, for `FULL` only, ranks (k,) and probabilities (k,).
        """
        self._played.append(rank)
        self._kinds.append(kind)
        quantised = np.zeros(self._players) if values is None else np.rint(np.clip(values, 0, 1) * WHOLE)
        self._values.append(quantised.astype(np.uint8))
        if target is not None:
            self._targets.append(_quantise(*target))

    def finish(self, header: GameHeader, game: int, end: GameEnd) -> GameRecord:
        """Return the record."""
        ranks = [ranks for ranks, _ in self._targets]
        weights = [weights for _, weights in self._targets]
        return GameRecord(
            header=header,
            game=game,
            end=end,
            played=np.array(self._played, dtype=np.uint16),
            kinds=np.array(self._kinds, dtype=np.uint8),
            values=np.array(self._values, dtype=np.uint8).reshape(-1, self._players),
            sizes=np.array([len(chosen) for chosen in ranks], dtype=np.uint8),
            ranks=np.concatenate(ranks) if ranks else np.zeros(0, dtype=np.uint16),
            weights=np.concatenate(weights) if weights else np.zeros(0, dtype=np.uint8),
        )


def _quantise(
    ranks: npt.NDArray[np.int64], shares: npt.NDArray[np.float32]
) -> tuple[npt.NDArray[np.uint16], npt.NDArray[np.uint8]]:
    """Keep the largest entries of a policy target, at least one, in ascending order of rank."""
    largest = np.argsort(-shares, kind="stable")[:TARGET_MOVES]
    weights = np.rint(shares[largest] * WHOLE)
    weights[0] = max(weights[0], 1)
    kept, weights = largest[weights >= 1], weights[weights >= 1]
    order = np.argsort(ranks[kept], kind="stable")
    return ranks[kept][order].astype(np.uint16), weights[order].astype(np.uint8)
