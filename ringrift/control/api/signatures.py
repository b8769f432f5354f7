"""Who sends a request to the agents' API: Ed25519 signatures by keys that were enrolled with a token."""

from __future__ import annotations

import base64
import binascii

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from fastapi import Request
from sqlmodel import Session

from ringrift.control.store.store import Store
from ringrift.control.store.tables import Agent
from ringrift.errors import AccessRefused, BadInput
from ringrift.protocol.agent import AGENT_HEADER, SIGNATURE_HEADER, signing_text, streaming_signing_text


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
    agent = await _verify(request, store, signing_text(request.method, signed_path(request), body))
    return agent, body


async def signed_upload(request: Request, store: Store, sha256: str) -> str:
    """Return the agent's id of an upload that is signed by its hash, before any of it is read."""
    return await _verify(request, store, streaming_signing_text(request.method, signed_path(request), sha256))


async def _verify(request: Request, store: Store, text: bytes) -> str:
    name = request.headers.get(AGENT_HEADER, "")
    key = await store.read(lambda session: _key(session, name))
    if key is None:
        raise AccessRefused("unknown agent", hint="provision its host again to enrol it")
    try:
        signature = base64.b64decode(request.headers.get(SIGNATURE_HEADER, ""), validate=True)
        Ed25519PublicKey.from_public_bytes(base64.b64decode(key)).verify(signature, text)
    except (InvalidSignature, binascii.Error, ValueError) as error:
        raise AccessRefused("signature is not valid") from error
    return name


def _key(session: Session, name: str) -> str | None:
    agent = session.get(Agent, name)
    return agent.public_key if agent is not None and agent.revoked_at is None else None
