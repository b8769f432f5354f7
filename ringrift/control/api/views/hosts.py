"""Hosts as operators see them."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import func
from sqlmodel import Session, col, select

from ringrift.control.domain.health import host_health
from ringrift.control.domain.why_fleet import HostFacts, why_host
from ringrift.control.settings import AgentSettings
from ringrift.control.store.clock import now
from ringrift.control.store.fleet import get_host
from ringrift.control.store.tables import Agent, Assignment, Host, HostStateRow, Job, Operation, Result
from ringrift.protocol.agent import Telemetry
from ringrift.protocol.operator import HostView, RunningView, WhyView

_HOUR = 3600.0


@dataclass(frozen=True)
class _Fleet:
    """What belongs to hosts, read in four queries whatever their number."""

    time: float
    agents: dict[str, Agent]
    running: dict[str, list[RunningView]]
    games: dict[str, float]
    operations: dict[str, str]


def host_views(session: Session, settings: AgentSettings) -> list[HostView]:
    """Return every host that is not retired, by name."""
    fleet = _gather(session)
    query = select(Host).where(Host.state != "retired").order_by(col(Host.name))
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
    return _Fleet(
        time=time,
        agents={agent.host: agent for agent in agents},
        running=running,
        games={agent: float(count) for agent, count in named},
        operations=dict(operations),
    )


def _view(host: Host, fleet: _Fleet, settings: AgentSettings) -> HostView:
    agent = fleet.agents.get(host.name)
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
        running=fleet.running.get(agent.id, []) if agent else [],
        games_per_hour=_rate(agent, fleet) if agent else None,
        spooled=agent.spooled if agent else None,
        idle_reason=agent.idle_reason if agent else "",
        operation=fleet.operations.get(host.name),
    )


def _rate(agent: Agent, fleet: _Fleet) -> float:
    """Return games an hour over the last hour, or over the agent's life if that is shorter."""
    window = max(60.0, min(_HOUR, fleet.time - agent.enrolled_at))
    return fleet.games.get(agent.id, 0.0) * _HOUR / window


def host_why(session: Session, name: str, settings: AgentSettings) -> WhyView:
    """Answer `why HOST`."""
    host, view = get_host(session, name), host_view(session, name, settings)
    query = select(HostStateRow).where(HostStateRow.host == name).order_by(col(HostStateRow.id).desc())
    time = now(session)
    history = [
        f"{time - row.at:.0f} s ago: {row.state}{f' ({row.reason})' if row.reason else ''}"
        for row in session.exec(query.limit(5)).all()
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
        facts=history,
    )
    return why_host(facts)
