"""Alerts as operators see them."""

from __future__ import annotations

from sqlmodel import Session

from ringrift.control.store import alerts
from ringrift.control.store.clock import now
from ringrift.control.store.tables import Alert
from ringrift.protocol.alerts import AlertCount, AlertView


def alert_views(session: Session, cleared: int) -> list[AlertView]:
    """Return the open alerts, the critical first, then the newest `cleared` that are over."""
    over = alerts.cleared_alerts(session, cleared) if cleared else []
    time = now(session)
    return [_view(row, time) for row in (*alerts.open_alerts(session), *over)]


def alert_view(session: Session, row: Alert) -> AlertView:
    """Return one alert."""
    return _view(row, now(session))


def alert_count(session: Session) -> AlertCount:
    """Return the open alerts in short; what was acknowledged is the last to be named."""
    rows = alerts.open_alerts(session)
    fresh = [row for row in rows if row.acknowledged_by is None]
    worst = next(iter(fresh or rows), None)
    return AlertCount(
        open=len(rows),
        critical=sum(row.severity == "critical" for row in rows),
        unacknowledged=len(fresh),
        worst=f"{worst.kind} {worst.message}" if worst else "",
    )


def _view(row: Alert, time: float) -> AlertView:
    held = "open" if row.acknowledged_by is None else "acknowledged"
    return AlertView(
        signature=row.signature,
        kind=row.kind,
        subject=row.subject,
        severity=row.severity,  # type: ignore[arg-type]
        message=row.message,
        state="cleared" if row.cleared_at is not None else held,  # type: ignore[arg-type]
        count=row.count,
        age=time - row.first_at,
        seen_age=time - row.last_at,
        cleared_age=None if row.cleared_at is None else time - row.cleared_at,
        notified=row.notified,
        notified_age=None if row.notified_at is None else time - row.notified_at,
        acknowledged_by=row.acknowledged_by,
        acknowledged_age=None if row.acknowledged_at is None else time - row.acknowledged_at,
    )
