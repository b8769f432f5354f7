"""Who sends a request to the agents' API: a session, opened by a key that was enrolled with a token."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, TypeVar

from pydantic import BaseModel, ValidationError

from ringrift.control.domain.check import validation_line
from ringrift.control.reconcile.context import Context
from ringrift.control.store.beats import require_agent
from ringrift.control.store.store import Store
from ringrift.errors import AccessRefused, BadInput, SessionUnknown
from ringrift.protocol.agent import AGENT_HEADER, SIGNATURE_HEADER, signing_text, streaming_signing_text
from ringrift.protocol.sessions import SESSION, SESSION_HEADER, SessionReply, SessionRequest

if TYPE_CHECKING:
    from fastapi import Request

Body = TypeVar("Body", bound=BaseModel)


def parse(cls: type[Body], body: bytes) -> Body:
    """Read a request body; `BadInput` naming the field."""
    try:
        return cls.model_validate_json(body)
    except ValidationError as error:
        raise BadInput(validation_line(error)) from error


async def bounded_body(request: Request, limit: int) -> bytes:
    """Return the whole body; `BadInput` above `limit` bytes."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > limit:
            raise BadInput(f"request is larger than {limit} bytes")
    return bytes(body)


def signed_path(request: Request) -> str:
    """Return the path with its query, as the agent signed it."""
    raw = request.scope.get("raw_path") or request.url.path.encode()
    path = bytes(raw).split(b"?", 1)[0].decode("ascii")
    query = request.scope.get("query_string", b"").decode("ascii")
    return f"{path}?{query}" if query else path


async def signed_body(request: Request, store: Store, limit: int) -> tuple[str, bytes]:
    """Return the agent's id and the body of a signed request; `AccessRefused` when the signature is wrong."""
    body = await bounded_body(request, limit)
    text = signing_text(request.method, signed_path(request), body)
    return await _verify(request, store, text, hashlib.sha256(body).hexdigest()), body


async def signed_upload(request: Request, store: Store, sha256: str) -> str:
    """Return the agent's id of an upload that is signed by its hash, before any of it is read."""
    text = streaming_signing_text(request.method, signed_path(request), sha256)
    return await _verify(request, store, text, sha256)


async def _verify(request: Request, store: Store, text: bytes, sha256: str) -> str:
    """Return who sent a request: by its session, or by an Ed25519 signature of its own.

    The latter is how agents of the version before sessions sign (P12). Such a request can be sent again by
    whoever recorded it; what that does is bounded by reports being cumulative and idempotent.
    """
    given = request.headers.get(SESSION_HEADER)
    context: Context = request.app.state.context
    if given is None:
        return await signer(context, request.headers, text)
    agent = caller(context, given, request.headers, request.method, signed_path(request), sha256)
    # A session outlives the access of its agent; what has no unit of work of its own asks here.
    await store.read(lambda s: require_agent(s, agent))
    return agent


def caller(
    context: Context, given: str, headers: Mapping[str, str], method: str, path: str, sha256: str
) -> str:
    """Return who sent a request by its session header `given`; each request is good for once."""
    try:
        return context.sessions.agent_of(given, method, path, sha256)
    except SessionUnknown as error:
        challenge = context.sessions.challenge(headers.get(AGENT_HEADER, ""))
        raise SessionUnknown(error.message, challenge=challenge) from error


async def open_session(context: Context, headers: Mapping[str, str], body: bytes) -> SessionReply:
    """Answer a hello, signed by the agent's enrolled key."""
    wish = parse(SessionRequest, body)
    # What names no good challenge opens nothing: it gets one before a key is read and a signature checked.
    context.sessions.require(headers.get(AGENT_HEADER, ""), wish.challenge)
    agent = await signer(context, headers, signing_text("POST", SESSION, body))
    return context.sessions.open(agent, wish.challenge, wish.incarnation)


async def signer(context: Context, headers: Mapping[str, str], text: bytes) -> str:
    """Return the agent whose enrolled key signed `text`; `AccessRefused` when none did.

    An unknown agent, a revoked one and a wrong signature get the same answer after the same work.
    """
    name = headers.get(AGENT_HEADER, "")
    try:
        signature = base64.b64decode(headers.get(SIGNATURE_HEADER, ""), validate=True)
    except ValueError:
        signature = b""
    if not await context.keys.signed(name, signature, text):
        hint = "if it stays so, provision the agent's host again to enrol it"
        raise AccessRefused("signature is not valid", hint=hint)
    return name
