"""Targets and deployments as operators see them."""

from __future__ import annotations

from sqlmodel import Session

from ringrift.control.api.views.work import operation_view
from ringrift.control.domain.rollouts import waves
from ringrift.control.domain.why_fleet import TargetFacts, why_target
from ringrift.control.store import production, rollouts
from ringrift.control.store.clock import now
from ringrift.control.store.operations import latest_operation
from ringrift.control.store.rollouts import Action, DeploymentPlan
from ringrift.control.store.tables import DeploymentTarget, Target
from ringrift.protocol.operator import (
    DeployAction,
    DeploymentView,
    RolloutTarget,
    ServingView,
    TargetView,
    WhyView,
)

_REVERSIBLE = "yes: ringrift-ctl rollback CONFIG brings back champion and serving in one"


def target_view(session: Session, target: Target) -> TargetView:
    """Return a target with what it should serve and what it said."""
    wanted = {config: entry["sha256"] for config, entry in production.wanted(session, target.name).items()}
    serving = production.serving_now(session, target.name)
    configs = sorted(wanted.keys() | serving.keys() | set(target.configs))
    time, rollout = now(session), production.newest_rollout(session, target.name)
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
        checked_age=time - target.checked_at if target.checked_at is not None else None,
        restarted_age=time - target.restarted_at if target.restarted_at is not None else None,
        rollout=_rollout_target(rollout) if rollout is not None else None,
        release=target.release,
        engine=target.engine,
    )


def _rollout_target(row: DeploymentTarget) -> RolloutTarget:
    return RolloutTarget(
        deployment=row.deployment,
        target=row.target,
        wave=row.wave,
        state=row.state,
        reason=row.reason,
        release=row.release,
    )


def target_views(session: Session) -> list[TargetView]:
    """Return all targets by name."""
    return [target_view(session, target) for target in production.targets(session)]


def target_why(session: Session, name: str) -> WhyView:
    """Answer `why TARGET`."""
    target = production.get_target(session, name)
    newest = latest_operation(session, "deploy", name)
    rollout = production.newest_rollout(session, name)
    facts = [f"its newest deployment {newest.id} is {newest.state}"] if newest else []
    if newest and newest.error:
        facts.append(newest.error["message"])
    if rollout is not None and rollout.reason:
        facts.append(f"{rollout.deployment} left it {rollout.state}: {rollout.reason}")
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


def planned_view(session: Session, plan: DeploymentPlan, command: str, share: float) -> DeploymentView:
    """Return a deployment that was only planned."""
    places = zip(plan.targets, waves(len(plan.targets), share), strict=True)
    targets = [
        RolloutTarget(
            deployment="",
            target=name,
            wave=wave,
            state="waiting",
            reason="",
            release=production.software(session, name),
        )
        for name, wave in places
    ]
    return DeploymentView(
        id=None,
        generation=plan.generation,
        actions=[_action(action) for action in plan.actions],
        targets=targets,
        release=plan.release,
        operations=[],
        state="planned",
        reversible=_reversible(plan.release, targets),
        command=command,
    )


def deployment_view(session: Session, deployment_id: str, command: str = "") -> DeploymentView:
    """Return a deployment with its targets and operations; `NotFound` for an unknown id."""
    deployment = rollouts.get_deployment(session, deployment_id)
    targets = [_rollout_target(row) for row in rollouts.rows_of(session, deployment.id)]
    return DeploymentView(
        id=deployment.id,
        generation=deployment.generation,
        actions=[_action(Action(**action)) for action in deployment.actions],
        targets=targets,
        operations=[operation_view(session, item) for item in rollouts.operations_of(session, deployment.id)],
        state=deployment.state,
        reason=deployment.reason,
        release=deployment.release,
        reversible=_reversible(deployment.release, targets),
        command=command or "ringrift-ctl deploy-inference",
    )


def _reversible(release: str | None, targets: list[RolloutTarget]) -> str:
    if release is None:
        return _REVERSIBLE
    former = {row.release for row in targets} - {release, None}
    back = former.pop() if len(former) == 1 else "NAME"
    return f"yes: ringrift-ctl deploy-inference --software --release {back} goes back without a pause"


def _action(action: Action) -> DeployAction:
    return DeployAction(
        target=action.target,
        config=action.config,
        model=action.model,
        serving=action.serving,
        change=action.serving != action.model,
    )
