"""The agents' API, served on a unix socket that only reaches hosts through their SSH connections."""

from __future__ import annotations

from typing import TypeVar

from fastapi import FastAPI, Request
from fastapi.responses import FileResponse
from pydantic import BaseModel, ValidationError
from sqlmodel import Session
from starlette.requests import ClientDisconnect

from ringrift.control.api import errors
from ringrift.control.api.signatures import bounded_body, signed_body, signed_upload
from ringrift.control.domain.check import validation_line
from ringrift.control.reconcile.context import Context
from ringrift.control.store import beats, fleet, leasing
from ringrift.control.store.clock import now
from ringrift.control.store.events import record
from ringrift.control.store.receipts import accept_result
from ringrift.control.store.tables import Artifact
from ringrift.errors import BadInput, CorruptData
from ringrift.protocol.agent import (
    ARTIFACTS,
    BEAT,
    ENROL,
    FINISH,
    LEASE,
    RESULTS,
    ArtifactReceipt,
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
    _artifact_routes(app, context)
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


def _artifact_routes(app: FastAPI, context: Context) -> None:
    @app.put(ARTIFACTS + "/{sha256}")
    async def upload(sha256: str, request: Request) -> ArtifactReceipt:
        context.artifacts.path(sha256)
        agent = await signed_upload(request, context.store, sha256)
        length = request.headers.get("content-length", "")
        announced = int(length) if length.isdigit() else None
        try:
            size = await context.artifacts.put(sha256, request.stream(), announced)
        except ClientDisconnect as error:
            raise CorruptData(f"upload {sha256[:12]} was cut off", hint="send it again") from error
        await context.store.write("artifact.stored", lambda s: note_artifact(s, sha256, size, agent))
        return ArtifactReceipt(sha256=sha256, size=size)

    @app.get(ARTIFACTS + "/{sha256}")
    async def download(sha256: str, request: Request) -> FileResponse:
        await signed_body(request, context.store, 0)
        path = context.artifacts.existing(sha256)
        return FileResponse(path, media_type="application/octet-stream")


def note_artifact(session: Session, sha256: str, size: int, agent: str) -> None:
    """Write that an artifact is stored; once."""
    if session.get(Artifact, sha256) is None:
        session.add(Artifact(sha256=sha256, size=size, stored_at=now(session), agent=agent))
        record(session, agent, "artifact.stored", sha256, size=size)
