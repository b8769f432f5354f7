"""Inference targets: what they should serve, and what they said that they serve."""

from __future__ import annotations

from typing import Any

from sqlalchemy import func, or_
from sqlmodel import Session, col, select

from ringrift.control.domain.ports import Serving
from ringrift.control.domain.rollouts import differences, traffic_document
from ringrift.control.store.clock import now
from ringrift.control.store.events import CONTROLLER, record
from ringrift.control.store.fleet import get_host
from ringrift.control.store.tables import Deployment, DeploymentTarget, Operation, ServingRow, Target
from ringrift.errors import Conflict, NotFound

_DECLARED = ("host", "port", "configs", "engine")
"""What a person says of a target."""


def get_target(session: Session, name: str) -> Target:
    """Return a target; `NotFound` for an unknown name."""
    target = session.get(Target, name)
    if target is None:
        raise NotFound(f"no target {name!r}", hint="`ringrift-ctl targets list` shows the known ones")
    return target


def add_target(session: Session, target: Target, actor: str) -> Target:
    """Add a target; adding the same again changes nothing, another one of that name is a `Conflict`."""
    get_host(session, target.host)
    existing = session.get(Target, target.name)
    if existing is not None:
        if all(getattr(existing, name) == getattr(target, name) for name in _DECLARED):
            return existing
        raise Conflict(f"target {target.name} is {existing.host}:{existing.port} already")
    session.add(target)
    record(
        session,
        actor,
        "target.added",
        target.name,
        host=target.host,
        port=target.port,
        configs=target.configs,
        engine=target.engine,
    )
    return target


def targets(session: Session) -> list[Target]:
    """Return all targets by name."""
    return list(session.exec(select(Target).order_by(col(Target.name))).all())


def targets_of(session: Session, config: str) -> list[str]:
    """Return the names of the targets that were told to serve a config, and whose hosts are still ours."""
    return [
        target.name
        for target in targets(session)
        if config in wanted(session, target.name) and get_host(session, target.host).state != "retired"
    ]


def serving_now(session: Session, target: str) -> dict[str, str]:
    """Return what a target said last: config -> model hash."""
    newest = select(func.max(ServingRow.id)).where(ServingRow.target == target).group_by(ServingRow.config)
    query = select(ServingRow).where(col(ServingRow.id).in_(newest))
    return {row.config: row.model for row in session.exec(query).all() if row.model is not None}


def newest_order(session: Session, target: str) -> Operation | None:
    """Return the newest operation that says what a target should serve.

    One that failed says nothing, since what served before is current again; one that takes a target back is
    what it should come to, whatever became of it.
    """
    back = select(DeploymentTarget.back).where(col(DeploymentTarget.back).is_not(None))
    query = select(Operation).where(
        Operation.kind == "deploy",
        Operation.subject == target,
        or_(col(Operation.state) != "failed", col(Operation.id).in_(back)),
    )
    return session.exec(query.order_by(col(Operation.began_at).desc()).limit(1)).first()


def wanted(session: Session, target: str) -> dict[str, dict[str, Any]]:
    """Return what the newest order wants of a target: config -> model entry."""
    newest = newest_order(session, target)
    return {entry["config"]: entry for entry in newest.order["models"]} if newest else {}


def software(session: Session, name: str) -> str | None:
    """Return the release of our software that a target should run: as ordered last, else as it tells."""
    newest = newest_order(session, name)
    ordered: str | None = newest.order.get("release") if newest else None
    return ordered or get_target(session, name).release


def releases(session: Session) -> set[str]:
    """Return the releases that targets should run, and for each target the one that it ran before."""
    found = set()
    for target in targets(session):
        present = software(session, target.name) or ""
        former = (
            select(DeploymentTarget.release)
            .join(Deployment, col(Deployment.id) == col(DeploymentTarget.deployment))
            .where(DeploymentTarget.target == target.name, DeploymentTarget.release != present)
            .order_by(col(Deployment.made_at).desc())
        )
        found |= {present, session.exec(former.limit(1)).first() or present}
    return found


def deployed_since(session: Session, target: str, at: float) -> bool:
    """Tell whether a deployment to a target is under way, or was at any time since `at`."""
    query = select(Operation.id).where(
        Operation.kind == "deploy",
        Operation.subject == target,
        or_(col(Operation.ended_at).is_(None), col(Operation.ended_at) >= at),
    )
    return session.exec(query.limit(1)).first() is not None


def newest_rollout(session: Session, target: str) -> DeploymentTarget | None:
    """Return where a target stands in the newest deployment that names it."""
    query = select(DeploymentTarget).join(Deployment, col(Deployment.id) == col(DeploymentTarget.deployment))
    query = query.where(DeploymentTarget.target == target).order_by(col(Deployment.made_at).desc())
    return session.exec(query.limit(1)).first()


def record_serving(session: Session, name: str, serving: Serving) -> bool:
    """Write what a target said about itself; return whether anything but counters and the time changed."""
    target, order = get_target(session, name), newest_order(session, name)
    issues = list(serving.issues) if not serving.healthy else _wrong(order, serving)
    state = "unhealthy" if not serving.healthy else "drifted" if issues else "serving"
    restarted = _restarted(session, target, serving)
    moved, target.release = target.release != serving.release, serving.release
    target.process, target.traffic = serving.process, None
    if serving.traffic is not None:
        target.traffic = traffic_document(serving.traffic)
    return _note(session, target, state, serving.generation, issues, serving.models, restarted, moved)


def _wrong(order: Operation | None, serving: Serving) -> list[str]:
    """Name everything that a healthy target serves otherwise than ordered."""
    models = order.order["models"] if order else []
    wrong = differences({entry["config"]: entry["sha256"] for entry in models}, serving.models)
    generation = order.order["generation"] if order else None
    if serving.generation != generation:
        wrong.append(f"it serves generation {serving.generation} instead of {generation}")
    release = order.order.get("release") if order else None
    if release and serving.release != release:
        wrong.append(f"it runs release {serving.release or 'that it does not tell'} instead of {release}")
    return wrong


def _restarted(session: Session, target: Target, serving: Serving) -> bool:
    """Tell whether a service started anew since it was last asked, other than by a deployment."""
    if None in (target.process, serving.process) or target.process == serving.process:
        return False
    return not deployed_since(session, target.name, target.checked_at or 0.0)


def record_silence(session: Session, name: str, reason: str) -> bool:
    """Note that a target could not be asked; what it served last stays the last that is known (P8)."""
    target = get_target(session, name)
    return _note(session, target, "unreachable", target.generation, [reason], None)


def _note(
    session: Session,
    target: Target,
    state: str,
    generation: int | None,
    issues: list[str],
    models: dict[str, str] | None,
    restarted: bool = False,
    moved: bool = False,
) -> bool:
    before = (target.state, target.generation, target.issues)
    target.state, target.generation, target.issues = state, generation, issues
    target.checked_at = now(session)
    if restarted:
        target.restarted_at = target.checked_at
    session.add(target)
    changed = restarted or moved or before != (state, generation, issues)
    if models is not None:
        changed = _note_models(session, target, models) or changed
    if changed:
        record(
            session,
            CONTROLLER,
            "target.observed",
            target.name,
            state=state,
            generation=generation,
            issues=issues,
            models=models,
            restarted=restarted,
            release=target.release,
        )
    return changed


def _note_models(session: Session, target: Target, models: dict[str, str]) -> bool:
    """Write from when on a target serves what it serves; return whether it is something else than before."""
    known = serving_now(session, target.name)
    for config in sorted(known.keys() | models.keys()):
        if models.get(config) != known.get(config):
            session.add(
                ServingRow(
                    target=target.name,
                    config=config,
                    model=models.get(config),
                    generation=target.generation,
                    since=target.checked_at or 0.0,
                )
            )
    return models != known
