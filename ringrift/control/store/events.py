"""The audit log. `record` is called in the transaction of the change that it tells."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sqlmodel import Session, col, select

from ringrift.control.domain.chain import GENESIS, ChainCheck, Entry, digest, verify
from ringrift.control.store.clock import now
from ringrift.control.store.tables import Event, Setting

HEAD = "audit.head"
CONTROLLER = "controller"
"""Actor of changes that no person and no agent asked for."""


def record(session: Session, actor: str, action: str, subject: str, **detail: Any) -> None:
    """Append an audit row, chained to the row before. `detail` must be JSON."""
    head = session.get(Setting, HEAD) or Setting(key=HEAD, value={"id": 0, "digest": GENESIS})
    entry = Entry(head.value["id"] + 1, now(session), actor, action, subject, detail)
    link = digest(head.value["digest"], entry)
    session.add(Event(**vars(entry), digest=link))
    head.value = {"id": entry.id, "digest": link}
    session.add(head)


def verify_chain(session: Session) -> ChainCheck:
    """Walk the whole audit log and tell where it was tampered with, if anywhere."""
    head = session.get(Setting, HEAD)
    return verify(_rows(session), (head.value["id"], head.value["digest"]) if head else (0, GENESIS))


def _rows(session: Session) -> Iterator[tuple[Entry, str]]:
    rows = session.exec(select(Event).order_by(col(Event.id)).execution_options(yield_per=500))
    for row in rows:
        yield Entry(row.id, row.at, row.actor, row.action, row.subject, row.detail), row.digest


def recent(session: Session, after: int | None, limit: int) -> list[Event]:
    """Return audit rows with id above `after`, oldest first; `after` None means the newest `limit` rows."""
    if after is not None:
        return list(session.exec(select(Event).where(Event.id > after).order_by(col(Event.id)).limit(limit)))
    newest = session.exec(select(Event).order_by(col(Event.id).desc()).limit(limit)).all()
    return list(reversed(newest))
