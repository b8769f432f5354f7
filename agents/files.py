"""Durable small files: atomic replacement, appended JSON lines, tolerant reading of a torn end."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

_CHUNK = 1 << 20
DISK_FULL = (errno.ENOSPC, errno.EDQUOT)
GoOn = Callable[[], None]
"""Called between pieces of a large file; raises to give up."""


def write_atomic(path: Path, data: bytes, mode: int = 0o600) -> None:
    """Replace `path` by `data`: readers see the old or the new content, also after a power loss."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.new")
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(file.fileno(), mode)
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise
    sync_folder(path.parent)


def write_json(path: Path, value: Any, mode: int = 0o600) -> None:
    """Replace `path` by a JSON document, atomically."""
    write_atomic(path, json.dumps(value, indent=1, sort_keys=True).encode() + b"\n", mode)


def sync_folder(folder: Path) -> None:
    """Make renames and new names in `folder` durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def append_line(path: Path, value: Any, *, durable: bool = True) -> None:
    """Append one JSON line; on a full disk nothing of it stays behind. NaN raises ValueError."""
    data = json.dumps(value, separators=(",", ":"), allow_nan=False).encode() + b"\n"
    with path.open("ab", buffering=0) as file:
        before = os.fstat(file.fileno()).st_size
        try:
            if file.write(data) != len(data):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
            if durable:
                os.fsync(file.fileno())
        except OSError:
            with contextlib.suppress(OSError):
                os.ftruncate(file.fileno(), before)
            raise


def read_lines(path: Path, offset: int = 0) -> tuple[list[dict[str, Any]], int]:
    """Return the whole JSON objects from `offset` on, and where the last of them ends.

    A last line without its newline is still being written, or was torn by a crash: it is left out.
    Reading stops at the first line that is no JSON object, so that nothing after damage is trusted.
    """
    try:
        with path.open("rb") as file:
            file.seek(offset)
            data = file.read()
    except FileNotFoundError:
        return [], offset
    found: list[dict[str, Any]] = []
    for line in data.splitlines(keepends=True):
        value = _parse(line)
        if value is None:
            break
        found.append(value)
        offset += len(line)
    return found, offset


def cut_torn_end(path: Path) -> list[dict[str, Any]]:
    """Shorten a file of JSON lines to its whole ones, and return them."""
    lines, end = read_lines(path)
    if path.exists() and path.stat().st_size > end:
        os.truncate(path, end)
    return lines


def _parse(line: bytes) -> dict[str, Any] | None:
    if not line.endswith(b"\n"):
        return None
    try:
        value = json.loads(line)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def chunks(path: Path) -> Iterator[bytes]:
    """Yield a file's content in pieces of at most 1 MiB."""
    with path.open("rb") as file:
        while data := file.read(_CHUNK):
            yield data


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file's content as 64 hex digits."""
    digest = hashlib.sha256()
    for data in chunks(path):
        digest.update(data)
    return digest.hexdigest()


def tail(path: Path, limit: int) -> str:
    """Return at most the last `limit` bytes of a log as text, beginning at a whole line where cut.

    NUL characters are left out: Postgres stores no text that holds them.
    """
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - limit))
            data = file.read()
    except OSError:
        return ""
    if size > limit:
        data = data.partition(b"\n")[2]
    return data.decode("utf-8", errors="replace").replace("\0", "")


def is_disk_full(error: BaseException | None) -> bool:
    """Tell whether an error, or one that caused it, means that no space is left."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in DISK_FULL:
            return True
        error = error.__cause__ or error.__context__
    return False


def require_room(folder: Path, size: int) -> None:
    """Raise `OSError` (no space left) when so many bytes do not fit on the disk of `folder`."""
    if shutil.disk_usage(folder).free < size:
        raise OSError(errno.ENOSPC, f"{os.strerror(errno.ENOSPC)} for {size} bytes", str(folder))
