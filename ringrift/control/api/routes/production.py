"""Inference targets and deployments."""

from __future__ import annotations

from fastapi import APIRouter
from sqlmodel import Session

from ringrift.control.api.access import By
from ringrift.control.api.views.production import (
    deployment_view,
    planned_view,
    target_view,
    target_views,
)
from ringrift.control.reconcile.context import Context
from ringrift.control.store import production, rollouts
from ringrift.control.store.clock import now
from ringrift.control.store.tables import Target
from ringrift.errors import BadInput
from ringrift.protocol.operator import DeploymentView, DeployRequest, TargetAdd, TargetView


def add_routes(router: APIRouter, context: Context) -> None:
    """Add the routes of production."""
    _targets(router, context)
    _deployments(router, context)


def _targets(router: APIRouter, context: Context) -> None:

    @router.get("/targets")
    async def targets() -> list[TargetView]:
        return await context.store.read(target_views)

    @router.post("/targets")
    async def add(wish: TargetAdd, by: By) -> TargetView:
        def work(session: Session) -> TargetView:
            row = Target(
                name=wish.name,
                host=wish.host,
                port=wish.port,
                configs=wish.configs,
                engine=wish.engine,
                added_at=now(session),
            )
            return target_view(session, production.add_target(session, row, by.actor()))

        return await context.store.write("target.change", work)

    @router.get("/targets/{name}")
    async def target(name: str) -> TargetView:
        return await context.store.read(lambda s: target_view(s, production.get_target(s, name)))


def _deployments(router: APIRouter, context: Context) -> None:

    @router.post("/deployments")
    async def deploy(wish: DeployRequest, by: By) -> DeploymentView:
        command, share = _command(wish), context.settings.rollouts.share
        if wish.software and wish.configs:
            raise BadInput("software is installed for every config of a target", hint="name no config")
        if wish.release and not wish.software:
            raise BadInput("a release is named, but no software is to be installed", hint="add --software")
        release = await context.fleet.installable(wish.release or "") if wish.software else None

        def planned(session: Session) -> rollouts.DeploymentPlan:
            if release is not None:
                return rollouts.plan_software(session, wish.targets, release)
            return rollouts.plan_deployment(session, wish.targets, wish.configs)

        if wish.dry_run:
            return await context.store.read(lambda s: planned_view(s, planned(s), command, share))

        def work(session: Session) -> DeploymentView:
            begun = rollouts.start_deployment(session, planned(session), by.actor(wish.actor), share)
            return deployment_view(session, begun.id, command)

        view = await context.store.write("deployment.order", work)
        context.wake()
        return view

    @router.post("/deployments/{identity}/cancel")
    async def cancel(identity: str, by: By) -> DeploymentView:
        def work(session: Session) -> DeploymentView:
            return deployment_view(session, rollouts.cancel_deployment(session, identity, by.actor()).id)

        view = await context.store.write("deployment.cancel", work)
        context.wake()
        return view

    @router.get("/deployments/{identity}")
    async def deployment(identity: str) -> DeploymentView:
        return await context.store.read(lambda s: deployment_view(s, identity))


def _command(wish: DeployRequest) -> str:
    configs = [word for config in wish.configs for word in ("--config", config)]
    software = ["--software"] if wish.software else []
    release = ["--release", wish.release] if wish.release else []
    return " ".join(["ringrift-ctl deploy-inference", *software, *release, *wish.targets, *configs])
