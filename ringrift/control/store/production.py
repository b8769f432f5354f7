"""Inference targets: what they should serve, what they serve, and the deployments in between."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import func
from sqlmodel import Session, col, select

from ringrift.control.domain.ports import Serving
from ringrift.control.store.clock import now
from ringrift.control.store.events import CONTROLLER, record
from ringrift.control.store.fleet import get_host
from ringrift.control.store.ids import new_id
from ringrift.control.store.learning import champions
from ringrift.control.store.operations import running_operation, start_operation
from ringrift.control.store.tables import Deployment, Operation, ServingRow, Target
from ringrift.errors import Conflict, MissingEvidence, NotFound, Refused
from ringrift.game.config import GameConfig


@dataclass(frozen=True)
class Action:
    """One config of one target: what it should serve from now on, and what it serves."""

    target: str
    config: str
    model: str
    generation: int
    serving: str | None


@dataclass(frozen=True)
class DeploymentPlan:
    """What a deployment would do, and the generation that it would get."""

    generation: int
    actions: tuple[Action, ...]


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
        same = (existing.host, existing.port, existing.configs) == (target.host, target.port, target.configs)
        if same:
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
    )
    return target


def targets(session: Session) -> list[Target]:
    """Return all targets by name."""
    return list(session.exec(select(Target).order_by(col(Target.name))).all())


def serving_now(session: Session, target: str) -> dict[str, str]:
    """Return what a target said last: config -> model hash."""
    query = select(ServingRow).where(ServingRow.target == target).order_by(col(ServingRow.id))
    newest = {row.config: row.model for row in session.exec(query).all()}
    return {config: model for config, model in newest.items() if model is not None}


def wanted(session: Session, target: str) -> dict[str, dict[str, Any]]:
    """Return what the newest deployment that did not fail wants of a target: config -> model entry."""
    query = select(Operation).where(
        Operation.kind == "deploy", Operation.subject == target, Operation.state != "failed"
    )
    newest = session.exec(query.order_by(col(Operation.began_at).desc())).first()
    return {entry["config"]: entry for entry in newest.order["models"]} if newest else {}


def plan_deployment(session: Session, names: Sequence[str], configs: Sequence[str]) -> DeploymentPlan:
    """Return what deploying the champions of `configs` to the targets `names` would do (empty: all).

    A target keeps what it was told for the other configs. Raises `MissingEvidence` for a config without a
    champion, since champions are the only models with evidence.
    """
    chosen = [get_target(session, name) for name in names] if names else targets(session)
    if not chosen:
        raise NotFound("there is no inference target", hint="add one with `ringrift-ctl targets add`")
    generation = (session.exec(select(func.max(Deployment.generation))).one() or 0) + 1
    actions = [action for target in chosen for action in _actions(session, target, configs)]
    if not actions:
        raise MissingEvidence("no config has a champion to deploy", hint="promote one first")
    return DeploymentPlan(generation, tuple(actions))


def _actions(session: Session, target: Target, configs: Sequence[str]) -> list[Action]:
    if get_host(session, target.host).state == "retired":
        raise Refused(f"host {target.host} of target {target.name} is retired", hint="add the host again")
    standing, serving = champions(session), serving_now(session, target.name)
    kept = wanted(session, target.name)
    served = target.configs or sorted(standing)
    outside = [config for config in configs if target.configs and config not in target.configs]
    if outside:
        raise Refused(f"target {target.name} is not meant to serve {outside[0]}")
    chosen = list(configs) or served
    missing = [config for config in chosen if config not in standing]
    if missing:
        raise MissingEvidence(f"{missing[0]} has no champion", hint=f"`ringrift-ctl promote {missing[0]}`")
    models = {config: (entry["sha256"], entry["generation"]) for config, entry in kept.items()}
    models |= {config: (standing[config].model, standing[config].generation) for config in chosen}
    order = sorted(models, key=lambda key: (GameConfig.parse(key).board, key))
    return [Action(target.name, key, *models[key], serving.get(key)) for key in order]


def start_deployment(session: Session, plan: DeploymentPlan, actor: str) -> Deployment:
    """Begin a deployment with one operation per target; asking for the running one again returns it."""
    document = [vars(action) for action in plan.actions]
    names = list(dict.fromkeys(action.target for action in plan.actions))
    for name in names:
        busy = running_operation(session, "deploy", name)
        running = session.get(Deployment, busy.deployment) if busy and busy.deployment else None
        if running is not None:
            if _same(running.actions, document):
                return running
            raise Conflict(
                f"target {name} is being deployed to by {running.id}", hint="wait for it, then deploy again"
            )
    deployment = Deployment(
        id=new_id("dep"), generation=plan.generation, actor=actor, actions=document, made_at=now(session)
    )
    session.add(deployment)
    session.flush()
    record(session, actor, "deployment.started", deployment.id, generation=plan.generation, targets=names)
    for name in names:
        target = get_target(session, name)
        models = [
            {"config": action.config, "sha256": action.model, "generation": action.generation}
            for action in plan.actions
            if action.target == name
        ]
        order = {"generation": plan.generation, "port": target.port, "models": models}
        start_operation(session, "deploy", name, target.host, actor, order, deployment.id)
    return deployment


def _same(first: list[dict[str, Any]], second: list[dict[str, Any]]) -> bool:
    keys = ("target", "config", "model")
    return [[item[key] for key in keys] for item in first] == [[item[key] for key in keys] for item in second]


def operations_of(session: Session, deployment: str) -> list[Operation]:
    """Return the operations of a deployment, one per target."""
    query = select(Operation).where(Operation.deployment == deployment)
    return list(session.exec(query.order_by(col(Operation.subject))).all())


def record_serving(session: Session, name: str, serving: Serving) -> bool:
    """Write what a target said about itself; return whether anything but the time of asking changed."""
    target = get_target(session, name)
    desired = {config: entry["sha256"] for config, entry in wanted(session, name).items()}
    state = "unhealthy" if not serving.healthy else "serving" if serving.models == desired else "drifted"
    return _note(session, target, state, serving.generation, list(serving.issues), serving.models)


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
) -> bool:
    before = (target.state, target.generation, target.issues)
    target.state, target.generation, target.issues = state, generation, issues
    target.checked_at = now(session)
    session.add(target)
    changed = before != (state, generation, issues)
    known = serving_now(session, target.name)
    for config in sorted(known.keys() | models.keys()) if models is not None else ():
        model = (models or {}).get(config)
        if model != known.get(config):
            changed = True
            session.add(
                ServingRow(
                    target=target.name,
                    config=config,
                    model=model,
                    generation=generation,
                    since=target.checked_at,
                )
            )
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
        )
    return changed
