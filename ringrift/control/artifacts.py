"""The artifact store: immutable files named by their SHA-256, `<aa>/<sha256>` in a folder or a bucket.

What arrives is written below `incoming/` of a local folder first. A file gets its name only after its bytes
were hashed, its structure was looked at and they were flushed to the disk; so a name that exists holds
exactly those bytes, also after a power loss. What fails is set aside below `quarantine/`.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import re
import secrets
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

from ringrift.control import structure
from ringrift.control.objects import (
    CHUNK,
    Folder,
    Objects,
    disk_problem,
    file_digest,
    open_objects,
    opened,
    pieces,
)
from ringrift.control.settings import LimitSettings
from ringrift.errors import BadInput, Conflict, CorruptData, EnvironmentProblem, NotFound
from ringrift.failpoints import side_effect

ARTIFACTS_URL = "RINGRIFT_ARTIFACTS_URL"
"""Where artifacts are, if not in the home: a folder, `file:///folder` or `s3://bucket/prefix`."""
STAGED = "staged"
"""Where agents may put files in a bucket: apart from the artifacts, since nobody has hashed them yet."""
_NAME = re.compile(r"[0-9a-f]{64}")
_OWNER = re.compile(r"[A-Za-z0-9_-]{1,64}")


class Unfit(CorruptData):
    """A file arrived that is not what it claims to be; it lies in the quarantine."""


class ArtifactStore:
    """Content-addressed files in `objects`; `folder` holds what is on its way in, set aside or cached."""

    def __init__(
        self, folder: Path, *, max_bytes: int, free_bytes: int, objects: Objects | None = None
    ) -> None:
        """Use `folder` itself, or `objects` beside it.

        Uploads above `max_bytes`, or leaving less than `free_bytes` free, are refused.
        """
        self.folder = folder
        self.max_bytes = max_bytes
        self.free_bytes = free_bytes
        self.objects = objects or Folder(folder)
        self._incoming = folder / "incoming"
        self._quarantine = folder / "quarantine"
        self._cache = folder / "cache"

    def prepare(self) -> None:
        """Make the folders. What an upload left behind stays: it may be resumed."""
        for folder in (self._incoming, self._quarantine, self._cache):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)

    async def existing(self, sha256: str) -> Path:
        """Return a local file with an artifact's bytes; `NotFound` when it is not stored.

        From a bucket the file is fetched into the cache, where it stays until it was not used for a day.
        """
        local = self.objects.local(key_of(sha256))
        if local is None:
            return await self._cached(sha256)
        if not local.is_file():
            raise NotFound(f"artifact {sha256[:12]} is not stored", hint="upload it first")
        return local

    async def put(self, sha256: str, body: AsyncIterator[bytes], announced: int | None = None) -> int:
        """Store the bytes of `body` under their hash and return their number, once they are durable.

        `announced` is the expected size, if known. Raises `Unfit` for other bytes than named or a broken
        structure, `BadInput` above the size limit and `EnvironmentProblem` on a full disk.
        """
        key_of(sha256)
        self._make_room(announced or 0)
        temporary = self._incoming / secrets.token_hex(16)
        try:
            await _receive(body, temporary, self.max_bytes)
            return await self._accept(sha256, temporary)
        except OSError as error:
            raise disk_problem(error, self.folder) from error
        finally:
            await asyncio.to_thread(temporary.unlink, missing_ok=True)

    def received(self, sha256: str, owner: str) -> int:
        """Return how many bytes of an unfinished upload by `owner` are here."""
        partial = self._partial(sha256, owner)
        return partial.stat().st_size if partial.is_file() else 0

    async def append(self, sha256: str, owner: str, offset: int, chunk: bytes) -> int:
        """Add a chunk to an unfinished upload; return how many bytes of it are here now.

        A chunk that is here already changes nothing. Raises `Conflict` for one that leaves a gap.
        """
        if offset + len(chunk) > self.max_bytes:
            raise BadInput(f"upload is larger than {self.max_bytes} bytes")
        self._make_room(len(chunk))
        partial = self._partial(sha256, owner)
        try:
            with side_effect("upload.append"):
                return await asyncio.to_thread(_append, partial, offset, chunk)
        except OSError as error:
            raise disk_problem(error, self.folder) from error

    async def finish(self, sha256: str, owner: str) -> int:
        """Give an upload by chunks its name; return its size. Raises like `put`."""
        partial = self._partial(sha256, owner)
        if not partial.is_file():
            raise NotFound(f"nothing of {sha256[:12]} was uploaded", hint="upload it from the beginning")
        try:
            size = await self._accept(sha256, partial)
            await asyncio.to_thread(partial.unlink, missing_ok=True)
        except OSError as error:
            raise disk_problem(error, self.folder) from error
        return size

    async def put_file(self, source: Path) -> tuple[str, int]:
        """Store a local file; return its SHA-256 and size."""
        sha256 = await asyncio.to_thread(file_digest, source)
        return sha256, await self.put(sha256, pieces(source))

    async def delete(self, sha256: str) -> None:
        """Remove an artifact's file, and its copy in the cache."""
        await self.objects.delete(key_of(sha256))
        await asyncio.to_thread((self._cache / sha256).unlink, missing_ok=True)

    async def stored(self) -> AsyncIterator[tuple[str, int, float]]:
        """Yield the SHA-256, size in bytes and age in seconds of every artifact's file."""
        async for entry in self.objects.list(""):
            name = entry.key.rpartition("/")[2]
            if _NAME.fullmatch(name) and entry.key == key_of(name):
                yield name, entry.size, entry.age

    async def remove_unclaimed(self, seconds: float) -> None:
        """Remove what agents put into the bucket so long ago and never claimed."""
        for entry in [entry async for entry in self.objects.list(STAGED) if entry.age > seconds]:
            await self.objects.delete(entry.key)

    def sweep(self, older: dict[str, float], clock: float) -> int:
        """Remove local files that were not touched for so many seconds, by subfolder; return their number."""
        removed = 0
        for name, seconds in older.items():
            for path in (self.folder / name).iterdir():
                if clock - path.stat().st_mtime > seconds:
                    with side_effect("leftover.delete"):
                        path.unlink(missing_ok=True)
                    removed += 1
        return removed

    async def _accept(self, sha256: str, temporary: Path) -> int:
        """Publish a received file, or set it aside and raise `Unfit`."""
        size, wrong = await asyncio.to_thread(_inspect, temporary, sha256)
        if wrong:
            aside = self._quarantine / f"{sha256}.{secrets.token_hex(4)}"
            with side_effect("artifact.quarantine"):
                await asyncio.to_thread(temporary.replace, aside)
            raise Unfit(f"upload {sha256[:12]} is refused: {wrong}", hint="send it again from the beginning")
        with side_effect("artifact.publish"):
            await self.objects.put(key_of(sha256), temporary, move=True)
        return size

    async def _cached(self, sha256: str) -> Path:
        path = self._cache / sha256
        if path.is_file():
            await asyncio.to_thread(os.utime, path)
            return path
        key = key_of(sha256)
        size = await self.objects.size(key)
        if size is None:
            raise NotFound(f"artifact {sha256[:12]} is not stored", hint="upload it first")
        self._make_room(size)
        temporary = self._cache / f".{secrets.token_hex(16)}"
        try:
            await _receive(self.objects.read(key), temporary, self.max_bytes)
            if await asyncio.to_thread(file_digest, temporary) != sha256:
                raise CorruptData(f"artifact {sha256[:12]} is damaged in {self.objects.name}")
            with side_effect("artifact.cache"):
                await asyncio.to_thread(temporary.replace, path)
        finally:
            await asyncio.to_thread(temporary.unlink, missing_ok=True)
        return path

    def _partial(self, sha256: str, owner: str) -> Path:
        if not _OWNER.fullmatch(owner):
            raise BadInput("an upload's owner is a plain name")
        key_of(sha256)
        return self._incoming / f"{sha256}.{owner}"

    def _make_room(self, announced: int) -> None:
        if announced > self.max_bytes:
            raise BadInput(f"upload of {announced} bytes is larger than {self.max_bytes}")
        free = shutil.disk_usage(self.folder).free
        if free - announced < self.free_bytes:
            raise EnvironmentProblem(
                f"disk of {self.folder} has {free >> 20} MiB free, too little for an upload",
                hint="free disk space on the controller's machine",
            )


def open_artifacts(home: Path, place: str | None, limits: LimitSettings) -> ArtifactStore:
    """Return the store of a home: `artifacts/` in it, another folder, or a bucket; `BadInput` for others."""
    objects = open_objects(place or str(home / "artifacts"))
    folder = objects.root if isinstance(objects, Folder) else home / "artifacts"
    return ArtifactStore(folder, max_bytes=limits.upload_bytes, free_bytes=limits.free_bytes, objects=objects)


def key_of(sha256: str) -> str:
    """Return the key of an artifact; `BadInput` for anything but 64 hex digits."""
    if not _NAME.fullmatch(sha256):
        raise BadInput("an artifact is named by 64 lower-case hex digits")
    return f"{sha256[:2]}/{sha256}"


async def _receive(body: AsyncIterator[bytes], temporary: Path, limit: int) -> None:
    """Write what arrives, in pieces of a useful size; `BadInput` above `limit` bytes."""
    size, waiting = 0, bytearray()
    async with opened(temporary, "wb") as file:
        async for chunk in body:
            size += len(chunk)
            if size > limit:
                raise BadInput(f"upload is larger than {limit} bytes")
            waiting += chunk
            if len(waiting) >= CHUNK:
                await asyncio.to_thread(file.write, bytes(waiting))
                waiting.clear()
        await asyncio.to_thread(file.write, bytes(waiting))


def _append(partial: Path, offset: int, chunk: bytes) -> int:
    with partial.open("ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        size = os.fstat(file.fileno()).st_size
        if offset > size:
            raise Conflict(f"{size} bytes are here, the chunk begins at {offset}", hint=f"go on at {size}")
        fresh = chunk[size - offset :]
        file.write(fresh)
        return size + len(fresh)


def _inspect(path: Path, sha256: str) -> tuple[int, str]:
    """Return the size of a received file and what is wrong with it, empty when nothing is."""
    size, found = path.stat().st_size, file_digest(path)
    if found != sha256:
        return size, f"it arrived as {found[:12]} ({size} bytes)"
    return size, structure.fault(path)
