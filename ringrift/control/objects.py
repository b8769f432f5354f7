"""Places that hold files by key: a folder, or a bucket of an S3-compatible service.

Both are used through one narrow interface, by the artifact store and by backups. A key is a relative path of
plain names. A file appears under its key whole and durable, or not at all.
"""

from __future__ import annotations

import asyncio
import errno
import hashlib
import os
import re
import secrets
import shutil
import stat
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Protocol

from ringrift.errors import BadInput, EnvironmentProblem, NotFound
from ringrift.failpoints import side_effect

CHUNK = 1 << 20
_KEY = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*(/[A-Za-z0-9_-][A-Za-z0-9._-]*)*")
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})


@dataclass(frozen=True)
class Entry:
    """One file of a place: its key, its size in bytes, and how many seconds ago it was written."""

    key: str
    size: int
    age: float


class Objects(Protocol):
    """A place. Every method raises `EnvironmentProblem` or `Unreachable` when the place itself fails."""

    @property
    def name(self) -> str:
        """Address of the place, without secrets."""

    async def put(self, key: str, source: Path, *, move: bool = False) -> None:
        """Store a local file under `key`, replacing what was there; `move` lets the source vanish."""

    async def size(self, key: str) -> int | None:
        """Return the size in bytes; None when nothing is there."""

    def read(self, key: str) -> AsyncIterator[bytes]:
        """Yield the bytes of a file in pieces; `NotFound` when nothing is there."""

    async def delete(self, key: str) -> None:
        """Remove a file; nothing happens when none is there."""

    def list(self, prefix: str) -> AsyncIterator[Entry]:
        """Yield what lies below the folder `prefix` (empty: everything), in any order."""

    def local(self, key: str) -> Path | None:
        """Return where the file is or would be on this machine; None for a bucket."""

    async def sign(self, method: str, key: str, seconds: int) -> str | None:
        """Return a URL that lets its holder GET or PUT this one file for a while; None for a folder."""


class Folder:
    """A folder of this machine, or one that several machines mount."""

    def __init__(self, root: Path) -> None:
        self.root = root

    @property
    def name(self) -> str:
        """Path of the folder."""
        return str(self.root)

    async def put(self, key: str, source: Path, *, move: bool = False) -> None:
        """Flush, rename, and flush the folders, so that the name survives a power loss."""
        final = self.local(key)
        try:
            await asyncio.to_thread(_publish, source, final, self.root, move)
        except OSError as error:
            raise disk_problem(error, self.root) from error

    async def size(self, key: str) -> int | None:
        """Return the file's size; None when it is not there."""
        path = self.local(key)
        return path.stat().st_size if path.is_file() else None

    async def read(self, key: str) -> AsyncIterator[bytes]:
        """Yield the file's bytes."""
        try:
            async for chunk in pieces(self.local(key)):
                yield chunk
        except FileNotFoundError as error:
            raise NotFound(f"{key} is not in {self.name}") from error
        except OSError as error:
            raise disk_problem(error, self.root) from error

    async def delete(self, key: str) -> None:
        """Remove the file."""
        try:
            with side_effect("object.delete"):
                await asyncio.to_thread(self.local(key).unlink, missing_ok=True)
        except OSError as error:
            raise disk_problem(error, self.root) from error

    async def list(self, prefix: str) -> AsyncIterator[Entry]:
        """Yield the files below a folder; names with a leading dot are unfinished and not listed."""
        top = self.local(prefix) if prefix else self.root
        for entry in await asyncio.to_thread(lambda: list(_walk(self.root, top))):
            yield entry

    def local(self, key: str) -> Path:
        """Return the path of a key; `BadInput` for one that could lead out of the folder."""
        return self.root / checked_key(key)

    async def sign(self, method: str, key: str, seconds: int) -> str | None:
        """Return None: a folder has no addresses."""
        return None


def open_objects(place: str) -> Objects:
    """Return the place of a folder path, `file://` URL or `s3://bucket/prefix` URL; `BadInput` for others."""
    scheme, separator, rest = place.partition("://")
    if not separator:
        return Folder(Path(place).expanduser().absolute())
    if scheme == "file" and rest.startswith("/"):
        return Folder(Path(rest))
    if scheme == "s3":
        from ringrift.control.bucket import open_bucket

        return open_bucket(place)
    raise BadInput("a place is a folder or a bucket", hint="use /a/folder or s3://bucket/prefix")


def checked_key(key: str) -> str:
    """Return a key that is safe as a relative path."""
    if not _KEY.fullmatch(key):
        raise BadInput("a key consists of plain names")
    return key


async def digest_of(objects: Objects, key: str) -> tuple[str, int]:
    """Read a file back; return its SHA-256 and its size."""
    digest, size = hashlib.sha256(), 0
    async for chunk in objects.read(key):
        await asyncio.to_thread(digest.update, chunk)
        size += len(chunk)
    return digest.hexdigest(), size


@asynccontextmanager
async def opened(path: Path, mode: str) -> AsyncIterator[IO[bytes]]:
    """Open and close a local file in a thread: a disk may take its time for both."""
    file: IO[bytes] = await asyncio.to_thread(open, path, mode)
    try:
        yield file
    finally:
        await asyncio.to_thread(file.close)


async def pieces(path: Path) -> AsyncIterator[bytes]:
    """Yield the bytes of a local file, read in threads."""
    async with opened(path, "rb") as file:
        while chunk := await asyncio.to_thread(file.read, CHUNK):
            yield chunk


def file_digest(path: Path) -> str:
    """Return the SHA-256 of a local file. Blocks."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def flush_folder(folder: Path) -> None:
    """Make the names in a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def disk_problem(error: OSError, folder: Path) -> EnvironmentProblem:
    """Return one line on what a disk refused."""
    if error.errno in _FULL:
        return EnvironmentProblem(
            f"disk of {folder} is full", hint="free disk space on the controller's machine"
        )
    return EnvironmentProblem(f"cannot use {folder}: {error.strerror}")


def _publish(source: Path, final: Path, root: Path, move: bool) -> None:
    made = [folder for folder in (final.parent, *final.parent.parents) if not folder.exists()]
    for folder in reversed(made):
        folder.mkdir(exist_ok=True, mode=0o700)
    temporary = source if move else final.with_name(f".{final.name}.{secrets.token_hex(4)}")
    try:
        if not move:
            shutil.copyfile(source, temporary)
        temporary.chmod(0o600)
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        with side_effect("object.publish"):
            temporary.replace(final)
        for folder in {final.parent, *(folder.parent for folder in made)}:
            flush_folder(folder)
    finally:
        if not move:
            temporary.unlink(missing_ok=True)


def _walk(root: Path, top: Path) -> Iterator[Entry]:
    clock = time.time()
    for folder, _, names in os.walk(top):
        for name in names:
            if not name.startswith("."):
                path = Path(folder) / name
                try:
                    found = path.stat()
                except FileNotFoundError:
                    continue
                if not stat.S_ISREG(found.st_mode):
                    continue  # a device or a pipe has no end
                yield Entry(path.relative_to(root).as_posix(), found.st_size, clock - found.st_mtime)
