"""A shard: a file of game records, named by its SHA-256 once it is complete.

    magic | (header frame | game frames)* | end frame
    frame = type (1 byte) | length of the payload (u32) | CRC-32 of type and payload (u32) | payload

A header frame tells how the games behind it were played; a game frame holds some of them (`frames`). Frames
are only ever added behind one another, so whatever a crash leaves begins with sound ones. The end frame holds
the number of games and the SHA-256 over their ids in order; a file without it was cut. The same records give
the same bytes with the same version of zstd.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import struct
import tempfile
import zlib
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from pathlib import Path

from pydantic import ValidationError

from ringrift.errors import BadInput, CorruptData, EnvironmentProblem, NotFound, UnknownConfig
from ringrift.learning.frames import check_header, pack_games, unpack_games
from ringrift.learning.records import RULES, GameHeader, GameRecord

SUFFIX = ".shard"
FRAME_DECISIONS = 1024
"""A game frame takes games until it has so many decisions: what one break can cost."""

_MAGIC = b"RRSHARD2"
_FRAME = struct.Struct("<cII")
_END = struct.Struct("<I32s")
_HEADER_TYPE, _GAME_TYPE, _END_TYPE = b"H", b"G", b"E"


def shard_bytes(records: Sequence[GameRecord]) -> bytes:
    """Return the bytes of the shard with these games."""
    if not records:
        raise BadInput("a shard needs at least one game")
    return b"".join([_MAGIC, *_game_frames(records), _frame(_END_TYPE, _end_payload(records))])


def _game_frames(records: Sequence[GameRecord]) -> Iterator[bytes]:
    for header, games in groupby(records, key=lambda record: record.header):
        yield _frame(_HEADER_TYPE, header.canonical)
        for part in _parts(games):
            yield _frame(_GAME_TYPE, pack_games(part))


def _parts(games: Iterable[GameRecord]) -> Iterator[list[GameRecord]]:
    """Group games in their order by `FRAME_DECISIONS`."""
    part: list[GameRecord] = []
    for game in games:
        part.append(game)
        if sum(each.decisions for each in part) >= FRAME_DECISIONS:
            yield part
            part = []
    if part:
        yield part


def write_shard(folder: Path, records: Sequence[GameRecord]) -> tuple[Path, str]:
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


def read_shard(path: Path, expected_sha256: str | None = None) -> list[GameRecord]:
    """Return the games of a shard.

    Raises `NotFound` when there is no such file, and `CorruptData` when its hash is not the expected one or
    any of its bytes is wrong, missing or too many. That the games keep to the rules, a replay has to show.
    """
    data = read_artifact(path, expected_sha256)
    records: list[GameRecord] = []
    for part, end in _read(data, path.name):
        records += part
        if end is not None:
            if end != _end_payload(records):
                raise CorruptData(f"shard {path.name} ends with a count or digest that is not of its games")
            if not records:
                raise CorruptData(f"shard {path.name} holds no game")
            return records
    raise CorruptData(f"shard {path.name} is cut off after {len(records)} games", hint=_SALVAGE)


def salvage(path: Path) -> list[GameRecord]:
    """Return the games of the frames before the first damage; none for a file that is no shard."""
    records: list[GameRecord] = []
    with contextlib.suppress(CorruptData):
        for part, _ in _read(read_artifact(path), path.name):
            records += part
    return records


_OTHER_VERSION = "read it with the version that wrote it"
_SALVAGE = "fetch it again, or save its sound games with `ringrift-ctl records salvage`"


def _read(data: bytes, name: str) -> Iterator[tuple[list[GameRecord], bytes | None]]:
    """Yield the games of each game frame with None, then none with the payload of the end frame."""
    header: GameHeader | None = None
    for at, kind, payload in _frames(data, name):
        try:
            if kind == _HEADER_TYPE:
                header = _header(payload)
            elif kind == _END_TYPE:
                yield [], payload
            elif header is None:
                raise CorruptData("comes before any header")
            else:
                yield unpack_games(header, payload), None
        except CorruptData as error:
            raise CorruptData(f"shard {name}, frame at byte {at}: {error.message}", hint=error.hint) from None


def _header(payload: bytes) -> GameHeader:
    _check_rules(payload)
    try:
        header = GameHeader.model_validate_json(payload)
    except UnknownConfig as error:
        raise CorruptData(error.message) from None
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"]) or "header"
        raise CorruptData(f"{field}: {first['msg']}", hint=_OTHER_VERSION) from None
    if header.canonical != payload:
        raise CorruptData("the header is not in canonical form")
    check_header(header)
    return header


def _check_rules(payload: bytes) -> None:
    try:
        rules = json.loads(payload).get("rules")
    except (ValueError, RecursionError, AttributeError):
        raise CorruptData("the header is no JSON object") from None
    if rules != RULES:
        raise CorruptData(
            f"its games keep to version {str(rules)[:9]} of the rules, this version plays {RULES}",
            hint=_OTHER_VERSION,
        )


def read_artifact(path: Path, expected_sha256: str | None = None) -> bytes:
    """Return a file's bytes after checking its hash; `NotFound` or `CorruptData` otherwise."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise NotFound(f"file {path.name} is not at hand", hint="fetch it again") from None
    except OSError as error:
        raise BadInput(f"cannot read {path.name}: {error.strerror}", hint="give a file") from None
    if expected_sha256 is not None:
        found = hashlib.sha256(data).hexdigest()
        if found != expected_sha256:
            raise CorruptData(
                f"{path.name} has SHA-256 {found}, not {expected_sha256}", hint="fetch it again"
            )
    return data


def _frame(kind: bytes, payload: bytes) -> bytes:
    return _FRAME.pack(kind, len(payload), zlib.crc32(kind + payload)) + payload


def _end_payload(records: Sequence[GameRecord]) -> bytes:
    ids = "".join(record.id for record in records)
    return _END.pack(len(records), hashlib.sha256(ids.encode()).digest())


def _frames(data: bytes, name: str) -> Iterator[tuple[int, bytes, bytes]]:
    """Yield (offset, type, payload) of each frame up to the end frame; raise `CorruptData` at a wrong one."""
    _check_magic(data, name)
    at = len(_MAGIC)
    while at < len(data):
        if at + _FRAME.size > len(data):
            raise CorruptData(f"shard {name} is cut off at byte {at}", hint=_SALVAGE)
        kind, length, checksum = _FRAME.unpack_from(data, at)
        payload = data[at + _FRAME.size : at + _FRAME.size + length]
        sound = len(payload) == length and zlib.crc32(kind + payload) == checksum
        if not sound or kind not in (_HEADER_TYPE, _GAME_TYPE, _END_TYPE):
            raise CorruptData(f"shard {name} is damaged at byte {at}", hint=_SALVAGE)
        end = at + _FRAME.size + length
        if kind == _END_TYPE and end != len(data):
            raise CorruptData(f"shard {name} goes on after its end", hint=_SALVAGE)
        yield at, kind, payload
        at = end


def _check_magic(data: bytes, name: str) -> None:
    if data[: len(_MAGIC)] == _MAGIC:
        return
    if data[: len(_MAGIC) - 1] == _MAGIC[:-1] and data[len(_MAGIC) - 1 : len(_MAGIC)].isdigit():
        version = data[len(_MAGIC) - 1 :][:1].decode()
        raise CorruptData(
            f"shard {name} has format {version}, this version reads format {_MAGIC[-1:].decode()}",
            hint=_OTHER_VERSION,
        )
    raise CorruptData(f"{name} is not a shard")


def _sync_folder(folder: Path) -> None:
    """Make a rename durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
