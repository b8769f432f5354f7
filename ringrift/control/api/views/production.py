"""Targets and deployments as operators see them."""

from __future__ import annotations

from sqlmodel import Session, col, select

from ringrift.control.api.views.work import operation_view
from ringrift.control.domain.why_fleet import TargetFacts, why_target
from ringrift.control.store import production
from ringrift.control.store.clock import now
from ringrift.control.store.production import Action, DeploymentPlan
from ringrift.control.store.tables import Deployment, Operation, Target
from ringrift.errors import NotFound
from ringrift.protocol.operator import (
    DeployAction,
    DeploymentView,
    OperationView,
    ServingView,
    TargetView,
    WhyView,
)

_REVERSIBLE = "yes: roll the champion back and deploy again; the former files stay on the target"


def target_view(session: Session, target: Target) -> TargetView:
    """Return a target with what it should serve and what it said."""
    wanted = {config: entry["sha256"] for config, entry in production.wanted(session, target.name).items()}
    serving = production.serving_now(session, target.name)
    configs = sorted(wanted.keys() | serving.keys() | set(target.configs))
    return TargetView(
        name=target.name,
        host=target.host,
        port=target.port,
        state=target.state,
        generation=target.generation,
        models=[
            ServingView(config=config, desired=wanted.get(config), serving=serving.get(config))
            for config in configs
        ],
        issues=target.issues,
        checked_age=now(session) - target.checked_at if target.checked_at is not None else None,
    )


def target_views(session: Session) -> list[TargetView]:
    """Return all targets by name."""
    return [target_view(session, target) for target in production.targets(session)]


def target_why(session: Session, name: str) -> WhyView:
    """Answer `why TARGET`."""
    target = production.get_target(session, name)
    newest = session.exec(
        select(Operation)
        .where(Operation.kind == "deploy", Operation.subject == name)
        .order_by(col(Operation.began_at).desc())
    ).first()
    facts = [f"its newest deployment {newest.id} is {newest.state}"] if newest else []
    if newest and newest.error:
        facts.append(newest.error["message"])
    return why_target(
        TargetFacts(
            name=name,
            state=target.state,
            checked_age=now(session) - target.checked_at if target.checked_at is not None else None,
            wanted={config: entry["sha256"] for config, entry in production.wanted(session, name).items()},
            serving=production.serving_now(session, name),
            issues=target.issues,
            facts=facts,
        )
    )


def planned_view(plan: DeploymentPlan, command: str) -> DeploymentView:
    """Return a deployment that was only planned."""
    return DeploymentView(
        id=None,
        generation=plan.generation,
        actions=[_action(action) for action in plan.actions],
        operations=[],
        state="planned",
        reversible=_REVERSIBLE,
        command=command,
    )


def deployment_view(session: Session, deployment_id: str, command: str = "") -> DeploymentView:
    """Return a deployment with its operations; `NotFound` for an unknown id."""
    deployment = session.get(Deployment, deployment_id)
    if deployment is None:
        raise NotFound(f"no deployment {deployment_id!r}")
    operations = [operation_view(session, item) for item in production.operations_of(session, deployment.id)]
    return DeploymentView(
        id=deployment.id,
        generation=deployment.generation,
        actions=[_action(Action(**action)) for action in deployment.actions],
        operations=operations,
        state=_state(operations),
        reversible=_REVERSIBLE,
        command=command or "ringrift-ctl deploy-inference",
    )


def _action(action: Action) -> DeployAction:
    return DeployAction(
        target=action.target,
        config=action.config,
        model=action.model,
        serving=action.serving,
        change=action.serving != action.model,
    )


def _state(operations: list[OperationView]) -> str:
    states = {operation.state for operation in operations}
    if "running" in states:
        return "running"
    return "failed" if "failed" in states else "succeeded"
