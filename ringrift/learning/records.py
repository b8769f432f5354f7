"""One game as a replayable record: a header, and per decision a move and what the search thought of it.

Tensors are never stored; they follow from replaying the moves through the rules. A decision is a ply with
more than one legal move; the forced plies between decisions are not stored, since `settle` plays them the
same way every time. A policy target names moves by their rank in the sorted list of legal moves.

Bytes of a record, little-endian: magic, length of the header, header (canonical JSON), number of decisions n,
then columns over the decisions, which compress better than rows:

| column | type | meaning |
|---|---|---|
| moves | int64 x n | the move played |
| kinds | uint8 x n | `OPENING`, `CHEAP` or `FULL` |
| values | uint8 x n x players | root value of each seat, 0..255 for 0..1; 0 in the opening |
| sizes | uint8 x n | number of entries of the policy target; 0 unless `FULL` |
| ranks | uint16 x sum(sizes) | ranks of the target's moves, ascending within a decision |
| weights | uint16 x sum(sizes) | their shares of the target, in 1/65535 |

The SHA-256 of these bytes is the game's id.
"""

from __future__ import annotations

import hashlib
import json
import struct
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field, ValidationError

from ringrift.errors import CorruptData
from ringrift.game.config import GameConfig
from ringrift.protocol.jobs import PlayerSpec
from ringrift.protocol.types import ConfigKey, Count, Fraction, Seat, Sha256, Wire

OPENING, CHEAP, FULL = range(3)
"""Kinds of decision: a random opening ply, one with a small search, one with a full search and a target."""

TARGET_MOVES = 32
"""A policy target keeps this many of its largest entries; what they leave belongs to the others evenly."""

SHARE = 65535
"""The weight that stands for the whole of a policy target."""

_MAGIC = b"RRGAME1\n"
_LENGTH = struct.Struct("<I")
_VALUE = 255


class GameHeader(Wire):
    """Everything about a game but its decisions.

    `seats[i]` played seat i + 1. `seed`, `sequence` and `game` say which game of which unit of work it is;
    `evaluation` is set for games of an evaluation, whose blocks are their sequences.
    """

    format: Literal[1] = 1
    rules: Literal[1] = 1
    """Version of the rules that the game was played by; 1 is the rules document's recommended profile."""
    config: ConfigKey
    swap_rule: bool
    seats: Annotated[tuple[PlayerSpec, ...], Field(min_length=2, max_length=4)]
    evaluation: Sha256 | None
    seed: Count
    sequence: Count
    game: Count
    opening_random_plies: Count
    full_share: Fraction
    cheap_simulations: Count
    winner: Seat
    plies: Count
    """All plies of the game, forced ones too."""


@dataclass(frozen=True, slots=True)
class GameRecord:
    """A header and the columns of the module's table, as arrays (n,), (n, players) or (sum(sizes),)."""

    header: GameHeader
    moves: npt.NDArray[np.int64]
    kinds: npt.NDArray[np.uint8]
    values: npt.NDArray[np.uint8]
    sizes: npt.NDArray[np.uint8]
    ranks: npt.NDArray[np.uint16]
    weights: npt.NDArray[np.uint16]

    @property
    def config(self) -> GameConfig:
        return GameConfig.parse(self.header.config)

    @property
    def decisions(self) -> int:
        return len(self.moves)

    def root_values(self) -> npt.NDArray[np.float32]:
        """Return the root values (n, players) in 0..1."""
        return self.values.astype(np.float32) / np.float32(_VALUE)

    def target_starts(self) -> npt.NDArray[np.int64]:
        """Return offsets (n + 1,) into `ranks` and `weights`: the target of decision d is [d]:[d + 1]."""
        return np.concatenate([[0], np.cumsum(self.sizes, dtype=np.int64)])


class RecordBuilder:
    """Collects the decisions of one running game."""

    def __init__(self, players: int) -> None:
        self._players = players
        self._moves: list[int] = []
        self._kinds: list[int] = []
        self._values: list[npt.NDArray[np.uint8]] = []
        self._targets: list[tuple[npt.NDArray[np.uint16], npt.NDArray[np.uint16]]] = []

    @property
    def decisions(self) -> int:
        return len(self._moves)

    def add(
        self,
        move: int,
        kind: int,
        values: npt.NDArray[np.float32] | None = None,
        target: tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]] | None = None,
    ) -> None:
        """Add a decision. `values` (players,) in 0..1; `target` ranks (k,) and probabilities (k,)."""
        self._moves.append(move)
        self._kinds.append(kind)
        quantised = np.zeros(self._players) if values is None else np.rint(np.clip(values, 0, 1) * _VALUE)
        self._values.append(quantised.astype(np.uint8))
        self._targets.append(_quantise(*target) if target is not None else _quantise(_NO_RANKS, _NOSHARES))

    def finish(self, header: GameHeader) -> bytes:
        """Return the record's bytes."""
        ranks = [ranks for ranks, _ in self._targets]
        weights = [weights for _, weights in self._targets]
        return encode(
            GameRecord(
                header=header,
                moves=np.array(self._moves, dtype=np.int64),
                kinds=np.array(self._kinds, dtype=np.uint8),
                values=np.array(self._values, dtype=np.uint8).reshape(-1, self._players),
                sizes=np.array([len(chosen) for chosen in ranks], dtype=np.uint8),
                ranks=np.concatenate([*ranks, _NO_RANKS]).astype(np.uint16),
                weights=np.concatenate([*weights, _NO_RANKS]).astype(np.uint16),
            )
        )


_NO_RANKS = np.zeros(0, dtype=np.int64)
_NOSHARES = np.zeros(0, dtype=np.float32)


def _quantise(
    ranks: npt.NDArray[np.int64], shares: npt.NDArray[np.float32]
) -> tuple[npt.NDArray[np.uint16], npt.NDArray[np.uint16]]:
    """Keep the largest entries of a policy target, in ascending order of rank."""
    largest = np.argsort(-shares, kind="stable")[:TARGET_MOVES]
    kept = np.sort(largest[np.rint(shares[largest] * SHARE) >= 1])
    kept = kept[np.argsort(ranks[kept], kind="stable")]
    return ranks[kept].astype(np.uint16), np.rint(shares[kept] * SHARE).astype(np.uint16)


def game_id(record: bytes) -> str:
    """Return the id of a game: the SHA-256 of its record."""
    return hashlib.sha256(record).hexdigest()


def encode(record: GameRecord) -> bytes:
    """Return the one byte string of a record."""
    header = _canonical(record.header)
    columns = [_little(column).tobytes() for column in _columns(record)]
    return b"".join([_MAGIC, _LENGTH.pack(len(header)), header, _LENGTH.pack(record.decisions), *columns])


def decode(data: bytes) -> GameRecord:
    """Read a record and check its structure, not its moves; raise `CorruptData` if it is none."""
    if data[: len(_MAGIC)] != _MAGIC:
        raise CorruptData("not a game record of a known format")
    header_bytes, at = _sized(data, len(_MAGIC))
    header = _header(header_bytes)
    if len(data) < at + _LENGTH.size:
        raise CorruptData("game record ends early")
    (count,) = _LENGTH.unpack_from(data, at)
    reader = _Columns(data, at + _LENGTH.size)
    players = GameConfig.parse(header.config).players
    moves = reader.take("<i8", count)
    kinds = reader.take("u1", count)
    values = reader.take("u1", count * players).reshape(count, players)
    sizes = reader.take("u1", count)
    total = int(sizes.sum(dtype=np.int64))
    record = GameRecord(
        header,
        moves,
        kinds,
        values,
        sizes,
        ranks=reader.take("<u2", total),
        weights=reader.take("<u2", total),
    )
    reader.end()
    _check(record, players)
    return record


def _check(record: GameRecord, players: int) -> None:
    if len(record.header.seats) != players:
        raise CorruptData(f"game record names {len(record.header.seats)} players, not {players}")
    if record.header.winner > players:
        raise CorruptData(f"game record names seat {record.header.winner} of {players} as winner")
    if record.kinds.max(initial=OPENING) > FULL or not np.array_equal(record.sizes > 0, record.kinds == FULL):
        raise CorruptData("game record has a policy target where none belongs, or lacks one")
    if record.weights.min(initial=1) < 1:
        raise CorruptData("game record has a policy target with an empty entry")


def _columns(record: GameRecord) -> list[npt.NDArray[Any]]:
    return [record.moves, record.kinds, record.values, record.sizes, record.ranks, record.weights]


def _little(column: npt.NDArray[Any]) -> npt.NDArray[Any]:
    return np.ascontiguousarray(column, dtype=column.dtype.newbyteorder("<"))


def _canonical(header: GameHeader) -> bytes:
    return json.dumps(header.model_dump(mode="json"), sort_keys=True, separators=(",", ":")).encode()


def _header(data: bytes) -> GameHeader:
    try:
        header = GameHeader.model_validate_json(data)
    except (ValidationError, ValueError) as error:
        raise CorruptData(f"game record has a bad header: {str(error).splitlines()[0]}") from None
    if _canonical(header) != data:
        raise CorruptData("game record has a header that is not in canonical form")
    return header


def _sized(data: bytes, at: int) -> tuple[bytes, int]:
    """Return the byte string whose length stands at `at`, and the offset behind it."""
    start = at + _LENGTH.size
    length = _LENGTH.unpack_from(data, at)[0] if len(data) >= start else 0
    if len(data) < start + length:
        raise CorruptData("game record ends early")
    return data[start : start + length], start + length


class _Columns:
    """Reads one array after another and insists that they fill the record."""

    def __init__(self, data: bytes, at: int) -> None:
        self._data = data
        self._at = at

    def take(self, dtype: str, count: int) -> npt.NDArray[Any]:
        size = np.dtype(dtype).itemsize * count
        if self._at + size > len(self._data):
            raise CorruptData("game record ends early")
        column = np.frombuffer(self._data, dtype=dtype, count=count, offset=self._at)
        self._at += size
        return column.astype(column.dtype.newbyteorder("="), copy=False)

    def end(self) -> None:
        if self._at != len(self._data):
            raise CorruptData(f"game record has {len(self._data) - self._at} bytes too many")
