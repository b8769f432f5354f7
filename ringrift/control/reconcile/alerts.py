"""Looks at every rule of the alerts, and tells the webhook what is new, in one message, until that worked."""

from __future__ import annotations

import asyncio
import logging
import shutil
from typing import Any

from sqlmodel import Session

from ringrift.control.domain.alert_memory import Memory
from ringrift.control.domain.alert_message import Line, document, slack_document
from ringrift.control.domain.alerts import Finding, findings
from ringrift.control.reconcile.context import Context
from ringrift.control.settings import AlertSettings
from ringrift.control.store import alertfacts, alerts
from ringrift.control.store.alerts import News
from ringrift.control.store.tables import Alert
from ringrift.control.webhook import send, webhook_url
from ringrift.errors import RingRiftError

FLIGHT = "webhook"
_FIRST, _LONGEST = 5.0, 600.0
"""Seconds between two tries of a message: the first pause, doubled up to the longest."""
_log = logging.getLogger("ringrift.alerts")


async def step(context: Context) -> bool:
    """Make a round when the last one is `every_seconds` old; return whether an alert opened or cleared."""
    settings = context.settings
    if not await context.store.read(lambda s: alerts.is_due(s, settings.alerts.every_seconds)):
        return False
    disk = await asyncio.to_thread(_disk_share, context)

    def load(session: Session) -> tuple[list[Finding], Memory]:
        facts, remembered = alertfacts.load(session, alerts.memory(session), settings, disk)
        return findings(facts, settings.alerts), remembered

    found, remembered = await context.store.read(load)
    changed = await context.store.write("alerts.round", lambda s: alerts.apply(s, found, remembered))
    cooldown = settings.alerts.cooldown_minutes * 60
    if (
        FLIGHT not in context.flights
        and (await context.store.read(lambda s: alerts.news(s, cooldown))).alerts
    ):
        context.flights.start(FLIGHT, deliver(context))
    return changed


def _disk_share(context: Context) -> float | None:
    try:
        used = shutil.disk_usage(context.home)
    except OSError:
        return None
    return 1.0 - used.free / used.total if used.total else None


async def deliver(context: Context, first: float = _FIRST) -> None:
    """Send what is new until nothing is, with pauses that grow while the webhook does not take it.

    What was sent is noted after it was taken: a controller that is killed in between sends it once more.
    """
    settings, pause = context.settings.alerts, first
    while True:
        told = await context.store.read(lambda s: alerts.news(s, settings.cooldown_minutes * 60))
        if not told.alerts:
            return
        try:
            url = await asyncio.to_thread(webhook_url, context.home)
            if url is None:
                return
            await send(url, _message(told, settings))
        except RingRiftError as problem:
            _log.warning("%d alerts could not be told: %s", len(told.alerts), problem.line())
            await _note(context, told, f"failed: {problem.line()}", sent=False)
            await asyncio.sleep(pause)
            pause = min(_LONGEST, pause * 2)
        else:
            await _note(context, told, "sent", sent=True)
            pause = first


async def _note(context: Context, told: News, outcome: str, *, sent: bool) -> None:
    if sent or any(alert.notified != outcome for alert in told.alerts):
        await context.store.write("alerts.told", lambda s: alerts.note_sent(s, told, outcome, sent))


def _message(told: News, settings: AlertSettings) -> dict[str, Any]:
    lines = [_line(alert, told.at) for alert in told.alerts]
    return slack_document(lines) if settings.slack else document(lines)


def _line(alert: Alert, time: float) -> Line:
    end = alert.cleared_at if alert.cleared_at is not None else time
    return Line(
        signature=alert.signature,
        kind=alert.kind,
        subject=alert.subject,
        severity=alert.severity,
        message=alert.message,
        count=alert.count,
        lasted=max(0.0, end - alert.first_at),
        cleared=alert.cleared_at is not None,
    )
