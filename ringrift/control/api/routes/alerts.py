"""Alerts: what is wrong, what was, and who looks after it."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from ringrift.control.api.access import By
from ringrift.control.api.views.alerts import alert_view, alert_views
from ringrift.control.reconcile.context import Context
from ringrift.control.store import alerts
from ringrift.protocol.alerts import AlertAck, AlertView


def add_routes(router: APIRouter, context: Context) -> None:
    """Add the routes of alerts."""

    @router.get("/alerts")
    async def listed(cleared: Annotated[int, Query(ge=0, le=1000)] = 0) -> list[AlertView]:
        return await context.store.read(lambda s: alert_views(s, cleared))

    @router.get("/alerts/{signature:path}")
    async def one(signature: str) -> AlertView:
        return await context.store.read(lambda s: alert_view(s, alerts.get_alert(s, signature)))

    @router.post("/alerts/{signature:path}/ack")
    async def acknowledge(signature: str, wish: AlertAck, by: By) -> AlertView:
        return await context.store.write(
            "alert.ack", lambda s: alert_view(s, alerts.acknowledge(s, signature, by.actor(wish.actor)))
        )
