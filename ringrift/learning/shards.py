"""A shard: an immutable file of game records, named by its SHA-256.

    magic | frame per game | end frame
    frame = type (1 byte) | length of the payload (u32) | CRC-32 of type and payload (u32) | payload

The payload of a game frame is the record, compressed by zstd on its own, so that the games before a break can
be saved. The end frame holds the number of games and the SHA-256 over their ids in order; without it the file
was cut. The same records give the same bytes with the same version of zstd.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import struct
import tempfile
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import zstandard

from ringrift.errors import BadInput, CorruptData, EnvironmentProblem, NotFound
from ringrift.learning.records import game_id

SUFFIX = ".shard"
_MAGIC = b"RRSHARD1"
_FRAME = struct.Struct("<cII")
_END = struct.Struct("<I32s")
_GAME_TYPE, _END_TYPE = b"G", b"E"
_LEVEL = 9
_RECORD_LIMIT = 64 << 20
"""Bytes that one game may decompress to: far above any game, far below what hurts."""


def shard_bytes(records: Sequence[bytes]) -> bytes:
    """Return the bytes of the shard with these game records."""
    if not records:
        raise BadInput("a shard needs at least one game")
    compressor = zstandard.ZstdCompressor(level=_LEVEL, write_content_size=True)
    frames = [_frame(_GAME_TYPE, compressor.compress(record)) for record in records]
    return b"".join([_MAGIC, *frames, _frame(_END_TYPE, _end_payload(records))])


def write_shard(folder: Path, records: Sequence[bytes]) -> tuple[Path, str]:
    """Write a shard to `folder/{sha256}.shard` and return its path and hash.

    The file appears complete and durable or not at all.
    """
    data = shard_bytes(records)
    sha = hashlib.sha256(data).hexdigest()
    path = folder / f"{sha}{SUFFIX}"
    write_durably(path, data)
    return path, sha


def write_durably(path: Path, data: bytes) -> None:
    """Write a file so that it is whole and on disk under its name, or not there at all.

    Temporary file, fsync, rename, fsync of the folder. Raises `EnvironmentProblem` when the disk is full or
    cannot be written.
    """
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(
            dir=path.parent, prefix=".", suffix=".partial", delete=False
        ) as file:
            temporary = Path(file.name)
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
        _sync_folder(path.parent)
    except OSError as error:
        if temporary is not None:
            temporary.unlink(missing_ok=True)
        hint = "free disk space" if error.errno == errno.ENOSPC else ""
        raise EnvironmentProblem(f"cannot write {path.name}: {error.strerror or error}", hint=hint) from error


def read_shard(path: Path, expected_sha256: str | None = None) -> list[bytes]:
    """Return the game records of a shard.

    Raises `NotFound` when there is no such file, and `CorruptData` when its hash is not the expected one or
    any of its bytes is wrong, missing or too many.
    """
    data = read_artifact(path, expected_sha256)
    records: list[bytes] = []
    for kind, payload in _frames(data, path.name):
        if kind == _END_TYPE:
            if payload != _end_payload(records):
                raise CorruptData(f"shard {path.name} ends with a count or digest that is not of its games")
            return records
        records.append(_decompress(payload, path.name))
    raise CorruptData(f"shard {path.name} is cut off after {len(records)} games", hint="fetch it again")


def salvage(path: Path) -> list[bytes]:
    """Return the game records before the first damage; none for a file that is no shard."""
    records: list[bytes] = []
    with contextlib.suppress(CorruptData):
        for kind, payload in _frames(read_artifact(path), path.name):
            if kind == _END_TYPE:
                break
            records.append(_decompress(payload, path.name))
    return records


def read_artifact(path: Path, expected_sha256: str | None = None) -> bytes:
    """Return a file's bytes after checking its hash; `NotFound` or `CorruptData` otherwise."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise NotFound(f"file {path.name} is not at hand", hint="fetch it again") from None
    if expected_sha256 is not None:
        found = hashlib.sha256(data).hexdigest()
        if found != expected_sha256:
            raise CorruptData(
                f"{path.name} has SHA-256 {found}, not {expected_sha256}", hint="fetch it again"
            )
    return data


def _frame(kind: bytes, payload: bytes) -> bytes:
    return _FRAME.pack(kind, len(payload), zlib.crc32(kind + payload)) + payload


def _end_payload(records: Sequence[bytes]) -> bytes:
    ids = "".join(game_id(record) for record in records)
    return _END.pack(len(records), hashlib.sha256(ids.encode()).digest())


def _frames(data: bytes, name: str) -> Iterator[tuple[bytes, bytes]]:
    """Yield (type, payload) of each frame up to the end frame; raise `CorruptData` at the first wrong one."""
    if data[: len(_MAGIC)] != _MAGIC:
        raise CorruptData(f"{name} is not a shard")
    at = len(_MAGIC)
    while at < len(data):
        if at + _FRAME.size > len(data):
            raise CorruptData(f"shard {name} is cut off at byte {at}", hint="fetch it again")
        kind, length, checksum = _FRAME.unpack_from(data, at)
        payload = data[at + _FRAME.size : at + _FRAME.size + length]
        sound = len(payload) == length and zlib.crc32(kind + payload) == checksum
        if not sound or kind not in (_GAME_TYPE, _END_TYPE):
            raise CorruptData(f"shard {name} is damaged at byte {at}", hint="fetch it again")
        at += _FRAME.size + length
        if kind == _END_TYPE and at != len(data):
            raise CorruptData(f"shard {name} goes on after its end", hint="fetch it again")
        yield kind, payload


def _decompress(payload: bytes, name: str) -> bytes:
    try:
        size = zstandard.frame_content_size(payload)
        if not 0 <= size <= _RECORD_LIMIT:
            raise CorruptData(f"shard {name} holds a game of {size} bytes")
        return zstandard.ZstdDecompressor().decompress(payload)
    except zstandard.ZstdError as error:
        raise CorruptData(f"shard {name} holds a game that cannot be decompressed: {error}") from None


def _sync_folder(folder: Path) -> None:
    """Make a rename durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
