"""Takes a backup: database first, then what it names; complete when all of it was read back."""

from __future__ import annotations

import asyncio
import hashlib
import secrets
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from sqlmodel import Session, col, select

import ringrift
from ringrift.control.artifacts import key_of
from ringrift.control.backup.export import require_revision, write_rows
from ringrift.control.backup.manifest import (
    DATABASES,
    Manifest,
    Part,
    artifact_key,
    delete_manifest,
    manifest_key,
    manifests,
    write_manifest,
)
from ringrift.control.domain.backups import superfluous, unreferenced
from ringrift.control.objects import Folder, Objects, digest_of, file_digest, open_objects
from ringrift.control.reconcile.context import Context
from ringrift.control.store import backups, migrate
from ringrift.control.store.clock import now
from ringrift.control.store.tables import Artifact, Backup
from ringrift.errors import CorruptData, NotFound, Refused, RingRiftError
from ringrift.failpoints import side_effect

T = TypeVar("T")
AT_ONCE = 8
"""Files that are copied at a time."""
SETTINGS = ("config.toml", "gate.toml")
"""The second is a policy of the operator's own, where it is in the home under this name."""
KEYS = ("ssh/id_ed25519", "ssh/id_ed25519.pub", "operator.token", "signing.key")


@dataclass(frozen=True)
class _Snapshot:
    made_at: float
    rows: int
    artifacts: dict[str, int]


async def carry_out(context: Context, identity: str) -> None:
    """Take an ordered backup and close its row; what fails is its reason."""
    row = await context.store.read(lambda s: backups.get_backup(s, identity))
    copy = context.home / "run" / f"{identity}.jsonl.gz"
    try:
        place = open_objects(row.place)
        manifest, missing = await _copy(context, row, place, copy)
        digest = await write_manifest(place, manifest, context.home / "run")
        # While the row runs, no other backup puts files there that no manifest names yet.
        await prune(place, context.settings.backup.keep)
        reason = f"{len(missing)} artifacts are lost or damaged: {missing[0][:12]} ..." if missing else ""
        size, count = manifest.size, len(manifest.artifacts)
        await context.store.write(
            "backup.verified",
            lambda s: backups.close_backup(
                s, identity, size=size, artifacts=count, sha256=digest, reason=reason
            ),
        )
    except RingRiftError as error:
        reason = error.line()
        await context.store.write("backup.failed", lambda s: backups.close_backup(s, identity, reason=reason))
    finally:
        await asyncio.to_thread(copy.unlink, missing_ok=True)


async def _copy(context: Context, row: Backup, place: Objects, copy: Path) -> tuple[Manifest, list[str]]:
    """Copy everything; return the manifest and the artifacts that are not what their rows say."""
    if row.keys and not isinstance(place, Folder):
        raise Refused("keys go to a folder only", hint="leave --with-keys out, or back up to a folder")
    revision = require_revision(await asyncio.to_thread(migrate.revision, context.store.engines.reader))
    with side_effect("backup.export"):
        snapshot = await context.store.read(lambda s: _snapshot(s, copy))
    # Every try has a name of its own: what a manifest of an earlier try names stays as it is.
    database = await _store(place, f"{DATABASES}/{row.id}.{secrets.token_hex(4)}.jsonl.gz", copy)
    names = (*SETTINGS, *KEYS) if row.keys else SETTINGS
    present = [name for name in names if (context.home / name).is_file()]
    files = [await _file(place, context.home, name) for name in present]
    lost = await _artifacts(context, place, snapshot.artifacts)
    sound = {sha: size for sha, size in snapshot.artifacts.items() if sha not in lost}
    manifest = Manifest(
        id=row.id,
        made_at=snapshot.made_at,
        code=ringrift.__version__,
        revision=revision,
        rows=snapshot.rows,
        database=database,
        files=files,
        artifacts=sound,
    )
    return manifest, lost


def _snapshot(session: Session, copy: Path) -> _Snapshot:
    """Write the rows of one snapshot and return which artifacts it names."""
    query = select(Artifact.sha256, Artifact.size).where(col(Artifact.deleted_at).is_(None))
    artifacts = dict(session.exec(query).all())
    return _Snapshot(now(session), write_rows(session, copy), artifacts)


async def _file(place: Objects, home: Path, name: str) -> Part:
    data = await asyncio.to_thread((home / name).read_bytes)
    part = await _store(place, f"files/{hashlib.sha256(data).hexdigest()}", home / name)
    return part.model_copy(update={"name": name})


async def _store(place: Objects, key: str, source: Path) -> Part:
    """Copy a file and read it back."""
    sent = await asyncio.to_thread(file_digest, source)
    await place.put(key, source)
    found, size = await digest_of(place, key)
    if found != sent:
        raise CorruptData(f"{key} is not what was written to {place.name}", hint="check that disk or service")
    return Part(key=key, sha256=sent, size=size)


async def _artifacts(context: Context, place: Objects, wanted: dict[str, int]) -> list[str]:
    """Copy the artifacts that the place does not have; return those that could not be copied whole."""
    there = {entry.key: entry.size async for entry in place.list("artifacts")}
    missing = [sha for sha, size in wanted.items() if there.get(artifact_key(sha)) != size]
    lost = await each(missing, lambda sha: _artifact(context, place, sha))
    return [sha for sha in lost if sha is not None]


async def _artifact(context: Context, place: Objects, sha256: str) -> str | None:
    """Copy one artifact; return its name when it is not there, or not those bytes any more."""
    source = context.artifacts.objects.local(key_of(sha256))
    try:
        path = source if source is not None else await context.artifacts.existing(sha256)
        part = await _store(place, artifact_key(sha256), path)
    except (NotFound, FileNotFoundError):
        return sha256
    if part.sha256 == sha256:
        return None
    await place.delete(part.key)
    return sha256


async def prune(place: Objects, keep: int) -> None:
    """Remove backups beyond the newest `keep`, and what no kept one names."""
    found = await _last_tries(place)
    old = set(superfluous([manifest.id for _, manifest in found], keep))
    for digest, manifest in found:
        if manifest.id in old:
            await delete_manifest(place, digest, manifest)
    left = [manifest for _, manifest in found if manifest.id not in old]
    copies = {manifest.database.key for manifest in left}
    for key in [entry.key async for entry in place.list(DATABASES) if entry.key not in copies]:
        await place.delete(key)
    if not old:
        return
    kept = [manifest.artifacts for manifest in left]
    stored = [entry.key.rpartition("/")[2] async for entry in place.list("artifacts")]
    for sha256 in unreferenced(stored, kept):
        await place.delete(artifact_key(sha256))


async def _last_tries(place: Objects) -> list[tuple[str, Manifest]]:
    """Return the manifests, oldest first, but for those of a backup that was killed and taken once more."""
    last: dict[str, tuple[str, Manifest]] = {}
    for digest, manifest in await manifests(place):
        if manifest.id in last:
            await place.delete(manifest_key(*last[manifest.id]))
        last[manifest.id] = digest, manifest
    return sorted(last.values(), key=lambda item: item[1].made_at)


async def each(items: Iterable[str], action: Callable[[str], Awaitable[T]]) -> list[T]:
    """Run an action for every item, `AT_ONCE` at a time; the first failure ends all."""
    waiting, done = iter(list(items)), list[T]()

    async def work() -> None:
        for item in waiting:
            done.append(await action(item))

    workers = [asyncio.create_task(work()) for _ in range(AT_ONCE)]
    try:
        await asyncio.gather(*workers)
    finally:
        for worker in workers:
            worker.cancel()
    return done
