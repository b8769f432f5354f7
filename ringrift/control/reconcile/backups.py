"""Begins backups when they are due, and takes every ordered one to its end, also after a restart."""

from __future__ import annotations

import os

from sqlmodel import Session

from ringrift.control.backup import make
from ringrift.control.domain.backups import is_due
from ringrift.control.objects import open_objects
from ringrift.control.reconcile.base import converge
from ringrift.control.reconcile.context import Context
from ringrift.control.store import backups
from ringrift.control.store.events import CONTROLLER

BACKUP_TO = "RINGRIFT_BACKUP_TO"
"""Where scheduled backups go: a folder or `s3://bucket/prefix`."""


async def step(context: Context) -> bool:
    """Order what is due, and start what is ordered."""
    place = os.environ.get(BACKUP_TO)
    ordered = bool(place) and await _order(context, place or "")
    for row in await context.store.read(backups.running_backups):
        if f"backup:{row.id}" not in context.flights:
            context.flights.start(f"backup:{row.id}", make.carry_out(context, row.id))
    return ordered


async def _order(context: Context, place: str) -> bool:
    open_objects(place)
    settings = context.settings.backup

    def decide(session: Session) -> list[str]:
        past = backups.past(session, place)
        return [place] if is_due(past, settings.every_hours * 3600, settings.again_minutes * 60) else []

    def apply(session: Session, plan: list[str]) -> None:
        for each in plan:
            backups.begin_backup(session, each, False, CONTROLLER)

    return await converge("backup.order", context.store, decide, apply)
