"""Brings a backup back: into an empty home, into either kind of database, and again after a kill."""

from __future__ import annotations

import asyncio
import os
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from sqlmodel import Session, select

from ringrift.control import home as homes
from ringrift.control.artifacts import ArtifactStore, key_of, open_artifacts
from ringrift.control.backup.export import is_empty, read_rows
from ringrift.control.backup.make import KEYS, SETTINGS, each
from ringrift.control.backup.manifest import Manifest, Part, artifact_key, find_manifest
from ringrift.control.objects import Objects, digest_of, disk_problem, file_digest, flush_folder, open_objects
from ringrift.control.settings import LimitSettings
from ringrift.control.store import backups, migrate
from ringrift.control.store.artifacts import mark_deleted
from ringrift.control.store.engine import Engines, database_url, open_engines
from ringrift.control.store.events import record, verify_chain
from ringrift.control.store.tables import Artifact, Setting
from ringrift.errors import CorruptData, EnvironmentProblem, Refused
from ringrift.failpoints import side_effect

MARKER = "restoring"
"""In a home while it is being restored: no controller starts on it, and only the same backup goes on."""
_RESTORED = "restored.from"
Say = Callable[[str], None]


@dataclass(frozen=True)
class Restored:
    """What was brought back and checked."""

    id: str
    made_at: float
    rows: int
    events: int
    artifacts: int
    size: int
    keys: bool


async def restore(
    source: str,
    home: Path,
    *,
    identity: str | None = None,
    database: str | None = None,
    artifacts: str | None = None,
    say: Say = lambda line: None,
) -> Restored:
    """Restore a backup (the newest, or `identity`) into an empty home; ask again to go on after a kill.

    `database` and `artifacts` are what `RINGRIFT_DATABASE_URL` and `RINGRIFT_ARTIFACTS_URL` say. Raises
    `Refused` for a home or database that is in use and `CorruptData` for a backup that is not whole; the home
    is then not usable by a controller. Ends with the audit chain and every artifact's hash checked.
    """
    place = open_objects(source)
    digest, manifest = await find_manifest(place, identity)
    home = await asyncio.to_thread(_claim_home, home, digest)
    with homes.home_lock(home):
        store = open_artifacts(home, artifacts, LimitSettings(upload_bytes=1 << 45, free_bytes=0))
        store.prepare()
        engines = open_engines(database_url(home, database))
        try:
            say(f"database: {manifest.rows} rows")
            await _database(place, manifest, digest, engines, home)
            say(f"artifacts: {len(manifest.artifacts)}")
            await each(manifest.artifacts, lambda sha: _artifact(place, store, sha, manifest.artifacts[sha]))
            for part in manifest.files:
                await _file(place, part, home)
            say("checking the audit chain")
            events = await asyncio.to_thread(_finish, engines, manifest, place.name)
        finally:
            engines.dispose()
        with side_effect("restore.done"):
            (home / MARKER).unlink()
    keys = any(part.name.startswith("ssh/") for part in manifest.files)
    return Restored(
        manifest.id,
        manifest.made_at,
        manifest.rows,
        events,
        len(manifest.artifacts),
        manifest.size,
        keys,
    )


def refuse_half_restored(home: Path) -> None:
    """Raise `EnvironmentProblem` for a home whose restore has not come to its end."""
    if (home.expanduser() / MARKER).exists():
        raise EnvironmentProblem(
            f"{home} is not restored to the end", hint="give the same `ringrift-ctl restore` again"
        )


def _claim_home(home: Path, digest: str) -> Path:
    """Mark a home as being restored from this backup; `Refused` when anything else is in it."""
    home = home.expanduser().absolute()
    marker = home / MARKER
    try:
        if marker.is_file():
            if marker.read_text(encoding="utf-8") != digest:
                raise Refused(f"{home} is being restored from another backup", hint="use an empty folder")
            return homes.prepare_home(home)
        if home.exists() and any(home.iterdir()):
            raise Refused(f"{home} is not empty", hint="restore into a new folder; nothing was changed")
        home.mkdir(parents=True, exist_ok=True, mode=0o700)
        with side_effect("restore.begin"):
            _write(marker, digest.encode())
    except OSError as error:
        raise disk_problem(error, home) from error
    return homes.prepare_home(home)


async def _database(place: Objects, manifest: Manifest, digest: str, engines: Engines, home: Path) -> None:
    """Bring the rows back in one transaction with a note of their origin: a kill leaves all or none."""
    if migrate.newer_than_code(manifest.revision):
        raise EnvironmentProblem(
            f"the backup is of schema {manifest.revision}, which is newer than this code",
            hint=f"restore it with release {manifest.code} or newer",
        )
    if await asyncio.to_thread(_restored, engines, digest):
        return
    copy = home / "run" / f".{secrets.token_hex(8)}"
    try:
        await _fetch(place, manifest.database, copy)
        await asyncio.to_thread(_import, engines, manifest, digest, copy)
    finally:
        copy.unlink(missing_ok=True)


def _restored(engines: Engines, digest: str) -> bool:
    """Tell whether this backup's rows are there; `Refused` when other ones are."""
    if migrate.revision(engines.writer) is None:
        return False
    migrate.upgrade(engines.writer)
    with Session(engines.writer) as session:
        origin = session.get(Setting, _RESTORED)
        if origin is not None and origin.value["manifest"] == digest:
            return True
        if not is_empty(session.connection()):
            raise Refused("the database is not empty", hint="restore into a new one; nothing was changed")
    return False


def _import(engines: Engines, manifest: Manifest, digest: str, copy: Path) -> None:
    if migrate.revision(engines.writer) not in (None, manifest.revision):
        migrate.downgrade(engines.writer, "base")
    migrate.upgrade(engines.writer, manifest.revision)
    with side_effect("restore.rows"), engines.writer.begin() as connection:
        read_rows(connection, copy, manifest.rows)
        session = Session(connection)
        session.merge(Setting(key=_RESTORED, value={"manifest": digest, "backup": manifest.id}))
        session.flush()
    migrate.upgrade(engines.writer)


async def _artifact(place: Objects, store: ArtifactStore, sha256: str, size: int) -> None:
    """Bring one artifact back and check its hash where it lies now; one that is there is only checked."""
    key = key_of(sha256)
    if await store.objects.size(key) is None:
        temporary = store.folder / "incoming" / secrets.token_hex(16)
        try:
            await _fetch(place, Part(key=artifact_key(sha256), sha256=sha256, size=size), temporary)
            await store.objects.put(key, temporary, move=True)
        finally:
            temporary.unlink(missing_ok=True)
    found, _ = await digest_of(store.objects, key)
    if found != sha256:
        raise CorruptData(
            f"artifact {sha256[:12]} is damaged in {store.objects.name}", hint="remove it and go on"
        )


async def _file(place: Objects, part: Part, home: Path) -> None:
    """Bring back settings or keys, readable by nobody else."""
    if part.name not in (*SETTINGS, *KEYS):
        raise CorruptData(f"the backup names a file {part.name!r} that no backup has")
    target = home / part.name
    temporary = target.with_name(f".{target.name}.{secrets.token_hex(4)}")
    try:
        await _fetch(place, part, temporary)
        with side_effect("restore.file"):
            temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)


async def _fetch(place: Objects, part: Part, target: Path) -> None:
    """Copy a file of the place; its size is checked before anything is written, then its hash."""
    if await place.size(part.key) != part.size:
        raise CorruptData(f"{part.key} in {place.name} is damaged or missing", hint="restore an older backup")
    with _private(target) as file:
        async for chunk in place.read(part.key):
            await asyncio.to_thread(file.write, chunk)
    if await asyncio.to_thread(file_digest, target) != part.sha256:
        raise CorruptData(f"{part.key} in {place.name} is damaged", hint="restore an older backup")


def _finish(engines: Engines, manifest: Manifest, place: str) -> int:
    """Check the chain, settle what the copy could not know, note the restore; return the chain's length."""
    with Session(engines.writer) as session:
        check = verify_chain(session)
        if not check.sound:
            raise CorruptData(
                f"the audit chain breaks at row {check.first_bad}", hint="restore an older backup"
            )
        for row in session.exec(select(Artifact)):
            if row.sha256 not in manifest.artifacts:
                mark_deleted(session, row.sha256, "it was lost before the backup")
        backups.abandon_running(session, "it ran when the database was copied")
        record(session, "operator", "store.restored", manifest.id, place=place, rows=manifest.rows)
        with side_effect("restore.finish"):
            session.commit()
        return check.rows


def _write(path: Path, data: bytes) -> None:
    with _private(path) as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    flush_folder(path.parent)


def _private(path: Path) -> BinaryIO:
    """Open a file for writing that nobody else can read."""
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb")
