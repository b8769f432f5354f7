"""The whole: status, jobs, operations, events, audit, and `why` for every subject."""

from __future__ import annotations

import os
import time
from typing import Annotated, Literal

from fastapi import APIRouter, Query, Response
from sqlmodel import Session

import ringrift
from ringrift.control.api.recent import Recent
from ringrift.control.api.views.alerts import alert_count
from ringrift.control.api.views.configs import config_views, config_why
from ringrift.control.api.views.hosts import host_views, host_why, hourly_cost
from ringrift.control.api.views.production import target_why
from ringrift.control.api.views.scheduling import job_why
from ringrift.control.api.views.work import (
    event_views,
    job_counts,
    job_views,
    operation_view,
    receipt_count,
)
from ringrift.control.reconcile.context import Context
from ringrift.control.settings import Settings
from ringrift.control.store import operations
from ringrift.control.store.events import verify_chain
from ringrift.control.store.tables import Host, Job, Target
from ringrift.errors import NotFound
from ringrift.game.config import ALL_CONFIGS
from ringrift.protocol.jobs import JobKind
from ringrift.protocol.operator import ControllerView, EventView, JobView, OperationView, StatusView, WhyView

Limit = Annotated[int, Query(ge=1, le=1000)]
JobState = Literal["queued", "leased", "succeeded", "failed", "quarantined", "cancelled"]


def add_routes(router: APIRouter, context: Context) -> None:
    """Add the routes of work and audit."""
    _whole(router, context)
    _lists(router, context)


def _whole(router: APIRouter, context: Context) -> None:

    recent = Recent(context, StatusView)

    @router.get("/status", response_model=StatusView)
    async def status() -> Response:
        controller = ControllerView(
            version=ringrift.__version__,
            pid=os.getpid(),
            database=context.store.dialect,
            home=str(context.home),
            uptime=time.monotonic() - context.started,
        )
        return await recent.answer(None, lambda s: _status(s, controller, context.settings))

    @router.get("/why/{subject}")
    async def why(subject: str) -> WhyView:
        return await context.store.read(lambda s: _why(s, subject, context.settings))

    @router.get("/audit/verify")
    async def verify() -> dict[str, int | bool | None]:
        found = await context.store.read(verify_chain)
        return {"rows": found.rows, "sound": found.sound, "first_bad": found.first_bad}


def _lists(router: APIRouter, context: Context) -> None:

    @router.get("/operations/{identity}")
    async def operation(identity: str) -> OperationView:
        return await context.store.read(lambda s: operation_view(s, operations.get_operation(s, identity)))

    @router.get("/jobs")
    async def jobs(
        state: JobState | None = None, kind: JobKind | None = None, limit: Limit = 100
    ) -> list[JobView]:
        return await context.store.read(lambda s: job_views(s, state, kind, limit))

    @router.get("/events")
    async def events(after: Annotated[int | None, Query(ge=0)] = None, limit: Limit = 100) -> list[EventView]:
        return await context.store.read(lambda s: event_views(s, after, limit))


def _status(session: Session, controller: ControllerView, settings: Settings) -> StatusView:
    hosts = host_views(session, settings.agents)
    return StatusView(
        controller=controller,
        hosts=hosts,
        configs=config_views(session, settings),
        jobs=job_counts(session),
        receipts=receipt_count(session),
        hourly_cost=hourly_cost(hosts),
        alerts=alert_count(session),
    )


def _why(session: Session, subject: str, settings: Settings) -> WhyView:
    """Answer for a config, a host, a target or a job, whichever has that name."""
    if any(config.key == subject for config in ALL_CONFIGS):
        return config_why(session, subject, settings)
    if session.get(Host, subject) is not None:
        return host_why(session, subject, settings.agents)
    if session.get(Target, subject) is not None:
        return target_why(session, subject)
    if session.get(Job, subject) is not None:
        return job_why(session, subject, settings)
    raise NotFound(
        f"nothing is called {subject!r}", hint="name a config (hex8_2p), a host, a target or a job"
    )
