"""Models, evaluations and promotions as operators see them."""

from __future__ import annotations

from sqlmodel import Session, col, select

from ringrift.control.domain.policy import policy_label
from ringrift.control.store.clock import now
from ringrift.control.store.evaluations import standing
from ringrift.control.store.promotion import PromotionPlan, ancestors, find_model
from ringrift.control.store.tables import Alias, Evaluation, Model, Promotion
from ringrift.protocol.lineage import AncestorView, OriginView
from ringrift.protocol.operator import EvaluationView, ModelView, PromotionView

_SHOWN = {"superseded": "rejected"}
"""States that the wire has no word of its own for."""


def evaluation_view(session: Session, evaluation: Evaluation) -> EvaluationView:
    """Return an evaluation as its block rows tell it."""
    found = standing(session, evaluation)
    test, verdict = found.registration.test, found.verdict
    seats = {str(seat): [0, 0] for seat in range(1, test.players + 1)}
    for number in range(verdict.blocks):
        for seat in seats:
            seats[seat][1] += 1
            seats[seat][0] += int(seat) in found.blocks[number].winning_seats
    played = verdict.games > 0
    return EvaluationView(
        id=evaluation.id,
        config=evaluation.config,
        candidate=evaluation.candidate,
        opponent=evaluation.opponent,
        state=_SHOWN.get(evaluation.state, evaluation.state),
        games=verdict.games,
        blocks=verdict.blocks,
        max_blocks=test.max_blocks,
        score=verdict.score if played else None,
        elo=verdict.elo if played else None,
        elo_low=verdict.elo_low if played else None,
        elo_high=verdict.elo_high if played else None,
        llr=verdict.llr,
        lower=test.lower,
        upper=test.upper,
        elo0=test.elo0,
        elo1=test.elo1,
        alpha=test.alpha,
        beta=test.beta,
        seats=seats,
        age=now(session) - evaluation.registered_at,
        purpose=found.registration.purpose,
        policy=policy_label(found.registration.policy),
    )


def evaluation_views(session: Session, config: str | None, state: str | None) -> list[EvaluationView]:
    """Return evaluations, newest first, of a config and in a state if named."""
    query = select(Evaluation).order_by(col(Evaluation.registered_at).desc()).limit(200)
    if config:
        query = query.where(Evaluation.config == config)
    views = [evaluation_view(session, evaluation) for evaluation in session.exec(query).all()]
    return [view for view in views if state in (None, view.state)]


def model_view(session: Session, model: Model) -> ModelView:
    """Return a model with its newest evaluation and, if it was champion, its newest generation."""
    query = select(Evaluation).where(Evaluation.candidate == model.sha256)
    evaluation = session.exec(query.order_by(col(Evaluation.registered_at).desc())).first()
    names = select(Alias.name).where(Alias.model == model.sha256).order_by(col(Alias.name))
    return ModelView(
        model=model.sha256,
        config=model.config,
        parent=model.parent,
        dataset=model.dataset,
        state=model.state,
        generation=_generation(session, model),
        positions=model.positions,
        holdout_loss=model.holdout_loss,
        evaluation=evaluation_view(session, evaluation) if evaluation else None,
        age=now(session) - model.made_at,
        aliases=list(session.exec(names).all()),
        origin=OriginView.model_validate(model.origin) if model.origin else None,
    )


def _generation(session: Session, model: Model) -> int | None:
    query = select(Promotion.generation).where(Promotion.model == model.sha256)
    return session.exec(query.order_by(col(Promotion.generation).desc())).first()


def model_views(session: Session, config: str | None) -> list[ModelView]:
    """Return models, newest first."""
    query = select(Model).order_by(col(Model.made_at).desc()).limit(200)
    if config:
        query = query.where(Model.config == config)
    return [model_view(session, model) for model in session.exec(query).all()]


def one_model(session: Session, prefix: str) -> ModelView:
    """Return one model by its hash or the beginning of it, with its parents."""
    model = find_model(session, prefix)
    parents = [
        AncestorView(
            model=parent.sha256,
            state=parent.state,
            generation=_generation(session, parent),
            imported=parent.origin is not None,
        )
        for parent in ancestors(session, model)
    ]
    return model_view(session, model).model_copy(update={"lineage": parents})


def promotion_view(session: Session, plan: PromotionPlan, *, done: bool) -> PromotionView:
    """Return a promotion or rollback, planned or made."""
    verb = "rollback" if plan.kind == "rollback" else "promote"
    model = f" {plan.model[:12]}" if plan.model and verb == "promote" else ""
    model += " --override --reason TEXT" if plan.kind == "override" else ""
    return PromotionView(
        config=plan.config,
        model=plan.model,
        champion=plan.champion,
        generation=plan.generation,
        conditions=plan.conditions,
        evidence=[evaluation_view(session, test) for test in plan.tests],
        allowed=plan.allowed,
        done=done,
        reversible=_reversible(plan),
        command=f"ringrift-ctl {verb} {plan.config}{model}",
    )


def _reversible(plan: PromotionPlan) -> str:
    if plan.champion is None:
        return "no: there is no earlier champion to go back to"
    return f"yes: ringrift-ctl rollback {plan.config}"
