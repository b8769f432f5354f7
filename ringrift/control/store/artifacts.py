"""Rows of artifacts: stored, set aside, removed by retention, and stored again."""

from __future__ import annotations

from sqlmodel import Session

from ringrift.control.store.clock import now
from ringrift.control.store.events import CONTROLLER, record
from ringrift.control.store.tables import Artifact, Setting
from ringrift.errors import NotFound, Unreachable

REMOVAL = "retention.removal"
"""Which artifacts' files are being removed, and until when: `{"until": seconds, "artifacts": [sha256]}`."""


def note_artifact(session: Session, sha256: str, size: int, agent: str) -> None:
    """Write that an artifact is stored; once. One that retention had removed is there again.

    Raises `Unreachable`, which agents try again, while its file is being removed.
    """
    row = session.get(Artifact, sha256)
    if row is None:
        session.add(Artifact(sha256=sha256, size=size, stored_at=now(session), agent=agent))
        record(session, agent, "artifact.stored", sha256, size=size)
    elif row.deleted_at is not None:
        if sha256 in _being_removed(session):
            raise Unreachable(f"artifact {sha256[:12]} is being removed", hint="send it again in a minute")
        row.deleted_at, row.stored_at = None, now(session)
        session.add(row)
        record(session, agent, "artifact.revived", sha256, size=size)


def note_quarantine(session: Session, sha256: str, agent: str, reason: str) -> None:
    """Write that an upload was set aside, and why."""
    record(session, agent, "artifact.quarantined", sha256, reason=reason)


def require_artifact(session: Session, sha256: str) -> Artifact:
    """Return the row of a stored artifact; `NotFound` tells whether it was removed or never stored."""
    row = session.get(Artifact, sha256)
    if row is None:
        raise NotFound(f"artifact {sha256[:12]} is not stored", hint="upload it first")
    if row.deleted_at is not None:
        raise NotFound(
            f"artifact {sha256[:12]} was removed by retention: nothing referenced it",
            hint="upload it again if it is still needed",
        )
    return row


def stored_size(session: Session, sha256: str) -> int | None:
    """Return the size of a stored artifact in bytes; None when it is not stored."""
    row = session.get(Artifact, sha256)
    return row.size if row is not None and row.deleted_at is None else None


def begin_removal(session: Session, wanted: list[str], seconds: float) -> list[str]:
    """Reserve the removal of files for a while; return those that are still marked as deleted."""
    marked = [sha for sha in wanted if (row := session.get(Artifact, sha)) and row.deleted_at is not None]
    setting = session.get(Setting, REMOVAL) or Setting(key=REMOVAL, value={})
    setting.value = {"until": now(session) + seconds, "artifacts": marked}
    session.add(setting)
    return marked


def end_removal(session: Session) -> None:
    """Give the reservation up."""
    setting = session.get(Setting, REMOVAL)
    if setting is not None:
        session.delete(setting)


def mark_deleted(session: Session, sha256: str, why: str) -> None:
    """Write that nothing references an artifact any more; its file is removed afterwards."""
    row = session.get(Artifact, sha256)
    if row is not None and row.deleted_at is None:
        row.deleted_at = now(session)
        session.add(row)
        record(session, CONTROLLER, "artifact.deleted", sha256, size=row.size, why=why)


def _being_removed(session: Session) -> list[str]:
    setting = session.get(Setting, REMOVAL)
    if setting is None or setting.value["until"] < now(session):
        return []
    return list(setting.value["artifacts"])
