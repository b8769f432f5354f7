"""Games as the payload of a shard's frame: columns over all games of the frame, compressed one by one.

Every column is a zstd frame of its own behind its length, since the moves, the values and the targets have
different statistics; wider numbers are stored byte plane by byte plane. The table of the columns is in
`docs/LEARNING.md`.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import zstandard

from ringrift.errors import CorruptData
from ringrift.game.config import GameConfig
from ringrift.learning.records import FULL, OPENING, GameEnd, GameHeader, GameRecord, little_endian

_LEVEL = 19
_LENGTH = struct.Struct("<I")
_COLUMN_LIMIT = 16 << 20
"""Bytes that one column may decompress to: a frame of the longest games takes a quarter of it."""
FRAME_LIMIT = 16_384
"""Games, or decisions of one game, in a frame; the longest games of the largest board have some thousands."""

Column = npt.NDArray[Any]


def pack_games(records: Sequence[GameRecord]) -> bytes:
    """Return the payload of a frame with these games, which share one header."""
    ends = [record.end for record in records]
    values = np.concatenate([record.values for record in records])
    starts = np.cumsum(np.concatenate([[0], *(record.sizes for record in records)]), dtype=np.int64)[:-1]
    columns = [
        np.array([record.game for record in records], "u4"),
        np.array([end.winner for end in ends], "u1"),
        np.array([end.plies for end in ends], "u4"),
        np.array([end.checksum for end in ends], "u4"),
        np.array([record.decisions for record in records], "u4"),
        np.concatenate([record.played for record in records]),
        np.concatenate([record.kinds for record in records]),
        *_differences(values),
        np.concatenate([record.sizes for record in records]),
        _gaps(np.concatenate([record.ranks for record in records]), starts),
        np.concatenate([record.weights for record in records]),
    ]
    compressor = zstandard.ZstdCompressor(level=_LEVEL, write_content_size=True, write_checksum=False)
    packed = [compressor.compress(_planes(column)) for column in columns]
    return b"".join(part for column in packed for part in (_LENGTH.pack(len(column)), column))


def unpack_games(header: GameHeader, payload: bytes) -> list[GameRecord]:
    """Return the games of a frame; raise `CorruptData` if their columns contradict each other."""
    players = len(header.seats)
    columns = _columns(payload)
    numbers = [_take(columns, dtype) for dtype in ("u4", "u1", "u4", "u4", "u4")]
    game, winner, plies, checksum, decisions = numbers
    played, kinds = _take(columns, "u2"), _take(columns, "u1")
    differences = [_take(columns, "u1") for _ in range(players)]
    sizes, gaps, weights = _take(columns, "u1"), _take(columns, "u2"), _take(columns, "u1")
    if next(columns, None) is not None:
        raise CorruptData("has columns that do not belong there")
    _check_lengths(numbers, len(game))
    _check_lengths((played, kinds, *differences), int(decisions.sum(dtype=np.int64)))
    _check_lengths((gaps, weights), int(sizes.sum(dtype=np.int64)))
    if max(len(game), decisions.max(initial=0)) > FRAME_LIMIT:
        raise CorruptData(f"has more than {FRAME_LIMIT} games, or decisions of one game")
    _check_content(winner, kinds, sizes, weights, players)
    values, starts = _values(differences), np.cumsum(sizes, dtype=np.int64)
    ranks = _ranks(gaps, starts - sizes, sizes)
    found = []
    at = full = target = 0
    for k in range(len(game)):
        end = at + int(decisions[k])
        full_end = full + int(np.count_nonzero(kinds[at:end] == FULL))
        target_end = int(starts[full_end - 1]) if full_end else 0
        found.append(
            GameRecord(
                header,
                int(game[k]),
                GameEnd(int(winner[k]), int(plies[k]), int(checksum[k])),
                played[at:end],
                kinds[at:end],
                values[at:end],
                sizes[full:full_end],
                ranks[target:target_end],
                weights[target:target_end],
            )
        )
        at, full, target = end, full_end, target_end
    return found


def check_header(header: GameHeader) -> None:
    """Raise `CorruptData` for a header that contradicts its config."""
    players = GameConfig.parse(header.config).players
    if len(header.seats) != players:
        raise CorruptData(f"names {len(header.seats)} players, not {players}")


def _check_lengths(columns: Sequence[Column], length: int) -> None:
    if any(len(column) != length for column in columns):
        raise CorruptData("has columns of different lengths")


def _check_content(winner: Column, kinds: Column, sizes: Column, weights: Column, players: int) -> None:
    if winner.min(initial=1) < 1 or winner.max(initial=1) > players:
        raise CorruptData(f"names a winner who is none of {players} seats")
    if kinds.max(initial=OPENING) > FULL or np.count_nonzero(kinds == FULL) != len(sizes):
        raise CorruptData("has a policy target where none belongs, or lacks one")
    if sizes.min(initial=1) < 1 or weights.min(initial=1) < 1:
        raise CorruptData("has a policy target with an empty entry")


def _differences(values: Column) -> list[Column]:
    """Return a column per seat: what the value rose by since the decision before; the last is the sum of all.

    The sum is nearly always the same, and values move slowly: both compress far better than the values.
    """
    total = values.sum(1, dtype=np.uint8)
    seats = [np.diff(values[:, seat], prepend=np.uint8(0)) for seat in range(values.shape[1] - 1)]
    return [*seats, total]


def _values(differences: Sequence[Column]) -> Column:
    seats = [np.cumsum(column, dtype=np.uint8) for column in differences[:-1]]
    last = differences[-1] - np.sum(seats, axis=0, dtype=np.uint8)
    return np.stack([*seats, last], axis=1)


def _gaps(ranks: Column, starts: Column) -> Column:
    """Return each rank less the one before it in its target; the first as it is."""
    gaps = np.diff(ranks, prepend=np.uint16(0))
    gaps[starts] = ranks[starts]
    return gaps


def _ranks(gaps: Column, starts: Column, sizes: Column) -> Column:
    """Undo `_gaps`; raise `CorruptData` when ranks do not ascend within a target."""
    total = np.cumsum(gaps, dtype=np.int64)
    ranks = total - np.repeat(total[starts] - gaps[starts], sizes)
    inner = np.ones(len(gaps), dtype=bool)
    inner[starts] = False
    if ranks.max(initial=0) > np.iinfo(np.uint16).max or gaps[inner].min(initial=1) < 1:
        raise CorruptData("has a policy target that does not ascend")
    return ranks.astype(np.uint16)


def _planes(column: Column) -> bytes:
    width = column.dtype.itemsize
    return np.frombuffer(little_endian(column), "u1").reshape(-1, width).T.tobytes()


def _columns(payload: bytes) -> Iterator[bytes]:
    """Yield the decompressed columns of a payload."""
    at, decompressor = 0, zstandard.ZstdDecompressor()
    while at < len(payload):
        start = at + _LENGTH.size
        length = _LENGTH.unpack_from(payload, at)[0] if start <= len(payload) else len(payload)
        packed = payload[start : start + length]
        if len(packed) != length:
            raise CorruptData("ends early")
        try:
            if not 0 <= zstandard.frame_content_size(packed) <= _COLUMN_LIMIT:
                raise CorruptData("has a column of impossible size")
            yield decompressor.decompress(packed, allow_extra_data=False)
        except zstandard.ZstdError as error:
            raise CorruptData(f"cannot be decompressed: {error}") from None
        at = start + length


def _take(columns: Iterator[bytes], dtype: str) -> Column:
    data, width = next(columns, None), np.dtype(dtype).itemsize
    if data is None or len(data) % width:
        raise CorruptData("lacks a column")
    planes = np.frombuffer(data, "u1").reshape(width, -1)
    return np.ascontiguousarray(planes.T).view("<" + dtype).reshape(-1).astype(dtype, copy=False)
