"""The inventory: import with a report, export."""

from __future__ import annotations

import asyncio

from fastapi import APIRouter

from ringrift.control.api.access import By
from ringrift.control.domain.inventory import PlannedRow
from ringrift.control.reconcile.context import Context
from ringrift.control.store.inventory import export_hosts, import_hosts, planned_import
from ringrift.protocol.hosts import ExportView, ImportRequest, ImportRow, ImportView


def add_routes(router: APIRouter, context: Context) -> None:
    """Add the routes of the inventory."""

    @router.post("/inventory")
    async def import_(wish: ImportRequest, by: By) -> ImportView:
        from ringrift.control.domain.inventory_text import read_inventory  # late: it imports a YAML reader

        file = await asyncio.to_thread(read_inventory, wish.text)
        if wish.dry_run:
            rows, done = await context.store.read(lambda s: planned_import(s, file)), False
        else:
            rows, done = await context.store.write(
                "host.import", lambda s: import_hosts(s, file, partial=wish.partial, actor=by.actor())
            )
        return ImportView(done=done, rows=[_row(row) for row in rows])

    @router.get("/inventory")
    async def export(with_addresses: bool = False) -> ExportView:
        from ringrift.control.domain.inventory_text import write_inventory

        document = await context.store.read(lambda s: export_hosts(s, with_addresses=with_addresses))
        return ExportView(text=await asyncio.to_thread(write_inventory, document))


def _row(row: PlannedRow) -> ImportRow:
    return ImportRow(
        name=row.name,
        outcome=row.outcome,
        state=row.state,
        reason=row.reason,
        changes=list(row.changes),
        warnings=list(row.warnings),
        errors=list(row.errors),
    )
