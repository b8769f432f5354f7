"""The agents' API, served on a unix socket that only reaches hosts through their SSH connections."""

from __future__ import annotations

from fastapi import FastAPI, Request, Response
from pydantic import BaseModel

from ringrift.control.api import errors, transfers
from ringrift.control.api.beating import BeatWindow
from ringrift.control.api.signatures import bounded_body, open_session, parse, signed_body
from ringrift.control.api.work import Answer, answers
from ringrift.control.reconcile.context import Context
from ringrift.control.store import fleet
from ringrift.protocol.agent import ENROL, EnrolReply, EnrolRequest
from ringrift.protocol.sessions import SESSION, SessionReply

_TOKEN_BODY = 4096


def agents_app(context: Context) -> FastAPI:
    """Return the agents' API over the controller's parts.

    `ringrift.control.api.protocol` answers most requests of the paths in `answers` before they come here.
    """
    app = FastAPI(title="RingRift agents' API", docs_url=None, redoc_url=None, openapi_url=None)
    errors.install(app)
    app.state.context = context
    _first_contact(app, context)
    for path, answer in answers(context, BeatWindow(context)).items():
        _work_route(app, context, path, answer)
    transfers.add_routes(app, context)
    return app


def _first_contact(app: FastAPI, context: Context) -> None:
    @app.post(ENROL)
    async def enrol(request: Request) -> EnrolReply:
        wish = parse(EnrolRequest, await bounded_body(request, _TOKEN_BODY))
        agent = await context.store.write(
            "agent.enrol", lambda s: fleet.enrol(s, wish.token, wish.host, wish.public_key)
        )
        return EnrolReply(agent=agent)

    @app.post(SESSION)
    async def hello(request: Request) -> SessionReply:
        return await open_session(context, request.headers, await bounded_body(request, _TOKEN_BODY))


def _work_route(app: FastAPI, context: Context, path: str, answer: Answer) -> None:
    @app.post(path)
    async def work(request: Request) -> Response:
        agent, body = await signed_body(request, context.store, context.settings.limits.body_bytes)
        return as_json(await answer(agent, body))


def as_json(reply: BaseModel) -> Response:
    """Return a reply as its JSON."""
    return Response(reply.model_dump_json(), media_type="application/json")
