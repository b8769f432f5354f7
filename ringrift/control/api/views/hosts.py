"""Hosts as operators see them."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

from sqlalchemy import func
from sqlmodel import Session, col, select

from ringrift.control.domain.health import age_text, host_health
from ringrift.control.domain.speed import Work, expected_games, medians
from ringrift.control.domain.why_fleet import HostFacts, why_host
from ringrift.control.settings import AgentSettings
from ringrift.control.store.clock import now, timestamp
from ringrift.control.store.debts import open_debts
from ringrift.control.store.fleet import get_host, history
from ringrift.control.store.hostkeys import trusted
from ringrift.control.store.tables import Agent, Assignment, Host, Job, Operation, Result, Throughput
from ringrift.protocol.agent import Telemetry
from ringrift.protocol.hosts import HostStateView
from ringrift.protocol.operator import HostView, RunningView, WhyView

_HOUR = 3600.0
_SHOWN = {
    *(
        "kind",
        "role",
        "provider",
        "arch",
        "gpu",
        "gpu_count",
        "vram_gb",
        "ram_gb",
        "cpus",
        "disk_gb",
        "slots",
    ),
    *("reachability", "jump", "spot", "hourly_cost", "labels", "key_how", "confirmed_by", "drift", "blocked"),
}
"""Columns that are shown as they are."""


@dataclass(frozen=True)
class _Fleet:
    """What belongs to hosts, read in five queries whatever their number."""

    time: float
    agents: dict[str, Agent]
    running: dict[str, list[RunningView]]
    games: dict[str, float]
    operations: dict[str, str]
    usual: dict[Work, float]
    """Games an hour of like machines."""
    owed: Counter[str]


@dataclass(frozen=True)
class HostFilter:
    """Which hosts to show; None means any, and retired ones only when they are asked for."""

    kind: str | None = None
    role: str | None = None
    state: str | None = None
    spot: bool | None = None


def host_views(session: Session, settings: AgentSettings, wanted: HostFilter | None = None) -> list[HostView]:
    """Return the wanted hosts by name."""
    fleet = _gather(session)
    query = select(Host).order_by(col(Host.name))
    given = {name: value for name, value in vars(wanted or HostFilter()).items() if value is not None}
    for name, value in given.items():
        query = query.where(getattr(Host, name) == value)
    if "state" not in given:
        query = query.where(Host.state != "retired")
    return [_view(host, fleet, settings) for host in session.exec(query).all()]


def host_view(session: Session, name: str, settings: AgentSettings) -> HostView:
    """Return one host; `NotFound` for an unknown name."""
    return _view(get_host(session, name), _gather(session), settings)


def _gather(session: Session) -> _Fleet:
    time = now(session)
    agents = session.exec(select(Agent).where(col(Agent.revoked_at).is_(None))).all()
    running: dict[str, list[RunningView]] = {}
    rows = session.exec(
        select(Assignment, Job)
        .join(Job, col(Job.id) == col(Assignment.job))
        .where(Assignment.state == "running")
    ).all()
    for assignment, job in rows:
        running.setdefault(assignment.agent, []).append(
            RunningView(
                job=job.id,
                kind=job.kind,
                config=job.config,
                done=assignment.done,
                total=assignment.amount,
                unit=assignment.unit,
                rate=assignment.rate,
            )
        )
    named = session.exec(
        select(Result.agent, func.sum(Result.games_named))
        .where(Result.received_at > time - _HOUR)
        .group_by(col(Result.agent))
    ).all()
    operations = session.exec(select(Operation.host, Operation.id).order_by(col(Operation.began_at))).all()
    measured = session.exec(
        select(Host.kind, Host.gpu, Throughput.config, Throughput.per_hour)
        .join(Host, col(Host.name) == col(Throughput.host))
        .where(Throughput.kind == "selfplay")
    ).all()
    return _Fleet(
        time=time,
        agents={agent.host: agent for agent in agents},
        running=running,
        games={agent: float(count) for agent, count in named},
        operations=dict(operations),
        usual=medians(((kind, gpu, config), rate) for kind, gpu, config, rate in measured),
        owed=Counter(debt.host for debt in open_debts(session)),
    )


def _view(host: Host, fleet: _Fleet, settings: AgentSettings) -> HostView:
    agent = fleet.agents.get(host.name)
    running = fleet.running.get(agent.id, []) if agent else []
    playing = [job.config for job in running if job.kind == "selfplay"]
    age = fleet.time - agent.beat_at if agent and agent.beat_at is not None else None
    return HostView(
        name=host.name,
        state=host.state,
        reason=host.reason,
        login=f"{host.user}@{host.address}:{host.port}",
        fingerprint=host.fingerprint,
        root=host.root,
        python=host.python,
        tunnel=host.tunnel,
        heartbeat_age=age,
        health=host_health(age, settings.stale_seconds, settings.down_seconds),
        release=(agent.release or None) if agent else None,
        telemetry=Telemetry.model_validate(agent.telemetry) if agent and agent.telemetry else None,
        running=running,
        expected_per_hour=expected_games((host.kind, host.gpu), playing, fleet.usual),
        games_per_hour=_rate(agent, fleet) if agent else None,
        spooled=agent.spooled if agent else None,
        idle_reason=(agent.refusal or agent.idle_reason) if agent else "",
        operation=fleet.operations.get(host.name),
        owed=fleet.owed[host.name],
        **_declared(host, fleet.time),
    )


def _declared(host: Host, time: float) -> dict[str, Any]:
    """Return what a host's row tells about the machine, its key, its price and its drift."""
    return host.model_dump(include=_SHOWN) | {
        "pinned": trusted(host),
        "region": host.declared.get("region") or "",
        "note": host.declared.get("note") or "",
        "key_age": None if host.key_at is None else time - host.key_at,
        "quarantined_for": None if host.quarantined_until is None else host.quarantined_until - time,
        "drift_age": None if host.drift_at is None else time - host.drift_at,
    }


def hourly_cost(views: list[HostView]) -> float:
    """Return what the hosts that are up cost an hour, in US dollars."""
    return sum(view.hourly_cost or 0.0 for view in views if view.health in ("up", "stale"))


def history_views(session: Session, name: str, limit: int) -> list[HostStateView]:
    """Return the changes of a host's state, newest first."""
    time = now(session)
    return [
        HostStateView(state=row.state, reason=row.reason, at=timestamp(row.at), age=time - row.at)
        for row in history(session, name, limit)
    ]


def _rate(agent: Agent, fleet: _Fleet) -> float:
    """Return games an hour over the last hour, or over the agent's life if that is shorter."""
    window = max(60.0, min(_HOUR, fleet.time - agent.enrolled_at))
    return fleet.games.get(agent.id, 0.0) * _HOUR / window


def host_why(session: Session, name: str, settings: AgentSettings) -> WhyView:
    """Answer `why HOST`."""
    host, view = get_host(session, name), host_view(session, name, settings)
    changes = [
        f"{age_text(row.age)} ago: {row.state}{f' ({row.reason})' if row.reason else ''}"
        for row in history_views(session, name, 5)
    ]
    facts = HostFacts(
        name=name,
        state=view.state,
        reason=view.reason,
        tunnel=view.tunnel,
        tunnel_reason=host.tunnel_reason,
        health=view.health,
        beat_age=view.heartbeat_age,
        down_seconds=settings.down_seconds,
        running=len(view.running),
        slots=host.slots,
        idle_reason=view.idle_reason,
        blocked=host.blocked,
        provisioned=host.release is not None,
        pinned=trusted(host),
        facts=[*_owed(session, name), *(f"drift: {line}" for line in host.drift), *changes],
    )
    return why_host(facts)


def _owed(session: Session, name: str) -> list[str]:
    return [f"owes: {debt.kind} of {debt.batch} ({debt.reason})" for debt in open_debts(session, name)]
