"""The audit log. `record` is called in the transaction of the change that it tells."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import bindparam, insert, update
from sqlmodel import Session, col, select

from ringrift.control.domain.chain import GENESIS, ChainCheck, Entry, digest, verify
from ringrift.control.store.clock import database_now, now
from ringrift.control.store.fixed import insert_rows
from ringrift.control.store.tables import Event, Setting

HEAD = "audit.head"
CONTROLLER = "controller"
"""Actor of changes that no person and no agent asked for."""

_settings, _events = Setting.__table__, Event.__table__
_HEAD = select(_settings.c.value, database_now()).where(_settings.c.key == HEAD)
_COLUMNS = ("id", "at", "actor", "action", "subject", "detail", "digest")
_document = json.JSONEncoder().encode
_BEGIN = insert(_settings).values(key=bindparam("head"), value=bindparam("new_value"))
_MOVE = update(_settings).where(_settings.c.key == bindparam("head")).values(value=bindparam("new_value"))


@dataclass(frozen=True)
class Told:
    """What an audit row tells: who did what to which subject. `detail` must be JSON."""

    actor: str
    action: str
    subject: str
    detail: dict[str, Any]


def record(session: Session, actor: str, action: str, subject: str, **detail: Any) -> None:
    """Append an audit row, chained to the row before. `detail` must be JSON."""
    record_all(session, [Told(actor, action, subject, detail)])


def record_all(session: Session, told: Sequence[Told]) -> None:
    """Append audit rows in this order, each chained to the one before, in three statements for all."""
    if not told:
        return
    connection = session.connection()
    row = connection.execute(_HEAD).first()
    last: dict[str, Any] = row[0] if row else {"id": 0, "digest": GENESIS}
    at = row[1] if row else now(session)
    link, rows = last["digest"], []
    for number, item in enumerate(told, last["id"] + 1):
        entry = Entry(number, at, item.actor, item.action, item.subject, item.detail)
        link = digest(link, entry)
        rows.append((number, at, item.actor, item.action, item.subject, _document(item.detail), link))
    insert_rows(session, _events, _COLUMNS, rows)
    head = {"head": HEAD, "new_value": {"id": last["id"] + len(told), "digest": link}}
    connection.execute(_MOVE if row else _BEGIN, head)


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
