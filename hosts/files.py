"""Files of a host over SFTP. They appear whole or not at all: temporary name, checked, synced, renamed."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import posixpath
from pathlib import Path
from typing import TYPE_CHECKING

import asyncssh

from ringrift.errors import CorruptData, EnvironmentProblem, NotFound, RingRiftError, Unreachable

if TYPE_CHECKING:
    from hosts.remote import Remote

CHUNK = 1 << 20
BLOCK = 32768
"""Bytes of one SFTP request. Larger ones are optional for servers, and 262144 breaks the connection."""
HEADROOM = 256 << 10
"""Bytes left free beyond what a file needs, for folders and journals."""
HASH_SECONDS = 600.0
_START_SECONDS = 60.0
_CLOSING_SECONDS = 1.0
_SHA256 = 'if command -v sha256sum >/dev/null; then sha256sum < "$1"; else shasum -a 256 < "$1"; fi'
_CUT = (asyncssh.SFTPConnectionLost, asyncssh.SFTPNoConnection)


class RemoteFiles:
    """The files of one host, through the connection's one SFTP session."""

    def __init__(self, remote: Remote) -> None:
        self._remote = remote
        self._name = remote.name
        self._sftp: asyncssh.SFTPClient | None = None
        self._starting = asyncio.Lock()

    async def upload(self, source: Path, path: str, sha256: str, mode: int = 0o644) -> None:
        """Copy a file of any size to the host, continuing a copy that was interrupted.

        It gets its name only after its SHA-256 was computed on the host and found to be `sha256`. Raises
        CorruptData for a local file or an arrived copy with another hash, EnvironmentProblem when the host's
        disk is full; what was written is removed in both cases. A cut connection leaves a `.part` to resume.
        """
        local, size = await asyncio.to_thread(_measure, source)
        if local != sha256:
            raise CorruptData(f"{source} has SHA-256 {local[:12]}, expected {sha256[:12]}; it was not sent")
        if await self._is_there(path, size, sha256):
            return
        temporary = _beside(path, f"{sha256[:12]}.part")
        for again in (False, True):
            resumed = await self._send(source, size, temporary, mode)
            arrived = await self.sha256(temporary)
            if arrived == sha256:
                break
            await _discard(await self._session(), temporary)
            if again or not resumed:
                raise CorruptData(
                    f"{path} arrived on {self._name} with SHA-256 {arrived[:12]}, expected {sha256[:12]}",
                    hint="run it again; if it stays, check the host's disk and memory",
                )
        await self.rename(temporary, path)

    async def sha256(self, path: str) -> str:
        """Return the SHA-256 of a file, computed on the host."""
        done = await self._remote.check(["sh", "-c", _SHA256, "sh", path], seconds=HASH_SECONDS)
        for line in reversed(done.stdout.splitlines()):
            word = line.split(" ", 1)[0]
            if len(word) == 64 and set(word) <= set("0123456789abcdef"):
                return word
        raise CorruptData(f"{self._name}: no SHA-256 of {path} came back")

    async def rename(self, source: str, target: str) -> None:
        """Rename within one file system, replacing a file at `target` atomically."""
        sftp = await self._session()
        with self._remote.speaking(f"renaming to {target}"):
            await sftp.posix_rename(source, target)

    async def _is_there(self, path: str, size: int, sha256: str) -> bool:
        sftp = await self._session()
        with self._remote.speaking(f"reading {path}"):
            same_size = await sftp.exists(path) and await _size_of(sftp, path) == size
        return same_size and await self.sha256(path) == sha256

    async def _session(self) -> asyncssh.SFTPClient:
        """Return the connection's SFTP session, started by the first caller."""
        async with self._starting:
            if self._sftp is None:
                self._sftp = await self._start()
            return self._sftp

    async def _start(self) -> asyncssh.SFTPClient:
        connection = self._remote.connection
        try:
            async with asyncio.timeout(_START_SECONDS):
                return await connection.start_sftp_client()
        except (asyncssh.Error, OSError) as error:
            # A connection that is being cut refuses sessions a moment before it counts as closed.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_CLOSING_SECONDS):
                    await connection.wait_closed()
                raise Unreachable(f"{self._name}: the connection was cut") from error
            raise EnvironmentProblem(
                f"{self._name} offers no SFTP: {error or 'no answer'}",
                hint="its sshd_config needs: Subsystem sftp internal-sftp",
            ) from error

    async def _send(self, source: Path, size: int, temporary: str, mode: int) -> bool:
        """Write `source` to `temporary` from where an earlier copy ended; tell whether there was one."""
        sftp = await self._session()
        folder = posixpath.dirname(temporary)
        with self._remote.speaking(f"writing {temporary}"):
            start = await _size_of(sftp, temporary)
            if start > size:
                start = 0
            try:
                await self._require_space(sftp, folder, size - start)
                await _copy(sftp, source, temporary, start, mode)
            except (asyncssh.SFTPError, RingRiftError) as error:
                full = await self._full_disk_behind(sftp, folder, error)
                if not isinstance(error, _CUT):
                    await _discard(sftp, temporary)
                if full is not None:
                    raise full from error
                raise
        return start > 0

    async def _require_space(self, sftp: asyncssh.SFTPClient, folder: str, size: int) -> None:
        """Refuse before anything is written when the file cannot fit."""
        free = await _free(sftp, folder)
        if free is not None and free < size + HEADROOM:
            raise self._full(folder, f"{free >> 10} KiB free, {(size + HEADROOM) >> 10} KiB are needed")

    async def _full_disk_behind(
        self, sftp: asyncssh.SFTPClient, folder: str, error: BaseException
    ) -> EnvironmentProblem | None:
        """Recognise a full disk behind SFTP's unspecific failure, while what filled it is still there."""
        if not isinstance(error, asyncssh.SFTPError) or isinstance(error, _CUT):
            return None
        free = None
        with contextlib.suppress(asyncssh.Error, OSError):
            free = await _free(sftp, folder)
        told = isinstance(error, asyncssh.SFTPNoSpaceOnFilesystem | asyncssh.SFTPQuotaExceeded)
        if told or "no space" in str(error).lower() or (free is not None and free < HEADROOM):
            return self._full(folder, "a write failed there")
        return None

    def _full(self, folder: str, detail: str) -> EnvironmentProblem:
        return EnvironmentProblem(
            f"disk full on {self._name}: {folder}: {detail}", hint="free space there and run it again"
        )


def _beside(path: str, suffix: str) -> str:
    folder, name = posixpath.split(path)
    return posixpath.join(folder, f".{name}.{suffix}")


def _measure(path: Path) -> tuple[str, int]:
    """Return SHA-256 and size in bytes of a local file."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest(), path.stat().st_size
    except OSError as error:
        raise NotFound(f"cannot read {path}: {error.strerror}") from None


async def _size_of(sftp: asyncssh.SFTPClient, path: str) -> int:
    try:
        return (await sftp.stat(path)).size or 0
    except asyncssh.SFTPNoSuchFile:
        return 0


async def _free(sftp: asyncssh.SFTPClient, folder: str) -> int | None:
    """Return the bytes that are free for the login user, or None when the server does not tell."""
    try:
        space = await sftp.statvfs(folder)
    except asyncssh.SFTPOpUnsupported:
        return None
    return space.bavail * space.frsize


async def _copy(sftp: asyncssh.SFTPClient, source: Path, target: str, start: int, mode: int) -> None:
    attributes = asyncssh.SFTPAttrs(permissions=mode)
    flags = asyncssh.FXF_WRITE | asyncssh.FXF_CREAT | (0 if start else asyncssh.FXF_TRUNC)
    async with sftp.open(target, flags, attributes, encoding=None, block_size=BLOCK) as file:
        with source.open("rb") as local:
            local.seek(start)
            offset = start
            while data := await asyncio.to_thread(local.read, CHUNK):
                await file.write(data, offset)
                offset += len(data)
        await _sync(file)


async def _sync(file: asyncssh.SFTPClientFile) -> None:
    with contextlib.suppress(asyncssh.SFTPOpUnsupported):
        await file.fsync()


async def _discard(sftp: asyncssh.SFTPClient, path: str) -> None:
    with contextlib.suppress(asyncssh.Error, OSError):
        await sftp.remove(path)
