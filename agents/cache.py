"""Artifacts on this host, by hash: fetched once, resumed after a break, checked before use."""

from __future__ import annotations

import contextlib
import os
import threading
from pathlib import Path
from typing import Protocol

from agents.files import GoOn, is_disk_full, sha256_of, sync_folder
from ringrift.errors import CorruptData


class Source(Protocol):
    """Where artifacts come from."""

    def download(self, sha256: str, into: Path, go_on: GoOn) -> None: ...


class Cache:
    """A folder of immutable files named by their SHA-256, bounded in size, least recently used out first."""

    def __init__(self, folder: Path, limit: int) -> None:
        self._folder = folder
        self._limit = limit
        self._guard = threading.Lock()

    def provide(self, sha256: str, source: Source, into: Path, go_on: GoOn) -> None:
        """Put artifact `sha256` into the folder `into` as a hard link, fetching it if it is not here.

        Raises `CorruptData` when the bytes that came have another hash (they are deleted), and whatever
        `source` or `go_on` raise; a file that came in part stays and is continued next time.
        """
        with self._guard:
            path = self._folder / sha256
            if not path.exists():
                self._fetch(sha256, source, path, go_on)
            os.utime(path)
            with contextlib.suppress(FileExistsError):
                os.link(path, into / sha256)
        self.shrink(self._limit)

    def shrink(self, limit: int) -> None:
        """Delete the least recently used files until at most `limit` bytes remain.

        Jobs keep what they use: they hold their own hard links.
        """
        with self._guard:
            files = [(status.st_mtime, status.st_size, path) for path, status in self._entries()]
            total = sum(size for _, size, _ in files)
            for _, size, path in sorted(files):
                if total <= limit:
                    return
                path.unlink(missing_ok=True)
                total -= size

    def _entries(self) -> list[tuple[Path, os.stat_result]]:
        return [(path, path.stat()) for path in self._folder.iterdir() if path.is_file()]

    def _receive(self, sha256: str, source: Source, part: Path, go_on: GoOn) -> None:
        try:
            source.download(sha256, part, go_on)
        except OSError as error:
            if is_disk_full(error):
                # What filled the disk must not keep the next job from working.
                part.unlink(missing_ok=True)
            raise

    def _fetch(self, sha256: str, source: Source, path: Path, go_on: GoOn) -> None:
        part = path.with_name(f"{sha256}.part")
        if not part.exists() or sha256_of(part) != sha256:
            self._receive(sha256, source, part, go_on)
        found = sha256_of(part)
        if found != sha256:
            part.unlink()
            raise CorruptData(f"artifact {sha256[:12]} arrived with the hash {found[:12]} and was not used")
        with part.open("rb") as file:
            os.fsync(file.fileno())
        part.replace(path)
        sync_folder(self._folder)
