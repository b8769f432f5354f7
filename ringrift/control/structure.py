"""Cheap checks that a file is what it claims to be, without numpy and without unpacking anything."""

from __future__ import annotations

import mmap
import struct
import zipfile
import zlib
from pathlib import Path

_SHARD = b"RRSHARD2"
_FRAME = struct.Struct("<cII")
_CHECKPOINT = b"PK\x03\x04"


def fault(path: Path) -> str:
    """Return what is wrong with a shard or a checkpoint; empty when its structure is sound.

    Of a shard every frame is walked and its CRC compared (`ringrift.learning.shards`); of a checkpoint the
    central directory of the zip file is read. That the games keep to the rules, the ingest shows.
    """
    with path.open("rb") as file:
        start = file.read(len(_SHARD))
        if start == _SHARD:
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data, memoryview(data) as view:
                return _shard_fault(view)
    return _checkpoint_fault(path) if start[:4] == _CHECKPOINT else "it is neither a shard nor a checkpoint"


def _shard_fault(data: memoryview) -> str:
    at, kinds, kind = len(_SHARD), set[bytes](), b""
    while at < len(data):
        if kind == b"E":
            return "the shard goes on after its end"
        if at + _FRAME.size > len(data):
            return "the shard is cut off"
        kind, length, crc = _FRAME.unpack_from(data, at)
        end = at + _FRAME.size + length
        if end > len(data):
            return "the shard is cut off"
        if zlib.crc32(data[at + _FRAME.size : end], zlib.crc32(kind)) != crc:
            return f"the frame at byte {at} of the shard is damaged"
        kinds.add(kind)
        at = end
    if kind != b"E":
        return "the shard is cut off"
    return "" if kinds == {b"H", b"G", b"E"} else "the shard has no games, or frames of an unknown kind"


def _checkpoint_fault(path: Path) -> str:
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, OSError, ValueError, RuntimeError):
        return "the checkpoint is cut off or damaged"
    return "" if any(name.endswith("data.pkl") for name in names) else "the checkpoint has no content"
