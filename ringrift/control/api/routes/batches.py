"""Operations on many hosts: plans, batches and what unreachable hosts owe."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

from fastapi import APIRouter, Path, Query
from sqlmodel import Session

from ringrift.control.api.access import By
from ringrift.control.api.views.batches import batch_view, batch_views, debt_views, plan_view
from ringrift.control.reconcile import looks
from ringrift.control.reconcile.context import Context
from ringrift.control.store import batches
from ringrift.control.store.tables import Batch, Host
from ringrift.protocol.batches import BatchRequest, BatchView, Choice, DebtView, PlanView

Limit = Annotated[int, Query(ge=1, le=1000)]
Change = Callable[[Session, str, str], Batch]
_CHANGES: dict[str, Change] = {
    "resume": batches.resume_batch,
    "cancel": batches.cancel_batch,
    "retry": batches.retry_batch,
}


def add_routes(router: APIRouter, context: Context) -> None:
    """Add the routes of batches."""
    _reading(router, context)
    _changing(router, context)


def _reading(router: APIRouter, context: Context) -> None:

    @router.post("/plans")
    async def plan(wish: Choice) -> list[PlanView]:
        names = await context.store.read(lambda s: [host.name for host in _chosen(s, wish)])
        wanted = await context.store.read(lambda s: looks.wanted(s, names))
        found = {look.host: look async for each in looks.looks(context.fleet, wanted) for look in each}
        return [plan_view(found[name]) for name in names]

    @router.get("/batches")
    async def listed(limit: Limit = 20) -> list[BatchView]:
        return await context.store.read(lambda s: batch_views(s, limit))

    @router.get("/batches/{identity}")
    async def shown(identity: str) -> BatchView:
        return await context.store.read(lambda s: batch_view(s, identity))

    @router.get("/debts")
    async def owed() -> list[DebtView]:
        return await context.store.read(debt_views)


def _changing(router: APIRouter, context: Context) -> None:

    @router.post("/batches")
    async def start(wish: BatchRequest, by: By) -> BatchView:
        def work(session: Session) -> BatchView:
            order = batches.Order(wish.kind, wish.canary, wish.width, wish.budget, named=bool(wish.hosts))
            batch = batches.start_batch(session, _chosen(session, wish), order, by.actor(wish.actor))
            return batch_view(session, batch.id)

        return await change(work)

    @router.post("/batches/{identity}/{verb}")
    async def changed(
        identity: str, verb: Annotated[str, Path(pattern="^(resume|cancel|retry)$")], by: By
    ) -> BatchView:
        return await change(lambda s: batch_view(s, _CHANGES[verb](s, identity, by.actor()).id))

    async def change(work: Callable[[Session], BatchView]) -> BatchView:
        view = await context.store.write("batch.order", work)
        context.wake()
        return view


def _chosen(session: Session, wish: Choice) -> list[Host]:
    filters = {"kind": wish.kinds, "role": wish.roles, "provider": wish.providers}
    return batches.choose_hosts(session, wish.hosts, wish.everything, filters)
