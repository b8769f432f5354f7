"""The inventory in the store: importing entries, exporting rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlmodel import Session, col, select

from ringrift.control.domain.inventory import PlannedRow, plan_import
from ringrift.control.domain.inventory_file import inventory_document
from ringrift.control.store.clock import now
from ringrift.control.store.events import record
from ringrift.control.store.hostkeys import OPERATOR, pin
from ringrift.control.store.tables import Host, HostStateRow

if TYPE_CHECKING:
    from ringrift.control.domain.inventory_text import InventoryFile


def planned_import(session: Session, file: InventoryFile) -> tuple[PlannedRow, ...]:
    """Return what importing a file would do now."""
    known = {host.name: host.model_dump() for host in session.exec(select(Host)).all()}
    return plan_import(file, known)


def import_hosts(
    session: Session, file: InventoryFile, *, partial: bool, actor: str
) -> tuple[tuple[PlannedRow, ...], bool]:
    """Write what a file says and return its rows and whether that was done.

    Nothing is written while an entry is wrong, unless `partial`: then the others are written.
    """
    rows = planned_import(session, file)
    wrong = sum(row.outcome == "refused" for row in rows)
    if wrong and not partial:
        return rows, False
    for row in rows:
        if row.outcome in ("added", "changed"):
            _write(session, row, actor)
    counts = {what: sum(row.outcome == what for row in rows) for what in ("added", "changed", "refused")}
    if counts["added"] or counts["changed"]:
        record(session, actor, "host.imported", "inventory", **counts)
    return rows, True


def _write(session: Session, row: PlannedRow, actor: str) -> None:
    time = now(session)
    host = session.get(Host, row.name)
    if host is None:
        host = Host(
            name=row.name,
            **row.columns,
            host_key="",
            confirmed_by="",
            state=row.state,
            reason=row.reason,
            added_at=time,
            changed_at=time,
        )
        session.add(host)
        session.flush()
        session.add(HostStateRow(host=row.name, state=row.state, reason=row.reason, at=time))
    else:
        host.sqlmodel_update(dict(row.columns))
        session.add(host)
    record(session, actor, f"host.{row.outcome}", row.name, state=row.state, changes=list(row.changes))
    if row.host_key is not None:
        pin(session, host, row.host_key, OPERATOR, actor)


def export_hosts(session: Session, *, with_addresses: bool) -> dict[str, Any]:
    """Return every host as a document of the inventory's form."""
    hosts = session.exec(select(Host).order_by(col(Host.name))).all()
    return inventory_document({host.name: host.model_dump() for host in hosts}, with_addresses=with_addresses)
