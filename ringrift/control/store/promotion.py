"""Promotion and rollback: the champion alias moves with evidence and audit row in one transaction (P4)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import update
from sqlmodel import Session, col, select

from ringrift.control.domain.evaluations import registration_id
from ringrift.control.domain.gate import (
    EvaluationFacts,
    GateFacts,
    TestFacts,
    allowed,
    gate_conditions,
    overridable,
)
from ringrift.control.domain.policy import Policy, policy_label
from ringrift.control.domain.states import MODEL, advance
from ringrift.control.store import aliases
from ringrift.control.store.clock import now
from ringrift.control.store.evaluations import standing
from ringrift.control.store.events import record
from ringrift.control.store.evidence import Evidence, evidence, next_test
from ringrift.control.store.learning import CHAMPION
from ringrift.control.store.tables import Alias, Artifact, Dataset, Evaluation, Model, Promotion
from ringrift.errors import BadInput, Conflict, NotFound, Refused
from ringrift.game.config import GameConfig
from ringrift.protocol.operator import Condition

_ANCESTORS = 1000


@dataclass(frozen=True)
class PromotionPlan:
    """What a promotion or rollback would do. `generation` is the one that it would make.

    `kind` is `promote`, `rollback` or `override`, a promotion without its evidence.
    """

    config: str
    kind: str
    model: str | None
    champion: str | None
    generation: int
    conditions: list[Condition]
    evaluation: Evaluation | None = None
    elo: float | None = None
    tests: tuple[Evaluation, ...] = ()
    """Every evaluation that it rests on, `evaluation` the first of them."""
    policy: dict[str, Any] | None = None
    """The gate's policy that decided: name, version, SHA-256."""

    @property
    def allowed(self) -> bool:
        """Whether every condition holds, or a person overrides those of the evidence."""
        held = overridable if self.kind == "override" else allowed
        return self.model is not None and held(self.conditions)


def champion_of(session: Session, config: str) -> Alias | None:
    """Return the champion alias of a config."""
    return session.get(Alias, (CHAMPION, config))


def find_model(session: Session, prefix: str, config: str | None = None) -> Model:
    """Return a model by its hash, the beginning of it, or `CONFIG@ALIAS`, as it stands now.

    Raises `NotFound` or `BadInput` when not exactly one is meant.
    """
    place, at, name = prefix.partition("@")
    if at:
        alias = session.get(Alias, (name, place))
        if alias is None or config not in (None, place):
            raise NotFound(
                f"{config or place} has no model {prefix!r}", hint=f"see `models list --config {place}`"
            )
        prefix = alias.model
    query = select(Model).where(col(Model.sha256).startswith(prefix)).limit(3)
    found = [model for model in session.exec(query).all() if config in (None, model.config)]
    if not found:
        place = f" of {config}" if config else ""
        raise NotFound(f"no model {prefix!r}{place}", hint="`ringrift-ctl models list` shows the known ones")
    if len(found) > 1:
        raise BadInput(f"model {prefix!r} is ambiguous", hint="give more digits")
    return found[0]


def plan_promotion(session: Session, policy: Policy, config: str, prefix: str | None) -> PromotionPlan:
    """Return the plan of a promotion with every condition of the gate; nothing is changed.

    Without a model the newest candidate that passed all its tests is taken, else the newest candidate.
    """
    config = GameConfig.parse(config).key
    alias = champion_of(session, config)
    champion, generation = (alias.model, alias.generation + 1) if alias else (None, 1)
    model = find_model(session, prefix, config) if prefix else _newest_candidate(session, policy, config)
    if model is None:
        none = Condition(
            name="model",
            value="none",
            limit="a candidate",
            passed=False,
            reason=f"{config} has no candidate; `ringrift-ctl why {config}` tells what it waits for",
        )
        return PromotionPlan(config, "promote", None, champion, generation, [none])
    superiority, *others = evidence(session, policy, model)
    evaluation = superiority.evaluation
    found = standing(session, evaluation) if evaluation else None
    facts = GateFacts(
        config=config,
        model=model.sha256,
        champion=champion,
        model_config=model.config,
        model_state=model.state,
        dataset_config=_dataset_config(session, model),
        architecture=_shape(model.architecture),
        parent_architecture=_parent_shape(session, model),
        parents=_chain(session, model),
        signer=model.origin["signer"] if model.origin else None,
        onnx_difference=model.onnx_difference,
        onnx_tolerance=policy.onnx.tolerance if policy.onnx.required else None,
        evaluation=_facts(session, policy, superiority),
        policy=policy.label,
        others=tuple(
            TestFacts(other.wanted.name, other.wanted.opponent, _facts(session, policy, other))
            for other in others
        ),
    )
    base = _elo(session, alias)
    elo = base + found.verdict.elo if found and base is not None else None
    return PromotionPlan(
        config,
        "promote",
        model.sha256,
        champion,
        generation,
        gate_conditions(facts),
        evaluation,
        elo,
        tuple(item.evaluation for item in (superiority, *others) if item.evaluation),
        policy.identity,
    )


def _newest_candidate(session: Session, policy: Policy, config: str) -> Model | None:
    query = select(Model).where(Model.config == config, Model.state == "candidate")
    waiting = session.exec(query.order_by(col(Model.made_at).desc())).all()
    for model in waiting:
        if next_test(evidence(session, policy, model)) is None:
            return model
    return waiting[0] if waiting else None


def _facts(session: Session, policy: Policy, item: Evidence) -> EvaluationFacts | None:
    evaluation = item.evaluation
    if evaluation is None:
        return None
    found = standing(session, evaluation)
    registered = found.registration
    counted = [found.blocks[number] for number in range(found.verdict.blocks)]
    players = registered.test.players
    return EvaluationFacts(
        id=evaluation.id,
        id_matches=registration_id(evaluation.registration) == evaluation.id
        and registered.candidate.model == evaluation.candidate
        and registered.opponent_name == evaluation.opponent,
        fits_policy=registered.test == policy.test(players, registered.purpose, evaluation.opponent),
        policy=policy_label(registered.policy),
        config=registered.config,
        candidate=evaluation.candidate,
        opponent=evaluation.opponent,
        state=evaluation.state,
        verdict=found.verdict.verdict,
        blocks=found.verdict.blocks,
        complete_blocks=sum(block.games == players for block in counted),
        games=sum(block.games for block in counted),
        players=players,
        unverified=found.unverified,
    )


def _dataset_config(session: Session, model: Model) -> str | None:
    dataset = session.get(Dataset, model.dataset) if model.dataset else None
    return dataset.config if dataset else None


def _shape(architecture: dict[str, Any]) -> str:
    return " ".join(f"{name}={architecture[name]}" for name in sorted(architecture))


def _parent_shape(session: Session, model: Model) -> str | None:
    parent = session.get(Model, model.parent) if model.parent else None
    return _shape(parent.architecture) if parent else None


def ancestors(session: Session, model: Model) -> list[Model]:
    """Return a model's parents, nearest first, as far as they are known."""
    found: list[Model] = []
    parent = session.get(Model, model.parent) if model.parent else None
    while parent is not None and len(found) < _ANCESTORS:
        found.append(parent)
        parent = session.get(Model, parent.parent) if parent.parent else None
    return found


def _chain(session: Session, model: Model) -> tuple[str | None, ...]:
    """Return the configs of a model's ancestors, with a None at the end of a chain that breaks off."""
    known = ancestors(session, model)
    whole = len(known) == _ANCESTORS or (known[-1] if known else model).parent is None
    return tuple(parent.config for parent in known) + (() if whole else (None,))


def _elo(session: Session, alias: Alias | None) -> float | None:
    """Return the champion's Elo above the random anchor, along the chain of promotions; the anchor is 0."""
    if alias is None:
        return 0.0
    row = session.get(Promotion, (alias.config, alias.generation))
    return row.elo if row else None


def plan_rollback(session: Session, config: str) -> PromotionPlan:
    """Return the plan to make the previous champion champion again, as a new generation."""
    config = GameConfig.parse(config).key
    alias = champion_of(session, config)
    if alias is None:
        raise Refused(f"{config} has no champion to roll back", hint=f"`ringrift-ctl why {config}`")
    row = session.get(Promotion, (config, alias.generation))
    previous = session.get(Model, row.previous) if row and row.previous else None
    stored = session.get(Artifact, previous.sha256) if previous else None
    kept = stored is not None and stored.deleted_at is None
    champion = Condition(
        name="previous champion",
        value=previous.sha256[:12] if previous else "none",
        limit="a former champion",
        passed=previous is not None,
        reason="only a model that was champion before can be brought back",
    )
    weights = Condition(
        name="weights",
        value="stored" if kept else "gone",
        limit="stored",
        passed=kept,
        reason="retention removed them; restore a backup that has them",
    )
    elo = _champion_elo(session, previous) if previous else None
    return PromotionPlan(
        config,
        "rollback",
        previous.sha256 if previous else None,
        alias.model,
        alias.generation + 1,
        [champion, weights] if previous else [champion],
        elo=elo,
    )


def _champion_elo(session: Session, model: Model) -> float | None:
    query = select(Promotion.elo).where(Promotion.model == model.sha256)
    return session.exec(query.order_by(col(Promotion.generation).desc())).first()


def carry_out(session: Session, plan: PromotionPlan, actor: str, reason: str) -> None:
    """Move the alias as planned: model states, promotion row, alias and audit row together.

    Raises `Conflict` when another champion stands there than the plan expects.
    """
    if not plan.allowed or plan.model is None:
        raise Refused(f"the gate of {plan.config} is closed")
    _compare_and_set(session, plan)
    _set_model_state(session, plan.champion, "retired")
    _set_model_state(session, plan.model, "champion")
    session.add(
        Promotion(
            config=plan.config,
            generation=plan.generation,
            kind=plan.kind,
            model=plan.model,
            previous=plan.champion,
            evaluation=plan.evaluation.id if plan.evaluation else None,
            conditions=[condition.model_dump() for condition in plan.conditions],
            elo=plan.elo,
            actor=actor,
            reason=reason,
            at=now(session),
        )
    )
    aliases.move(session, [item for item in aliases.changes(session) if item[0][1] == plan.config], actor)
    record(
        session,
        actor,
        f"champion.{plan.kind}",
        plan.config,
        model=plan.model,
        previous=plan.champion,
        generation=plan.generation,
        evaluation=plan.evaluation.id if plan.evaluation else None,
        tests=[test.id for test in plan.tests],
        policy=plan.policy,
        reason=reason,
    )


def _compare_and_set(session: Session, plan: PromotionPlan) -> None:
    time = now(session)
    if plan.champion is None:
        if champion_of(session, plan.config) is not None:
            raise taken(session, plan.config)
        session.add(
            Alias(
                name=CHAMPION,
                config=plan.config,
                model=plan.model or "",
                generation=plan.generation,
                changed_at=time,
            )
        )
        return
    moved = session.execute(
        update(Alias)
        .where(
            col(Alias.name) == CHAMPION,
            col(Alias.config) == plan.config,
            col(Alias.model) == plan.champion,
            col(Alias.generation) == plan.generation - 1,
        )
        .values(model=plan.model, generation=plan.generation, changed_at=time)
    )
    if moved.rowcount != 1:
        raise taken(session, plan.config)


def taken(session: Session, config: str) -> Conflict:
    """Return the refusal that names who is champion now."""
    alias = champion_of(session, config)
    row = session.get(Promotion, (config, alias.generation)) if alias else None
    stands = f"{alias.model[:12]} (generation {alias.generation})" if alias else "nobody"
    by = f", set by {row.actor}" if row else ""
    return Conflict(f"champion of {config} is {stands}{by}", hint="look at the new champion and plan again")


def _set_model_state(session: Session, sha256: str | None, state: str) -> None:
    model = session.get(Model, sha256) if sha256 else None
    if model is not None:
        model.state = advance(MODEL, f"model {model.sha256[:12]}", model.state, state)
        session.add(model)


def record_refusal(session: Session, plan: PromotionPlan, actor: str) -> None:
    """Store a promotion that the gate refused, with every condition."""
    record(
        session,
        actor,
        "promotion.refused",
        plan.config,
        model=plan.model,
        policy=plan.policy,
        conditions=[condition.model_dump() for condition in plan.conditions],
    )
