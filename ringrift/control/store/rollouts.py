"""Rollouts: deployments in waves, kept as rows so that any controller can carry them on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import func
from sqlmodel import Session, col, select

from ringrift.control.domain.rollouts import ACTIVE, Row, waves
from ringrift.control.domain.states import DEPLOYMENT, advance
from ringrift.control.store.clock import now
from ringrift.control.store.events import record
from ringrift.control.store.fleet import get_host
from ringrift.control.store.ids import new_id
from ringrift.control.store.learning import champions
from ringrift.control.store.operations import start_operation
from ringrift.control.store.production import get_target, serving_now, software, targets, wanted
from ringrift.control.store.tables import Deployment, DeploymentTarget, Model, Operation, Target
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
    release: str | None = None
    """The release of our software that is installed with it; None: what runs there stays."""

    @property
    def targets(self) -> list[str]:
        """The targets, in the order of their start."""
        return list(dict.fromkeys(action.target for action in self.actions))


def plan_deployment(
    session: Session, names: Sequence[str], configs: Sequence[str], *, back: bool = False
) -> DeploymentPlan:
    """Return what deploying the champions of `configs` to the targets `names` would do (empty: all).

    A target keeps what it was told for the other configs. Raises `MissingEvidence` for a config without a
    champion, since champions are the only models with evidence, and `Refused` for a model without golden
    vectors that comes new to a target, unless the deployment goes `back` to it.
    """
    chosen = [get_target(session, name) for name in dict.fromkeys(names)] if names else targets(session)
    if not chosen:
        raise NotFound("there is no inference target", hint="add one with `ringrift-ctl targets add`")
    actions = [action for target in chosen for action in _actions(session, target, configs)]
    if not actions:
        raise MissingEvidence("no config has a champion to deploy", hint="promote one first")
    if not back:
        _require_vectors(session, actions)
    return DeploymentPlan(_next_generation(session), tuple(actions))


def plan_software(session: Session, names: Sequence[str], release: str) -> DeploymentPlan:
    """Return what installing a release on targets would do (empty: all that serve something).

    Each keeps the models that it was told to serve. Raises `Refused` for a target that serves none, or that
    could not be taken back since it did not tell what it runs.
    """
    named = [get_target(session, name) for name in dict.fromkeys(names)]
    chosen = named or [target for target in targets(session) if wanted(session, target.name)]
    if not chosen:
        raise NotFound("no inference target serves anything", hint="deploy models first")
    actions = [action for target in chosen for action in _kept(session, target)]
    return DeploymentPlan(_next_generation(session), tuple(actions), release)


def _kept(session: Session, target: Target) -> list[Action]:
    _require_host(session, target)
    kept, serving = wanted(session, target.name), serving_now(session, target.name)
    if not kept:
        raise Refused(f"target {target.name} serves nothing yet", hint="deploy models to it first")
    if software(session, target.name) is None:
        raise Refused(
            f"target {target.name} did not tell which release it runs", hint="deploy models to it first"
        )
    return [
        Action(target.name, config, entry["sha256"], entry["generation"], serving.get(config))
        for config, entry in kept.items()
    ]


def _require_host(session: Session, target: Target) -> None:
    if get_host(session, target.host).state == "retired":
        raise Refused(f"host {target.host} of target {target.name} is retired", hint="add the host again")


def _require_vectors(session: Session, actions: Sequence[Action]) -> None:
    models = {action.model for action in actions}
    query = select(Model.sha256).where(col(Model.sha256).in_(models), col(Model.golden).is_(None))
    bare = set(session.exec(query).all())
    for action in actions:
        known = wanted(session, action.target).get(action.config) if action.model in bare else None
        if action.model in bare and (known is None or known["sha256"] != action.model):
            raise Refused(
                f"model {action.model[:12]} of {action.config} carries no golden vectors",
                hint="it was trained by an older release: train, evaluate and promote a new one",
            )


def _next_generation(session: Session) -> int:
    used = session.exec(select(func.max(Deployment.generation), func.max(Deployment.back_generation))).one()
    return max(number or 0 for number in used) + 1


def _actions(session: Session, target: Target, configs: Sequence[str]) -> list[Action]:
    _require_host(session, target)
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


def start_deployment(session: Session, plan: DeploymentPlan, actor: str, share: float) -> Deployment:
    """Begin a deployment; its first wave starts with the next pass.

    Asking for the running one again returns it; another one on any of its targets is a `Conflict`.
    """
    document = [vars(action) for action in plan.actions]
    for running in _running_on(session, plan.targets):
        if running.release == plan.release and _same(running.actions, document):
            return running
        raise Conflict(
            f"{_shared(session, running, plan.targets)} is being deployed to by {running.id}",
            hint=f"wait for it, or take it back: ringrift-ctl deploy-inference --cancel {running.id}",
        )
    time = now(session)
    deployment = Deployment(
        id=new_id("dep"),
        generation=plan.generation,
        actor=actor,
        actions=document,
        made_at=time,
        state="running",
        release=plan.release,
    )
    session.add(deployment)
    session.flush()
    places = zip(plan.targets, waves(len(plan.targets), share), strict=True)
    for position, (name, wave) in enumerate(places):
        session.add(
            DeploymentTarget(
                deployment=deployment.id,
                target=name,
                position=position,
                wave=wave,
                state="waiting",
                since=time,
            )
        )
    record(
        session,
        actor,
        "deployment.started",
        deployment.id,
        generation=plan.generation,
        targets=plan.targets,
        release=plan.release,
    )
    return deployment


def _running_on(session: Session, names: Sequence[str]) -> list[Deployment]:
    query = (
        select(Deployment)
        .join(DeploymentTarget, col(DeploymentTarget.deployment) == col(Deployment.id))
        .where(col(Deployment.state).in_(ACTIVE), col(DeploymentTarget.target).in_(names))
        .order_by(col(Deployment.made_at))
    )
    return list({found.id: found for found in session.exec(query).all()}.values())


def _shared(session: Session, deployment: Deployment, names: Sequence[str]) -> str:
    return next(row.target for row in rows_of(session, deployment.id) if row.target in names)


def _same(first: list[dict[str, Any]], second: list[dict[str, Any]]) -> bool:
    keys = ("target", "config", "model")
    return [[item[key] for key in keys] for item in first] == [[item[key] for key in keys] for item in second]


def get_deployment(session: Session, deployment_id: str) -> Deployment:
    """Return a deployment; `NotFound` for an unknown id."""
    deployment = session.get(Deployment, deployment_id)
    if deployment is None:
        raise NotFound(f"no deployment {deployment_id!r}")
    return deployment


def cancel_deployment(session: Session, deployment_id: str, actor: str) -> Deployment:
    """Start no more targets and take those back that it touched; cancelling twice is cancelling once."""
    deployment = get_deployment(session, deployment_id)
    if deployment.state not in ("cancelling", "cancelled"):
        move(session, deployment, "cancelling", f"cancelled by {actor}", actor)
    return deployment


def active_deployments(session: Session) -> list[Deployment]:
    """Return the deployments that go on, oldest first."""
    query = select(Deployment).where(col(Deployment.state).in_(ACTIVE))
    return list(session.exec(query.order_by(col(Deployment.made_at), col(Deployment.id))).all())


def rows_of(session: Session, deployment: str) -> list[DeploymentTarget]:
    """Return the targets of a deployment in the order of their start."""
    query = select(DeploymentTarget).where(DeploymentTarget.deployment == deployment)
    return list(session.exec(query.order_by(col(DeploymentTarget.position))).all())


def operations_of(session: Session, deployment: str) -> list[Operation]:
    """Return the operations of a deployment: the way there, and the way back where there was one."""
    query = select(Operation).where(Operation.deployment == deployment)
    return list(session.exec(query.order_by(col(Operation.began_at), col(Operation.subject))).all())


def pure(rows: Sequence[DeploymentTarget]) -> list[Row]:
    """Return rows as the decisions see them."""
    return [
        Row(row.target, row.wave, row.state, row.reason, bool(row.before), row.back is not None)
        for row in rows
    ]


def start_target(session: Session, deployment: Deployment, row: DeploymentTarget) -> None:
    """Order a target to serve what the deployment says, and remember what it was ordered to serve before."""
    row.before = list(wanted(session, row.target).values())
    row.release = software(session, row.target)
    models = [
        {"config": action["config"], "sha256": action["model"], "generation": action["generation"]}
        for action in deployment.actions
        if action["target"] == row.target
    ]
    release = deployment.release or row.release
    row.operation = _order(session, deployment, row.target, deployment.generation, models, release)
    settle(session, row, "running", "")


def take_back(session: Session, deployment: Deployment, row: DeploymentTarget) -> None:
    """Order a target to serve again what it was ordered before, under a generation above all others."""
    if deployment.back_generation is None:
        deployment.back_generation = _next_generation(session)
        session.add(deployment)
        session.flush()
    number = deployment.back_generation
    row.back = _order(session, deployment, row.target, number, row.before, row.release)
    own = row.reason if row.state in ("failed", "rolling_back") else ""
    settle(session, row, "rolling_back", own or deployment.reason)


def _order(
    session: Session,
    deployment: Deployment,
    name: str,
    generation: int,
    models: list[dict[str, Any]],
    release: str | None,
) -> str:
    target = get_target(session, name)
    order = {"generation": generation, "port": target.port, "models": models, "release": release}
    order["engine"] = target.engine
    return start_operation(session, "deploy", name, target.host, deployment.actor, order, deployment.id).id


def settle(session: Session, row: DeploymentTarget, state: str, reason: str) -> None:
    """Write where a target of a deployment stands."""
    row.state, row.reason, row.since = state, reason, now(session)
    session.add(row)


def move(session: Session, deployment: Deployment, state: str, reason: str, actor: str) -> None:
    """Move a deployment to a state, with its audit row."""
    what = f"deployment {deployment.id}"
    deployment.state, deployment.reason = advance(DEPLOYMENT, what, deployment.state, state), reason
    deployment.ended_at = None if state in ACTIVE else now(session)
    session.add(deployment)
    ended = {row.target: row.state for row in rows_of(session, deployment.id)}
    record(session, actor, f"deployment.{state}", deployment.id, reason=reason, targets=ended)
