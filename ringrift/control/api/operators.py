"""The operators' API on loopback: every route behind a token with the right role, but `health`."""

from __future__ import annotations

import os

from fastapi import APIRouter, FastAPI

import ringrift
from ringrift.control.api import errors
from ringrift.control.api.access import guarded_route
from ringrift.control.api.routes import (
    alerts,
    batches,
    durability,
    fleet,
    games,
    hostkeys,
    inventory,
    learning,
    metrics,
    portable,
    production,
    scheduling,
    tokens,
    work,
)
from ringrift.control.reconcile.context import Context
from ringrift.protocol.operator import PREFIX


def operators_app(context: Context, token: str) -> FastAPI:
    """Return the operators' API over the controller's parts, opened by `token`."""
    app = FastAPI(
        title="RingRift operators' API",
        version=ringrift.__version__,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
    )
    errors.install(app)

    @app.get(f"{PREFIX}/health")
    async def health() -> dict[str, str | int]:
        return {"pid": os.getpid(), "home": str(context.home), "version": ringrift.__version__}

    route = guarded_route(context, token)
    guarded = APIRouter(prefix=PREFIX, route_class=route)
    hosts = (alerts, batches, fleet, hostkeys, inventory)
    for room in (*hosts, durability, games, learning, portable, production, scheduling, tokens, work):
        room.add_routes(guarded, context)
    app.include_router(guarded)
    bare = APIRouter(route_class=route)
    metrics.add_routes(bare, context)
    app.include_router(bare)
    return app
