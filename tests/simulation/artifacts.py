"""The artifact store as the simulation needs it: names without bytes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from ringrift.control.store.artifacts import note_artifact
from ringrift.errors import NotFound


class SimArtifacts:
    """Which hashes are durable; it outlives every controller."""

    def __init__(self) -> None:
        self.held: set[str] = set()

    async def upload(self, store: Any, agent: str, sha256: str) -> None:
        """Take a file: durable first, then its row."""
        self.held.add(sha256)
        await store.write("artifact.stored", lambda s: note_artifact(s, sha256, 100, agent))

    async def stored(self) -> AsyncIterator[tuple[str, int, float]]:
        """Yield name, size and age of everything."""
        for name in sorted(self.held):
            yield name, 100, 0.0

    async def delete(self, sha256: str) -> None:
        """Remove a file."""
        self.held.discard(sha256)

    def sweep(self, older: dict[str, float], clock: float) -> int:
        """Nothing lies about."""
        return 0

    async def remove_unclaimed(self, seconds: float) -> None:
        """There is no bucket."""

    async def existing(self, sha256: str) -> Path:
        """Return where an artifact would be; `NotFound` when nobody put it."""
        if sha256 not in self.held:
            raise NotFound(f"artifact {sha256[:12]} is not stored")
        return Path("/nowhere") / sha256
