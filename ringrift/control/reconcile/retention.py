"""Removes what nothing references: the row first, in a transaction with its audit row, then the file.

A kill in between leaves a marked row with a file; the next pass removes every file whose row is marked, so
nothing has to be remembered. A file is removed only while its removal is reserved in the store: an upload of
the same bytes waits for that, and can never be acknowledged and then lose its file.
"""

from __future__ import annotations

import asyncio
import re
import shutil
import time
from pathlib import Path

from sqlmodel import Session, select

from ringrift.control.domain.retention import Judgement
from ringrift.control.reconcile.base import converge
from ringrift.control.reconcile.context import Context
from ringrift.control.store import production, retention
from ringrift.control.store.artifacts import begin_removal, end_removal
from ringrift.control.store.operations import LOCK_SECONDS
from ringrift.control.store.tables import Artifact, Host
from ringrift.failpoints import side_effect

_AT_ONCE = 100
_WHEELS = 3
_RELEASE = re.compile(r"[0-9a-f]{12}")


async def step(context: Context) -> bool:
    """Make a pass when the last one is `every_hours` old."""
    every = context.settings.retention.every_hours * 3600
    if every <= 0 or not await context.store.read(lambda s: retention.is_due(s, every)):
        return False
    await run(context)
    await context.store.write("retention.done", retention.note_pass)
    return False


async def run(context: Context) -> None:
    """Mark what goes, remove the files of what is marked, and tidy the local folders."""

    def decide(session: Session) -> list[Judgement]:
        return [item for item in retention.judgements(session, context.settings) if not item.keep]

    await converge("artifact.delete", context.store, decide, retention.remove)
    await _remove_files(context)
    await asyncio.to_thread(_tidy, context)
    await context.artifacts.remove_unclaimed(context.settings.retention.leftover_hours * 3600)
    used = await context.store.read(_used_releases)
    await asyncio.to_thread(_old_wheels, context.home / "releases", used)


def _used_releases(session: Session) -> set[str | None]:
    return {*session.exec(select(Host.release)).all(), *production.releases(session)}


async def _remove_files(context: Context) -> None:
    """Remove every file whose row is marked as deleted, some at a time."""
    stored = [name async for name, _, _ in context.artifacts.stored()]
    for start in range(0, len(stored), _AT_ONCE):
        part = stored[start : start + _AT_ONCE]
        marked = await context.store.read(lambda s, part=part: _marked(s, part))
        if not marked:
            continue
        until = time.monotonic() + LOCK_SECONDS / 2
        reserved = await context.store.write(
            "removal.begin", lambda s, marked=marked: begin_removal(s, marked, LOCK_SECONDS)
        )
        for sha256 in reserved:
            if time.monotonic() < until:
                with side_effect("artifact.delete"):
                    await context.artifacts.delete(sha256)
        await context.store.write("removal.end", end_removal)


def _marked(session: Session, names: list[str]) -> list[str]:
    found = (session.get(Artifact, name) for name in names)
    return [row.sha256 for row in found if row is not None and row.deleted_at is not None]


def _tidy(context: Context) -> None:
    """Remove unfinished uploads, unused copies and old refused files."""
    settings = context.settings.retention
    leftover, refused = settings.leftover_hours * 3600, settings.quarantine_hours * 3600
    older = {"incoming": leftover, "cache": leftover, "quarantine": refused}
    context.artifacts.sweep(older, time.time())


def _old_wheels(releases: Path, used: set[str | None]) -> None:
    """Remove wheels that nothing needs, but for the newest; each is in a folder named by its hash."""
    found = [path for path in releases.glob("*") if _RELEASE.fullmatch(path.name) and path.is_dir()]
    for folder in sorted(found, key=lambda path: path.stat().st_mtime)[:-_WHEELS]:
        if folder.name not in used:
            with side_effect("wheel.delete"):
                shutil.rmtree(folder, ignore_errors=True)
