"""Explicit shares with their audit rows, and the ledger of what was used of late."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlmodel import Session, select

from ringrift.control.domain.leases import Rules
from ringrift.control.domain.shares import check_share, checked_scope, faded, kind_shares
from ringrift.control.settings import Settings
from ringrift.control.store.clock import now
from ringrift.control.store.events import record
from ringrift.control.store.tables import Job, Setting, Share
from ringrift.errors import NotFound

LEDGER = "scheduling.ledger"
DRAIN_SECONDS = 600.0
"""Time constant of the measured drain rate."""


def explicit_shares(session: Session, group: str) -> dict[str, float]:
    """Return the shares that operators set in a group (`kind` or `config`), by name."""
    rows = session.exec(select(Share)).all()
    return {row.scope.partition(":")[2]: row.share for row in rows if row.scope.startswith(f"{group}:")}


def rules(session: Session, settings: Settings) -> Rules:
    """Return the numbers that leases are decided by now."""
    return Rules(
        patience=settings.agents.patience_seconds,
        placement=settings.agents.placement_seconds,
        faster=settings.agents.faster,
        kinds=kind_shares(explicit_shares(session, "kind"), settings.selfplay.reserve),
        configs=explicit_shares(session, "config"),
    )


def set_share(session: Session, scope: str, share: float, actor: str, reserve: float) -> bool:
    """Set a share; return whether that changed anything. Raises `BadInput` or `Refused` with the numbers."""
    group, name = checked_scope(scope)
    check_share(scope, share, explicit_shares(session, group), reserve)
    scope = f"{group}:{name}"
    row = session.get(Share, scope)
    before = row.share if row else None
    if before == share:
        return False
    time = now(session)
    row = row or Share(scope=scope, share=share, actor=actor, changed_at=time)
    row.share, row.actor, row.changed_at = share, actor, time
    session.add(row)
    record(session, actor, "share.set", scope, before=before, share=share)
    return True


def reset_share(session: Session, scope: str, actor: str) -> None:
    """Remove an explicit share, so that the scope has its default again; `NotFound` when there is none."""
    scope = ":".join(checked_scope(scope))
    row = session.get(Share, scope)
    if row is None:
        raise NotFound(f"{scope} has no share of its own", hint="ringrift-ctl shares show")
    session.delete(row)
    record(session, actor, "share.reset", scope, before=row.share)


def recent_use(session: Session) -> dict[tuple[str, str], float]:
    """Return slot-hours of finished tries by (kind, config), the older the less."""
    return {_pair(key): value for key, value in _ledger(session)["used"].items()}


def unserved(session: Session) -> dict[tuple[str, str], float]:
    """Return the seconds since a job of each (kind, config) was handed out."""
    ledger = _ledger(session)
    return {_pair(key): ledger["at"] - time for key, time in ledger["served"].items()}


def _pair(key: str) -> tuple[str, str]:
    kind, _, config = key.partition(" ")
    return kind, config


def drain_rates(session: Session) -> dict[str, float]:
    """Return how many self-play jobs of each config were handed out a minute, of late."""
    return {config: value * 60.0 / DRAIN_SECONDS for config, value in _ledger(session)["drained"].items()}


def charge(session: Session, job: Job, seconds: float) -> None:
    """Note that a try of a job held a slot for `seconds`."""
    ledger, key = _ledger(session), f"{job.kind} {job.config}"
    ledger["used"][key] = ledger["used"].get(key, 0.0) + max(seconds, 0.0) / 3600.0
    _keep(session, ledger)


def note_lease(session: Session, job: Job) -> None:
    """Note that a job was handed out."""
    ledger = _ledger(session)
    ledger["served"][f"{job.kind} {job.config}"] = ledger["at"]
    if job.kind == "selfplay":
        ledger["drained"][job.config] = ledger["drained"].get(job.config, 0.0) + 1.0
    _keep(session, ledger)


def _ledger(session: Session) -> dict[str, Any]:
    row = session.get(Setting, LEDGER)
    return _faded(row.value if row else {}, now(session))


def _faded(value: Mapping[str, Any], time: float) -> dict[str, Any]:
    age = time - value.get("at", time)
    return {
        "at": time,
        "served": dict(value.get("served", {})),
        "used": {key: faded(amount, age) for key, amount in value.get("used", {}).items()},
        "drained": {
            key: faded(amount, age, DRAIN_SECONDS) for key, amount in value.get("drained", {}).items()
        },
    }


def _keep(session: Session, ledger: dict[str, Any]) -> None:
    row = session.get(Setting, LEDGER) or Setting(key=LEDGER, value=ledger)
    row.value = ledger
    session.add(row)
    session.flush()
