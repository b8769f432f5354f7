"""The artifact folder: immutable files named by their SHA-256, `artifacts/<aa>/<sha256>`.

A file appears under its name only after its bytes were hashed, flushed to the disk and renamed; so a name
that exists holds exactly those bytes, also after a power loss.
"""

from __future__ import annotations

import asyncio
import errno
import hashlib
import os
import re
import secrets
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import BinaryIO

from ringrift.errors import BadInput, CorruptData, EnvironmentProblem, NotFound

_NAME = re.compile(r"[0-9a-f]{64}")
_CHUNK = 1 << 20
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})


class ArtifactStore:
    """Content-addressed files below `folder`."""

    def __init__(self, folder: Path, *, max_bytes: int, free_bytes: int) -> None:
        """Use `folder`; uploads above `max_bytes`, or leaving less than `free_bytes` free, are refused."""
        self.folder = folder
        self.max_bytes = max_bytes
        self.free_bytes = free_bytes
        self._incoming = folder / "incoming"

    def prepare(self) -> None:
        """Make the folders and drop what an interrupted upload left behind."""
        self._incoming.mkdir(parents=True, exist_ok=True, mode=0o700)
        for leftover in self._incoming.iterdir():
            leftover.unlink()

    def path(self, sha256: str) -> Path:
        """Return where an artifact is or would be; `BadInput` for anything but 64 hex digits."""
        if not _NAME.fullmatch(sha256):
            raise BadInput("an artifact is named by 64 lower-case hex digits")
        return self.folder / sha256[:2] / sha256

    def existing(self, sha256: str) -> Path:
        """Return the file of an artifact; `NotFound` when it is not stored."""
        path = self.path(sha256)
        if not path.is_file():
            raise NotFound(f"artifact {sha256[:12]} is not stored", hint="upload it first")
        return path

    async def put(self, sha256: str, body: AsyncIterator[bytes], announced: int | None = None) -> int:
        """Store the bytes of `body` under their hash and return their number, once they are durable.

        `announced` is the expected size, if known. Raises `CorruptData` when the hash differs, `BadInput`
        above the size limit and `EnvironmentProblem` on a full disk; in each case nothing is stored.
        """
        final = self.path(sha256)
        self._make_room(announced or 0)
        temporary = self._incoming / secrets.token_hex(16)
        try:
            size, found = await self._receive(temporary, body)
            if found != sha256:
                raise CorruptData(
                    f"upload {sha256[:12]} arrived as {found[:12]} ({size} bytes)", hint="send it again"
                )
            await asyncio.to_thread(_publish, temporary, final)
        except OSError as error:
            raise _disk_problem(error, self.folder) from error
        finally:
            temporary.unlink(missing_ok=True)
        return size

    async def put_file(self, source: Path) -> tuple[str, int]:
        """Store a local file; return its SHA-256 and size."""

        def digest() -> str:
            with source.open("rb") as file:
                return hashlib.file_digest(file, "sha256").hexdigest()

        sha256 = await asyncio.to_thread(digest)
        return sha256, await self.put(sha256, _chunks(source))

    async def _receive(self, temporary: Path, body: AsyncIterator[bytes]) -> tuple[int, str]:
        digest, size, waiting = hashlib.sha256(), 0, bytearray()

        def write(file: BinaryIO, data: bytes, *, last: bool) -> None:
            digest.update(data)
            file.write(data)
            if last:
                file.flush()
                os.fsync(file.fileno())

        with temporary.open("wb") as file:
            async for chunk in body:
                size += len(chunk)
                if size > self.max_bytes:
                    raise BadInput(f"upload is larger than {self.max_bytes} bytes")
                waiting += chunk
                if len(waiting) >= _CHUNK:
                    await asyncio.to_thread(write, file, bytes(waiting), last=False)
                    waiting.clear()
            await asyncio.to_thread(write, file, bytes(waiting), last=True)
        return size, digest.hexdigest()

    def _make_room(self, announced: int) -> None:
        if announced > self.max_bytes:
            raise BadInput(f"upload of {announced} bytes is larger than {self.max_bytes}")
        free = shutil.disk_usage(self.folder).free
        if free - announced < self.free_bytes:
            raise EnvironmentProblem(
                f"disk of {self.folder} has {free >> 20} MiB free, too little for an upload",
                hint="free disk space on the controller's machine",
            )


async def _chunks(source: Path) -> AsyncIterator[bytes]:
    with source.open("rb") as file:
        while chunk := await asyncio.to_thread(file.read, _CHUNK):
            yield chunk


def _publish(temporary: Path, final: Path) -> None:
    """Rename into place and flush the folders, so that the name survives a power loss."""
    made = not final.parent.exists()
    final.parent.mkdir(exist_ok=True, mode=0o700)
    temporary.chmod(0o600)
    temporary.replace(final)
    _flush_folder(final.parent)
    if made:
        _flush_folder(final.parent.parent)


def _flush_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _disk_problem(error: OSError, folder: Path) -> EnvironmentProblem:
    if error.errno in _FULL:
        return EnvironmentProblem(
            f"disk of {folder} is full", hint="free disk space on the controller's machine"
        )
    return EnvironmentProblem(f"cannot write below {folder}: {error.strerror}")
