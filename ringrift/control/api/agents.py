"""The agents' API, served on a unix socket that only reaches hosts through their SSH connections."""

from __future__ import annotations

from typing import TypeVar

from fastapi import FastAPI, Request
from pydantic import BaseModel, ValidationError

from ringrift.control.api import errors, transfers
from ringrift.control.api.signatures import bounded_body, signed_body
from ringrift.control.domain.check import validation_line
from ringrift.control.reconcile.context import Context
from ringrift.control.store import beats, fleet, leasing
from ringrift.control.store.receipts import accept_result
from ringrift.errors import BadInput
from ringrift.protocol.agent import (
    BEAT,
    ENROL,
    FINISH,
    LEASE,
    RESULTS,
    BeatReply,
    BeatRequest,
    EnrolReply,
    EnrolRequest,
    FinishReply,
    FinishRequest,
    LeaseReply,
    LeaseRequest,
    ResultReply,
    ResultRequest,
)

Body = TypeVar("Body", bound=BaseModel)
_TOKEN_BODY = 4096


def parse(cls: type[Body], body: bytes) -> Body:
    """Read a request body; `BadInput` naming the field."""
    try:
        return cls.model_validate_json(body)
    except ValidationError as error:
        raise BadInput(validation_line(error)) from error


def agents_app(context: Context) -> FastAPI:
    """Return the agents' API over the controller's parts."""
    app = FastAPI(title="RingRift agents' API", docs_url=None, redoc_url=None, openapi_url=None)
    errors.install(app)
    _work_routes(app, context)
    transfers.add_routes(app, context)
    return app


def _work_routes(app: FastAPI, context: Context) -> None:
    async def signed(request: Request, cls: type[Body]) -> tuple[str, Body]:
        agent, body = await signed_body(request, context.store, context.settings.limits.body_bytes)
        return agent, parse(cls, body)

    @app.post(ENROL)
    async def enrol(request: Request) -> EnrolReply:
        wish = parse(EnrolRequest, await bounded_body(request, _TOKEN_BODY))
        agent = await context.store.write(
            "agent.enrol", lambda s: fleet.enrol(s, wish.token, wish.host, wish.public_key)
        )
        return EnrolReply(agent=agent)

    @app.post(BEAT)
    async def beat(request: Request) -> BeatReply:
        agent, wish = await signed(request, BeatRequest)
        return await context.store.write(
            "agent.beat", lambda s: beats.beat(s, agent, wish, context.settings.agents)
        )

    @app.post(LEASE)
    async def lease(request: Request) -> LeaseReply:
        agent, wish = await signed(request, LeaseRequest)
        reply = await context.store.write(
            "agent.lease", lambda s: leasing.lease(s, agent, wish.kinds, context.settings)
        )
        if reply.assignment is not None:
            context.wake()
        return reply

    @app.post(RESULTS)
    async def results(request: Request) -> ResultReply:
        agent, wish = await signed(request, ResultRequest)
        reply = await context.store.write(
            "agent.result", lambda s: accept_result(s, agent, wish, context.settings.agents)
        )
        context.wake()
        return reply

    @app.post(FINISH)
    async def finish(request: Request) -> FinishReply:
        agent, wish = await signed(request, FinishRequest)
        reply = await context.store.write(
            "agent.finish", lambda s: leasing.finish(s, agent, wish, context.settings.agents)
        )
        context.wake()
        return reply
