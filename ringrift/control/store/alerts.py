"""Alerts: rows by signature that open, clear and are acknowledged, and what still has to be told."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlmodel import Session, col, select

from ringrift.control.domain.alert_memory import Memory
from ringrift.control.domain.alerts import Finding
from ringrift.control.store.clock import now
from ringrift.control.store.events import CONTROLLER, record
from ringrift.control.store.tables import Alert, Setting
from ringrift.errors import NotFound, Refused

MEMORY = "alerts.memory"
_SEVERITY = {"critical": 0, "warning": 1}


@dataclass(frozen=True)
class News:
    """What the next notification tells, as it stood at `at`."""

    at: float
    alerts: tuple[Alert, ...]


def memory(session: Session) -> Memory:
    """Return what the last round remembered."""
    row = session.get(Setting, MEMORY)
    return Memory(**row.value) if row else Memory()


def is_due(session: Session, every: float) -> bool:
    """Tell whether the last round is `every` seconds old."""
    return abs(now(session) - memory(session).at) >= every


def apply(session: Session, findings: Sequence[Finding], remembered: Memory) -> bool:
    """Open what is new, clear what is gone, renew the rest; return whether anything opened or cleared."""
    row = session.get(Setting, MEMORY) or Setting(key=MEMORY, value={})
    row.value = remembered.document()
    session.add(row)
    time, changed = now(session), False
    found = {finding.signature: finding for finding in findings}
    known = {alert.signature: alert for alert in open_alerts(session)}
    for signature, finding in found.items():
        alert = known.get(signature)
        if alert is None:
            _open(session, finding, time)
            changed = True
        else:
            _renew(session, alert, finding, time)
    for signature in known.keys() - found.keys():
        alert = known[signature]
        alert.cleared_at = time
        session.add(alert)
        record(session, CONTROLLER, "alert.cleared", signature, lasted=round(time - alert.first_at, 1))
        changed = True
    return changed


def _open(session: Session, finding: Finding, time: float) -> None:
    alert = session.get(Alert, finding.signature)
    if alert is None:
        alert = Alert(
            signature=finding.signature,
            kind=finding.kind,
            subject=finding.subject,
            severity=finding.severity,
            message=finding.message,
            count=0,
            first_at=time,
            last_at=time,
        )
    alert.severity, alert.message, alert.count = finding.severity, finding.message, alert.count + 1
    alert.first_at = alert.last_at = time
    alert.cleared_at = alert.acknowledged_at = alert.acknowledged_by = None
    session.add(alert)
    record(
        session,
        CONTROLLER,
        "alert.opened",
        finding.signature,
        severity=finding.severity,
        value=finding.value,
        limit=finding.limit,
        reason=finding.reason,
    )


def _renew(session: Session, alert: Alert, finding: Finding, time: float) -> None:
    worse = alert.severity == "warning" and finding.severity == "critical"
    if worse:
        # It is told again, whatever was told before.
        alert.notified_at = alert.acknowledged_at = alert.acknowledged_by = None
        record(session, CONTROLLER, "alert.worse", alert.signature, value=finding.value, limit=finding.limit)
    alert.severity, alert.message, alert.last_at = finding.severity, finding.message, time
    session.add(alert)


def open_alerts(session: Session) -> list[Alert]:
    """Return the alerts that are open, the critical first, then the newest."""
    rows = session.exec(select(Alert).where(col(Alert.cleared_at).is_(None))).all()
    return sorted(
        rows, key=lambda alert: (_SEVERITY.get(alert.severity, 1), -alert.first_at, alert.signature)
    )


def cleared_alerts(session: Session, limit: int) -> list[Alert]:
    """Return alerts that are over, the last one first."""
    query = select(Alert).where(col(Alert.cleared_at).is_not(None))
    return list(session.exec(query.order_by(col(Alert.cleared_at).desc()).limit(limit)).all())


def get_alert(session: Session, signature: str) -> Alert:
    """Return an alert by its signature, or by an unambiguous beginning of it; else `NotFound`."""
    exact = session.get(Alert, signature)
    if exact is not None:
        return exact
    query = select(Alert).where(col(Alert.signature).startswith(signature, autoescape=True))
    found = session.exec(query.limit(2)).all()
    if len(found) != 1:
        raise NotFound(f"no single alert {signature!r}", hint="`ringrift-ctl alerts list` shows them")
    return found[0]


def acknowledge(session: Session, signature: str, actor: str) -> Alert:
    """Note that somebody looks after an open alert; `Refused` when it is over."""
    alert = get_alert(session, signature)
    if alert.cleared_at is not None:
        raise Refused(f"{alert.signature} is over: there is nothing to acknowledge")
    if alert.acknowledged_by is None:
        alert.acknowledged_by, alert.acknowledged_at = actor, now(session)
        session.add(alert)
        record(session, actor, "alert.acknowledged", alert.signature)
    return alert


def news(session: Session, cooldown: float) -> News:
    """Return what has to be told now: what opened and, of what was told, what is over.

    What opened again within `cooldown` seconds of the last message about it waits for the end of that.
    """
    time = now(session)
    told, first, cleared = col(Alert.notified_at), col(Alert.first_at), col(Alert.cleared_at)
    opened = cleared.is_(None) & (told.is_(None) | ((told < first) & (told <= time - cooldown)))
    over = cleared.is_not(None) & (told >= first) & (told < cleared)
    rows = session.exec(select(Alert).where(opened | over)).all()
    return News(time, tuple(sorted(rows, key=_order)))


def _order(alert: Alert) -> tuple[bool, int, str]:
    return alert.cleared_at is not None, _SEVERITY.get(alert.severity, 1), alert.signature


def note_sent(session: Session, told: News, outcome: str, sent: bool) -> None:
    """Note how a notification went; what was told counts as told at the time of `news`."""
    for each in told.alerts:
        alert = session.get(Alert, each.signature)
        if alert is None:
            continue
        alert.notified = outcome
        if sent:
            alert.notified_at = told.at
        session.add(alert)
