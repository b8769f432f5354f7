"""Files of agents: fetched whole or from an offset, put whole or in chunks that may be taken up again.

GET  ARTIFACTS/{sha256}                          the bytes; honours `Range: bytes=n-`
PUT  ARTIFACTS/{sha256}                          all of them at once, signed by their hash
GET  ARTIFACTS/{sha256}/partial                  {"received": n} of an upload in chunks
PUT  ARTIFACTS/{sha256}?offset=n[&last=1]        a chunk, signed by its own hash in `x-ringrift-chunk`
GET  ARTIFACTS/{sha256}/url?method=get|put       a short-lived address in the bucket, if there is one
POST ARTIFACTS/{sha256}/claim                    take in what was put to that address
"""

from __future__ import annotations

import asyncio
import hashlib
from typing import Annotated, Literal

from fastapi import FastAPI, Query, Request
from fastapi.responses import FileResponse
from sqlmodel import Session
from starlette.requests import ClientDisconnect

from ringrift.control.api.signatures import bounded_body, signed_body, signed_upload
from ringrift.control.artifacts import STAGED, Unfit, key_of
from ringrift.control.reconcile.context import Context
from ringrift.control.store.artifacts import (
    note_artifact,
    note_quarantine,
    require_artifact,
    stored_size,
)
from ringrift.control.store.credentials import require_fetch, require_put
from ringrift.errors import AccessRefused, CorruptData, Refused
from ringrift.protocol.agent import (
    ARTIFACTS,
    ASSIGNMENT_HEADER,
    CHUNK_BYTES,
    CHUNK_HEADER,
    ArtifactReceipt,
    ArtifactUrl,
    PartialUpload,
)

URL_SECONDS = 900
Offset = Annotated[int | None, Query(ge=0)]


def add_routes(app: FastAPI, context: Context) -> None:
    """Add the routes of artifacts to the agents' API."""
    _download(app, context)
    _upload(app, context)
    _bucket(app, context)


def _download(app: FastAPI, context: Context) -> None:
    @app.get(ARTIFACTS + "/{sha256}")
    async def download(sha256: str, request: Request) -> FileResponse:
        agent, _ = await signed_body(request, context.store, 0)
        shown = request.headers.get(ASSIGNMENT_HEADER, "")
        await context.store.read(lambda s: require_fetch(s, agent, shown, sha256))
        return await file_response(context, sha256)


async def file_response(context: Context, sha256: str) -> FileResponse:
    """Answer with an artifact's bytes; `NotFound` tells whether it was removed or never stored."""
    key_of(sha256)
    await context.store.read(lambda s: require_artifact(s, sha256))
    path = await context.artifacts.existing(sha256)
    return FileResponse(path, media_type="application/octet-stream")


def _upload(app: FastAPI, context: Context) -> None:
    @app.get(ARTIFACTS + "/{sha256}/partial")
    async def partial(sha256: str, request: Request) -> PartialUpload:
        agent, _ = await signed_body(request, context.store, 0)
        size = await context.store.read(lambda s: stored_size(s, sha256))
        return PartialUpload(received=size or context.artifacts.received(sha256, agent))

    @app.put(ARTIFACTS + "/{sha256}", response_model=None)
    async def upload(
        sha256: str, request: Request, offset: Offset = None, last: bool = False
    ) -> ArtifactReceipt | PartialUpload:
        key_of(sha256)
        if offset is None:
            agent = await signed_upload(request, context.store, sha256)
            await _require_put(context, request, agent)
            return await _whole(context, sha256, agent, request)
        agent, chunk = await _chunk(context, request)
        await _require_put(context, request, agent)
        size = await context.store.read(lambda s: stored_size(s, sha256))
        if last and size == offset + len(chunk):
            return ArtifactReceipt(sha256=sha256, size=size)
        received = await context.artifacts.append(sha256, agent, offset, chunk)
        if not last:
            return PartialUpload(received=received)
        return await _finished(context, sha256, agent)


async def _require_put(context: Context, request: Request, agent: str) -> None:
    shown = request.headers.get(ASSIGNMENT_HEADER, "")
    await context.store.read(lambda s: require_put(s, agent, shown))


async def _chunk(context: Context, request: Request) -> tuple[str, bytes]:
    """Return the agent and the bytes of a chunk whose hash was signed."""
    signed = request.headers.get(CHUNK_HEADER, "")
    agent = await signed_upload(request, context.store, signed)
    chunk = await bounded_body(request, CHUNK_BYTES)
    if (await asyncio.to_thread(hashlib.sha256, chunk)).hexdigest() != signed:
        raise CorruptData("the chunk arrived as other bytes than were signed", hint="send it again")
    return agent, chunk


async def _whole(context: Context, sha256: str, agent: str, request: Request) -> ArtifactReceipt:
    length = request.headers.get("content-length", "")
    announced = int(length) if length.isdigit() else None
    try:
        size = await context.artifacts.put(sha256, request.stream(), announced)
    except ClientDisconnect as error:
        raise CorruptData(f"upload {sha256[:12]} was cut off", hint="send it again") from error
    except Unfit as error:
        await _note_quarantine(context, sha256, agent, error)
        raise
    return await _receipt(context, sha256, agent, size)


async def _finished(context: Context, sha256: str, agent: str) -> ArtifactReceipt:
    try:
        size = await context.artifacts.finish(sha256, agent)
    except Unfit as error:
        await _note_quarantine(context, sha256, agent, error)
        raise
    return await _receipt(context, sha256, agent, size)


async def _note_quarantine(context: Context, sha256: str, agent: str, error: Unfit) -> None:
    reason = error.message
    await context.store.write("artifact.quarantined", lambda s: note_quarantine(s, sha256, agent, reason))


async def _receipt(context: Context, sha256: str, agent: str, size: int) -> ArtifactReceipt:
    await context.store.write("artifact.stored", lambda s: note_artifact(s, sha256, size, agent))
    return ArtifactReceipt(sha256=sha256, size=size)


def _bucket(app: FastAPI, context: Context) -> None:
    @app.get(ARTIFACTS + "/{sha256}/url")
    async def address(sha256: str, method: Literal["get", "put"], request: Request) -> ArtifactUrl:
        agent, _ = await signed_body(request, context.store, 0)
        shown = request.headers.get(ASSIGNMENT_HEADER, "")
        await context.store.read(lambda s: _require_right(s, agent, shown, method, sha256))
        key = key_of(sha256) if method == "get" else _staged(sha256, agent)
        url = await context.artifacts.objects.sign(method.upper(), key, URL_SECONDS)
        return ArtifactUrl(url=url, seconds=URL_SECONDS)

    @app.post(ARTIFACTS + "/{sha256}/claim")
    async def claim(sha256: str, request: Request) -> ArtifactReceipt:
        agent, _ = await signed_body(request, context.store, 0)
        key, objects = _staged(sha256, agent), context.artifacts.objects
        if objects.local(key) is not None:
            raise Refused("the artifacts are in a folder", hint="put the file here")
        await _require_put(context, request, agent)
        try:
            size = await context.artifacts.put(sha256, objects.read(key), await objects.size(key))
        except Unfit as error:
            await _note_quarantine(context, sha256, agent, error)
            await objects.delete(key)
            raise
        receipt = await _receipt(context, sha256, agent, size)
        await objects.delete(key)
        return receipt


def _require_right(session: Session, agent: str, shown: str, method: str, sha256: str) -> None:
    """Raise unless an assignment whose credential is shown may fetch this file, or put files."""
    if not shown:
        raise AccessRefused("no assignment is named", hint="show its credential")
    if method == "put":
        require_put(session, agent, shown)
    else:
        require_fetch(session, agent, shown, sha256)
        require_artifact(session, sha256)


def _staged(sha256: str, agent: str) -> str:
    """Return where an agent may put a file."""
    key_of(sha256)
    return f"{STAGED}/{sha256}.{agent}"
