"""The operators' API on loopback: every route behind the bearer token but `health`."""

from __future__ import annotations

import hmac
import os
from collections.abc import Callable
from typing import Annotated

from fastapi import APIRouter, Depends, FastAPI, Header

import ringrift
from ringrift.control.api import errors
from ringrift.control.api.routes import (
    batches,
    durability,
    fleet,
    games,
    hostkeys,
    inventory,
    learning,
    production,
    scheduling,
    work,
)
from ringrift.control.reconcile.context import Context
from ringrift.errors import AccessRefused
from ringrift.protocol.operator import PREFIX


def operators_app(context: Context, token: str) -> FastAPI:
    """Return the operators' API over the controller's parts, opened by `token`."""
    app = FastAPI(
        title="RingRift operators' API", version=ringrift.__version__, docs_url=None, redoc_url=None
    )
    errors.install(app)

    @app.get(f"{PREFIX}/health")
    async def health() -> dict[str, str | int]:
        return {"pid": os.getpid(), "home": str(context.home), "version": ringrift.__version__}

    guarded = APIRouter(prefix=PREFIX, dependencies=[Depends(_bearer(token))])
    hosts = (batches, fleet, hostkeys, inventory)
    for room in (*hosts, durability, games, learning, production, scheduling, work):
        room.add_routes(guarded, context)
    app.include_router(guarded)
    return app


def _bearer(token: str) -> Callable[[str], None]:
    def check(authorization: Annotated[str, Header()] = "") -> None:
        scheme, _, given = authorization.partition(" ")
        if scheme.lower() != "bearer" or not hmac.compare_digest(given.strip().encode(), token.encode()):
            raise AccessRefused(
                "operator token is not valid", hint="it is in operator.token of the controller's home"
            )

    return check
