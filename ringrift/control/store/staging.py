"""Models that should wait on targets ahead of their deployment, and what was ordered about that last."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlmodel import Session, col, select

from ringrift.control.domain.rollouts import ACTIVE
from ringrift.control.domain.staging import Ordered, is_due
from ringrift.control.store.aliases import CHALLENGER, PREVIOUS
from ringrift.control.store.clock import now
from ringrift.control.store.events import CONTROLLER
from ringrift.control.store.learning import CHAMPION
from ringrift.control.store.operations import latest_operation, start_operation
from ringrift.control.store.production import software, wanted
from ringrift.control.store.tables import (
    Alias,
    Deployment,
    DeploymentTarget,
    Host,
    Model,
    Operation,
    Target,
)

KIND = "stage"


@dataclass(frozen=True)
class Staging:
    """One target, and the order that makes exactly these models wait there."""

    target: str
    host: str
    order: dict[str, Any]


def due_stagings(session: Session) -> list[Staging]:
    """Return the targets on which other models should wait than were ordered last, of those that answer."""
    query = select(Target, Host).join(Host, col(Host.name) == col(Target.host))
    query = query.where(col(Target.state).not_in(("new", "unreachable")), Host.state != "retired")
    busy, time = _being_deployed_to(session), now(session)
    found = []
    for target, host in session.exec(query.order_by(col(Target.name))).all():
        release, models = software(session, target.name), _models(session, target)
        order = {"port": target.port, "release": release, "engine": target.engine, "models": models}
        latest = _ordered(latest_operation(session, KIND, target.name))
        if target.name not in busy and is_due(order, latest, time):
            found.append(Staging(target.name, host.name, order))
    return found


def start_stagings(session: Session, plan: list[Staging]) -> None:
    """Begin the operations."""
    for staging in plan:
        start_operation(session, KIND, staging.target, staging.host, CONTROLLER, staging.order)


def _being_deployed_to(session: Session) -> set[str]:
    query = (
        select(DeploymentTarget.target)
        .join(Deployment, col(Deployment.id) == col(DeploymentTarget.deployment))
        .where(col(Deployment.state).in_(ACTIVE))
    )
    return set(session.exec(query).all())


def _models(session: Session, target: Target) -> list[dict[str, str]]:
    """Return what a target may soon be told to serve: challengers, what a rollback brings back, and champions
    that it was not told to serve yet."""
    query = (
        select(Alias.config, Alias.model)
        .join(Model, col(Model.sha256) == col(Alias.model))
        .where(col(Alias.name).in_((CHALLENGER, CHAMPION, PREVIOUS)), col(Model.golden).is_not(None))
    )
    told = {config: entry["sha256"] for config, entry in wanted(session, target.name).items()}
    rows = session.exec(query.order_by(col(Alias.config), col(Alias.name))).all()
    return [
        {"config": config, "sha256": model}
        for config, model in rows
        if told.get(config) != model and (config in target.configs or not target.configs)
    ]


def _ordered(operation: Operation | None) -> Ordered | None:
    if operation is None:
        return None
    code = (operation.error or {}).get("code", "")
    return Ordered(operation.order, operation.state, operation.ended_at, code)
