"""What a backup consists of: a manifest that names every file with its SHA-256 and size.

manifests/<id>.<sha256 of the manifest>.json     written last: what has one is complete
databases/<id>.<random>.jsonl.gz                 one for every try
files/<sha256>                                   settings; keys where they were asked for
artifacts/<aa>/<sha256>                          shared by all backups of the place
"""

from __future__ import annotations

import asyncio
import hashlib
import secrets
from pathlib import Path
from typing import Literal

from pydantic import ValidationError

from ringrift.control.objects import Objects
from ringrift.errors import CorruptData, NotFound
from ringrift.protocol.types import Sha256, Wire

FOLDER = "manifests"
DATABASES = "databases"
LARGEST = 256 << 20
"""Bytes of a manifest: three million artifacts."""


class Part(Wire):
    """One file of a backup. `name` is where it belongs below a home; empty for the database."""

    key: str
    sha256: Sha256
    size: int
    name: str = ""


class Manifest(Wire):
    """Everything that a restore needs to know."""

    format: Literal[1] = 1
    id: str
    made_at: float
    """Seconds since 1970 by the database's clock: what was committed until then is in it."""
    code: str
    revision: str
    rows: int
    database: Part
    files: list[Part]
    artifacts: dict[Sha256, int]
    """SHA-256 -> size in bytes."""

    @property
    def size(self) -> int:
        """Bytes of all of it."""
        return self.database.size + sum(self.artifacts.values()) + sum(part.size for part in self.files)


def artifact_key(sha256: str) -> str:
    """Return where an artifact is in a place of backups."""
    return f"artifacts/{sha256[:2]}/{sha256}"


async def write_manifest(place: Objects, manifest: Manifest, folder: Path) -> str:
    """Write a manifest, read it back, and return its SHA-256."""
    data = manifest.model_dump_json(indent=1).encode()
    digest = hashlib.sha256(data).hexdigest()
    temporary = folder / f".{secrets.token_hex(8)}"
    try:
        await asyncio.to_thread(temporary.write_bytes, data)
        key = manifest_key(digest, manifest)
        await place.put(key, temporary)
    finally:
        await asyncio.to_thread(temporary.unlink, missing_ok=True)
    await _read(place, key)
    return digest


async def manifests(place: Objects) -> list[tuple[str, Manifest]]:
    """Return the SHA-256 and the manifest of every complete backup of a place, oldest first."""
    found = [await _read(place, entry.key) async for entry in place.list(FOLDER)]
    return sorted(found, key=lambda item: item[1].made_at)


async def find_manifest(place: Objects, identity: str | None) -> tuple[str, Manifest]:
    """Return the backup of this id, or the newest; `NotFound` when there is none."""
    found = await manifests(place)
    chosen = [item for item in found if identity in (None, item[1].id)]
    if not chosen:
        known = ", ".join(item[1].id for item in found[-3:]) or "it holds none"
        raise NotFound(f"no backup {identity or ''} in {place.name}".replace("  ", " "), hint=known)
    return chosen[-1]


def manifest_key(digest: str, manifest: Manifest) -> str:
    """Return where a manifest lies."""
    return f"{FOLDER}/{manifest.id}.{digest}.json"


async def delete_manifest(place: Objects, digest: str, manifest: Manifest) -> None:
    """Remove a backup from the list of complete ones, then its own files."""
    await place.delete(manifest_key(digest, manifest))
    await place.delete(manifest.database.key)


async def _read(place: Objects, key: str) -> tuple[str, Manifest]:
    if (await place.size(key) or 0) > LARGEST:
        raise CorruptData(f"{key} in {place.name} is too large for a manifest")
    data = b"".join([chunk async for chunk in place.read(key)])
    digest = hashlib.sha256(data).hexdigest()
    try:
        manifest = Manifest.model_validate_json(data)
    except ValidationError as error:
        raise CorruptData(f"{key} in {place.name} is no manifest of this version: {error.title}") from None
    if not key.endswith(f".{digest}.json"):
        raise CorruptData(f"the manifest {key} in {place.name} was changed")
    return digest, manifest
