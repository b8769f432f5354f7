"""Rows of backups."""

from __future__ import annotations

from sqlalchemy import update
from sqlmodel import Session, col, select

from ringrift.control.domain.backups import Past
from ringrift.control.store.clock import now
from ringrift.control.store.events import CONTROLLER, record
from ringrift.control.store.ids import new_id
from ringrift.control.store.tables import Backup
from ringrift.errors import Conflict, NotFound


def begin_backup(session: Session, place: str, keys: bool, actor: str) -> Backup:
    """Order a backup; `Conflict` while another one of that place runs."""
    running = next((row for row in running_backups(session) if row.place == place), None)
    if running is not None:
        raise Conflict(f"backup {running.id} to {place} is under way", hint="wait for its end")
    row = Backup(id=new_id("backup"), place=place, state="running", keys=keys, made_at=now(session))
    session.add(row)
    record(session, actor, "backup.began", row.id, place=place, keys=keys)
    return row


def get_backup(session: Session, identity: str) -> Backup:
    """Return a backup; `NotFound` for an unknown id."""
    row = session.get(Backup, identity)
    if row is None:
        raise NotFound(f"no backup {identity!r}", hint="`ringrift-ctl backup list` shows them")
    return row


def running_backups(session: Session) -> list[Backup]:
    """Return what was ordered and is not finished."""
    return list(session.exec(select(Backup).where(Backup.state == "running")).all())


def newest_backups(session: Session, limit: int) -> list[Backup]:
    """Return backups, newest first."""
    return list(session.exec(select(Backup).order_by(col(Backup.made_at).desc()).limit(limit)).all())


def past(session: Session, place: str) -> list[Past]:
    """Return what was tried for a place lately."""
    time = now(session)
    rows = session.exec(
        select(Backup).where(Backup.place == place).order_by(col(Backup.made_at).desc()).limit(100)
    )
    return [Past(time - row.made_at, row.state) for row in rows]


def close_backup(
    session: Session, identity: str, *, size: int = 0, artifacts: int = 0, sha256: str = "", reason: str = ""
) -> None:
    """Close a running backup: `verified` with the hash of its manifest, else `failed`."""
    row = get_backup(session, identity)
    if row.state != "running":
        return
    row.state = "verified" if sha256 else "failed"
    row.size, row.artifacts, row.sha256, row.reason = size, artifacts, sha256, reason
    row.verified_at = now(session) if sha256 else None
    session.add(row)
    record(session, CONTROLLER, f"backup.{row.state}", row.id, size=size, sha256=sha256, reason=reason)


def abandon_running(session: Session, reason: str) -> None:
    """Close what ran when the database was copied: it runs nowhere here."""
    session.execute(
        update(Backup).where(col(Backup.state) == "running").values(state="failed", reason=reason)
    )
