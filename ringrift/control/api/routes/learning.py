"""Configs, models, evaluations, promotion and rollback."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

from fastapi import APIRouter
from sqlmodel import Session

from ringrift.control.api.access import By
from ringrift.control.api.views.configs import config_view, config_views
from ringrift.control.api.views.models import (
    evaluation_view,
    evaluation_views,
    model_views,
    one_model,
    promotion_view,
)
from ringrift.control.domain.policy import Policy
from ringrift.control.reconcile.context import Context
from ringrift.control.store import evaluations, learning, production, promotion, rollouts
from ringrift.control.store.promotion import PromotionPlan
from ringrift.errors import BadInput, Conflict, MissingEvidence, Refused
from ringrift.protocol.operator import (
    ConfigView,
    EnableRequest,
    EvaluationView,
    ModelView,
    PromoteRequest,
    PromotionView,
)
from ringrift.protocol.types import ConfigKey, Sha256

EvaluationState = Literal["running", "accepted", "rejected"]


def add_routes(router: APIRouter, context: Context) -> None:
    """Add the routes of learning."""
    _configs(router, context)
    _models(router, context)
    _promotions(router, context)


def _configs(router: APIRouter, context: Context) -> None:

    @router.get("/configs")
    async def configs() -> list[ConfigView]:
        return await context.store.read(lambda s: config_views(s, context.settings))

    @router.get("/configs/{key}")
    async def config(key: str) -> ConfigView:
        return await context.store.read(lambda s: config_view(s, key, context.settings))

    @router.post("/configs/{key}/enabled")
    async def enable(key: str, wish: EnableRequest, by: By) -> ConfigView:
        await context.store.write(
            "config.enable", lambda s: learning.enable_config(s, key, wish.enabled, by.actor(wish.actor))
        )
        context.wake()
        return await context.store.read(lambda s: config_view(s, key, context.settings))


def _models(router: APIRouter, context: Context) -> None:

    @router.get("/models")
    async def models(config: ConfigKey | None = None) -> list[ModelView]:
        return await context.store.read(lambda s: model_views(s, config))

    @router.get("/models/{sha}")
    async def model(sha: str) -> ModelView:
        return await context.store.read(lambda s: one_model(s, sha))

    @router.get("/evaluations")
    async def list_evaluations(
        config: ConfigKey | None = None, state: EvaluationState | None = None
    ) -> list[EvaluationView]:
        return await context.store.read(lambda s: evaluation_views(s, config, state))

    @router.get("/evaluations/{identity}")
    async def evaluation(identity: str) -> EvaluationView:
        return await context.store.read(lambda s: evaluation_view(s, evaluations.get_evaluation(s, identity)))


def _promotions(router: APIRouter, context: Context) -> None:

    @router.get("/promotions/{config}")
    async def plan(config: str, model: str | None = None) -> PromotionView:
        return await context.store.read(
            lambda s: promotion_view(
                s, promotion.plan_promotion(s, context.settings.gate, config, model), done=False
            )
        )

    @router.post("/promotions")
    async def promote(wish: PromoteRequest, by: By) -> PromotionView:
        if wish.dry_run:
            return await plan(wish.config, wish.model)
        named = wish.model_copy(update={"actor": by.actor(wish.actor)})
        view, refusal = await context.store.write(
            "champion.promote", lambda s: promote_now(s, context.settings.gate, named)
        )
        if refusal is not None:
            raise refusal
        context.wake()
        return view

    @router.post("/rollback/{config}")
    async def rollback(
        config: str, by: By, dry_run: bool = False, expected_champion: Sha256 | None = None
    ) -> PromotionView:
        if dry_run:
            return await context.store.read(lambda s: _planned_rollback(s, config))
        share = context.settings.rollouts.share
        view = await context.store.write(
            "champion.rollback", lambda s: _rollback(s, config, expected_champion, by.actor(), share)
        )
        context.wake()
        return view


def promote_now(
    session: Session, policy: Policy, wish: PromoteRequest
) -> tuple[PromotionView, Refused | None]:
    """Promote if the gate is open; else store the refusal and return it, with what is missing.

    Raises `Conflict` when another champion stands there than the caller expects.
    """
    if wish.override and not (wish.model and wish.reason.strip()):
        raise BadInput("an override needs a model and a reason", hint="the audit row keeps the reason")
    found = promotion.plan_promotion(session, policy, wish.config, wish.model)
    if wish.override and not found.allowed:
        found = replace(found, kind="override")
    expected = wish.expected_champion
    if found.model is not None and found.model == found.champion:
        raise promotion.taken(session, found.config)
    if expected is not None and expected != found.champion:
        raise promotion.taken(session, found.config)
    if not found.allowed:
        promotion.record_refusal(session, found, wish.actor)
        return promotion_view(session, found, done=False), _refusal(found)
    promotion.carry_out(session, found, wish.actor, wish.reason)
    return promotion_view(session, found, done=True), None


def _refusal(found: PromotionPlan) -> MissingEvidence:
    failed = [condition for condition in found.conditions if not condition.passed]
    lines = "; ".join(f"{item.name} is {item.value}, must be {item.limit}" for item in failed)
    return MissingEvidence(
        f"{found.config} is not promoted: {lines}", hint=f"ringrift-ctl promote {found.config} --dry-run"
    )


def _planned_rollback(session: Session, config: str) -> PromotionView:
    found = promotion.plan_rollback(session, config)
    view = promotion_view(session, found, done=False)
    return view.model_copy(update={"targets": production.targets_of(session, found.config)})


def _rollback(session: Session, config: str, expected: str | None, actor: str, share: float) -> PromotionView:
    """Move the alias back and order every target that serves the config to follow, in one transaction."""
    found = promotion.plan_rollback(session, config)
    if expected is not None and expected != found.champion:
        raise promotion.taken(session, found.config)
    if not found.allowed:
        raise _no_way_back(found)
    promotion.carry_out(session, found, actor, "rollback")
    view, names = promotion_view(session, found, done=True), production.targets_of(session, found.config)
    if not names:
        return view
    plan = rollouts.plan_deployment(session, names, [found.config], back=True)
    begun = rollouts.start_deployment(session, plan, actor, share)
    return view.model_copy(update={"targets": names, "deployment": begun.id})


def _no_way_back(found: PromotionPlan) -> Conflict:
    if found.model is None:
        return Conflict(f"{found.config} has no earlier champion", hint="there is nothing to roll back to")
    failed = next(item for item in found.conditions if not item.passed)
    return Conflict(f"{found.config} is not rolled back: {failed.name} is {failed.value}", hint=failed.reason)
