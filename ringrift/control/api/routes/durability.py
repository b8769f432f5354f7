"""Backups and retention."""

from __future__ import annotations

import os
from collections import Counter
from typing import Annotated

from fastapi import APIRouter, Query
from sqlmodel import Session

from ringrift.control.api.access import By
from ringrift.control.objects import open_objects
from ringrift.control.reconcile.backups import BACKUP_TO
from ringrift.control.reconcile.context import Context
from ringrift.control.settings import Settings
from ringrift.control.store import backups, retention
from ringrift.control.store.clock import now
from ringrift.control.store.tables import Backup
from ringrift.errors import BadInput
from ringrift.protocol.durability import BackupRequest, BackupView, RetentionItem, RetentionView

_ITEMS = 1000
_REASONS = 50
Limit = Annotated[int, Query(ge=1, le=1000)]


def add_routes(router: APIRouter, context: Context) -> None:
    """Add the routes of backups and retention."""

    @router.get("/backups")
    async def listed(limit: Limit = 50) -> list[BackupView]:
        return await context.store.read(lambda s: [_view(s, row) for row in backups.newest_backups(s, limit)])

    @router.get("/backups/{identity}")
    async def one(identity: str) -> BackupView:
        return await context.store.read(lambda s: _view(s, backups.get_backup(s, identity)))

    @router.post("/backups")
    async def begin(wish: BackupRequest, by: By) -> BackupView:
        place = wish.place or os.environ.get(BACKUP_TO, "")
        if not place:
            raise BadInput("no place for the backup is named", hint=f"use --to PLACE, or set {BACKUP_TO}")
        open_objects(place)
        view = await context.store.write(
            "backup.order",
            lambda s: _view(s, backups.begin_backup(s, place, wish.keys, by.actor())),
        )
        context.wake()
        return view

    _retention(router, context)


def _retention(router: APIRouter, context: Context) -> None:
    @router.get("/retention")
    async def plan() -> RetentionView:
        return await context.store.read(lambda s: _plan(s, context.settings))

    @router.post("/retention")
    async def order(by: By) -> RetentionView:
        def work(session: Session) -> RetentionView:
            retention.order_pass(session, by.actor())
            return _plan(session, context.settings)

        view = await context.store.write("retention.order", work)
        context.wake()
        return view


def _plan(session: Session, settings: Settings) -> RetentionView:
    items = retention.judgements(session, settings)
    goes = sorted((item for item in items if not item.keep), key=lambda item: -item.artifact.size)
    stays = [item for item in items if item.keep]
    return RetentionView(
        kept=len(stays),
        kept_size=sum(item.artifact.size for item in stays),
        deleted=len(goes),
        deleted_size=sum(item.artifact.size for item in goes),
        reasons=dict(Counter(item.why for item in stays).most_common(_REASONS)),
        items=[RetentionItem(**vars(item.artifact), why=item.why) for item in goes[:_ITEMS]],
    )


def _view(session: Session, row: Backup) -> BackupView:
    return BackupView(
        id=row.id,
        place=row.place.partition("?")[0],
        state=row.state,  # type: ignore[arg-type]
        keys=row.keys,
        size=row.size,
        artifacts=row.artifacts,
        sha256=row.sha256,
        reason=row.reason,
        age=max(0.0, now(session) - row.made_at),
    )
