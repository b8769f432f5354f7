"""Carries rollouts on: wave after wave while every changed target holds, else everything back."""

from __future__ import annotations

from typing import NamedTuple

from sqlmodel import Session, col, select

from ringrift.control.domain import rollouts as domain
from ringrift.control.domain.rollouts import Limits, Sample, Verdict, Watch
from ringrift.control.reconcile.base import converge
from ringrift.control.reconcile.context import Context
from ringrift.control.settings import RolloutSettings
from ringrift.control.store import rollouts
from ringrift.control.store.clock import now
from ringrift.control.store.events import CONTROLLER
from ringrift.control.store.operations import get_operation
from ringrift.control.store.production import get_target
from ringrift.control.store.tables import Deployment, DeploymentTarget, Operation, Target
from ringrift.errors import Unreachable


class Settlement(NamedTuple):
    """A target of a rollout and the state that it gets.

    `sampled` begins its watch with what it counted; `again` orders once more to take it back.
    """

    row: DeploymentTarget
    state: str
    reason: str
    sampled: bool = False
    again: bool = False


async def step(context: Context) -> bool:
    """Settle what ended or is proven, start what follows, take back what must go back."""
    settings = context.settings.rollouts
    return await converge(
        "rollout.advance",
        context.store,
        lambda s: settlements(s, settings) or verdicts(s),
        lambda s, _: advance(s, settings),
    )


def advance(session: Session, settings: RolloutSettings) -> None:
    """Bring every row and every rollout to where ended operations and samples allow."""
    for settlement in settlements(session, settings):
        _settle(session, settlement)
    session.flush()
    for deployment, verdict in verdicts(session):
        _apply(session, deployment, verdict)


def settlements(session: Session, settings: RolloutSettings) -> list[Settlement]:
    """Return the targets of rollouts that go on which come to another state, or begin to be watched, now."""
    query = (
        select(DeploymentTarget, Deployment, Target)
        .join(Deployment, col(Deployment.id) == col(DeploymentTarget.deployment))
        .join(Target, col(Target.name) == col(DeploymentTarget.target))
        .where(col(Deployment.state).in_(domain.ACTIVE))
        .order_by(col(DeploymentTarget.position))
    )
    time, found = now(session), []
    for row, deployment, target in session.exec(query).all():
        settlement = _found(session, row, deployment, target, time, settings)
        if settlement.state != row.state or settlement.sampled or settlement.again:
            found.append(settlement)
    return found


def _found(
    session: Session,
    row: DeploymentTarget,
    deployment: Deployment,
    target: Target,
    time: float,
    settings: RolloutSettings,
) -> Settlement:
    if row.state == "running":
        return _carried_out(row, get_operation(session, row.operation or ""), target)
    if row.state == "rolling_back":
        return _back(row, get_operation(session, row.back or ""), time, settings)
    if deployment.state != "running":
        return Settlement(row, row.state, row.reason)
    if row.state == "baking":
        watch = _watch(row, target)
        state, reason = domain.watched(watch, time, _limits(settings))
        return Settlement(row, state, reason, watch.first is None and watch.last is not None)
    if row.state == "succeeded" and target.state in ("unhealthy", "drifted"):
        return Settlement(row, "failed", f"it is {target.state}: {'; '.join(target.issues[:1])}")
    return Settlement(row, row.state, row.reason)


def _carried_out(row: DeploymentTarget, operation: Operation, target: Target) -> Settlement:
    if operation.state == "failed":
        return Settlement(row, "failed", str((operation.error or {}).get("message", "")))
    if operation.state != "succeeded":
        return Settlement(row, "running", "")
    # What is recorded of a target while its operation runs is what that operation itself was answered.
    told = target.traffic is not None and (target.checked_at or 0.0) >= operation.began_at
    return Settlement(row, "baking", "", sampled=told)


def _back(row: DeploymentTarget, operation: Operation, time: float, settings: RolloutSettings) -> Settlement:
    """A target that could not be reached is taken back again, until the patience with it ends."""
    if operation.state == "running":
        return Settlement(row, row.state, row.reason)
    if operation.state == "succeeded":
        return Settlement(row, "rolled_back", row.reason)
    error = operation.error or {}
    if error.get("code") == Unreachable.code and time - row.since <= settings.patience_seconds:
        due = time - (operation.ended_at or 0.0) >= settings.retry_seconds
        return Settlement(row, row.state, row.reason, again=due)
    return Settlement(row, "failed", f"{row.reason}; it was not taken back: {error.get('message', '')}")


def _watch(row: DeploymentTarget, target: Target) -> Watch:
    asked = target.checked_at is not None and target.checked_at > row.since
    last = None
    if asked and target.state == "serving" and target.traffic is not None:
        last = Sample(target.checked_at or 0.0, target.process, domain.read_traffic(target.traffic))
    first = None
    if row.first is not None:
        first = Sample(row.first["at"], row.first["process"], domain.read_traffic(row.first["traffic"]))
    return Watch(row.since, target.state, tuple(target.issues), target.checked_at, last, first)


def _limits(settings: RolloutSettings) -> Limits:
    return Limits(
        bake=settings.bake_seconds,
        patience=settings.patience_seconds,
        error_share=settings.error_share,
        p99=settings.p99_seconds,
        moves=settings.least_moves,
    )


def _settle(session: Session, found: Settlement) -> None:
    row = found.row
    if found.again:
        deployment, since = rollouts.get_deployment(session, row.deployment), row.since
        rollouts.take_back(session, deployment, row)
        row.since = since
        return
    if found.sampled:
        target = get_target(session, row.target)
        row.first = {"at": target.checked_at, "process": target.process, "traffic": target.traffic}
        session.add(row)
    if found.state != row.state:
        rollouts.settle(session, row, found.state, found.reason)


def verdicts(session: Session) -> list[tuple[Deployment, Verdict]]:
    """Return the rollouts that start or take back targets, halt or end now."""
    found: list[tuple[Deployment, Verdict]] = []
    for deployment in rollouts.active_deployments(session):
        verdict = domain.decide(deployment.state, rollouts.pure(rollouts.rows_of(session, deployment.id)))
        if verdict.state != deployment.state or verdict.start or verdict.back or verdict.skip:
            found.append((deployment, verdict))
    return found


def _apply(session: Session, deployment: Deployment, verdict: Verdict) -> None:
    rows = {row.target: row for row in rollouts.rows_of(session, deployment.id)}
    for name in verdict.start:
        rollouts.start_target(session, deployment, rows[name])
    for name in verdict.back:
        rollouts.take_back(session, deployment, rows[name])
    for name in verdict.skip:
        rollouts.settle(session, rows[name], "skipped", deployment.reason)
    session.flush()
    if verdict.state != deployment.state:
        rollouts.move(session, deployment, verdict.state, verdict.reason or deployment.reason, CONTROLLER)
