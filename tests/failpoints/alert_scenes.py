"""Alerts: opened, told to a webhook, acknowledged."""

from __future__ import annotations

from typing import Any
from unittest import mock

from ringrift.control import webhook
from ringrift.control.reconcile import alerts as reconciler
from tests.failpoints.hosts_scenes import add
from tests.failpoints.killing import Scene
from tests.failpoints.stage import Stage

told = Scene("alerts are told", settings={"alerts": {"every_seconds": 0.1}})


@told.given
async def a_host_is_in_quarantine_and_there_is_a_webhook(stage: Stage) -> None:
    (stage.home / webhook.FILE).write_text("http://127.0.0.1:9/hook\n")
    (stage.home / webhook.FILE).chmod(0o600)
    await add(stage, "alpha")


@told.act
async def an_alert_is_told(stage: Stage) -> None:
    async def take(url: str, message: dict[str, Any], seconds: float) -> int:
        return 200

    async def done() -> bool:
        await stage.flights(reconciler.FLIGHT)
        return bool(stage.query("SELECT 1 FROM alert WHERE notified = 'sent'"))

    with (
        mock.patch.object(webhook, "_post", take),
        mock.patch.object(reconciler, "_disk_share", lambda _: 0.99),
    ):
        await stage.until(done, "alerts")


@told.act
async def it_is_acknowledged(stage: Stage) -> None:
    ((signature,),) = stage.query("SELECT signature FROM alert WHERE cleared_at IS NULL LIMIT 1")
    await stage.world.http.post(f"/v1/alerts/{signature}/ack", json={"actor": "ann"})


SCENES = [told]
