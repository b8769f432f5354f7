"""Who the agent is: its Ed25519 key, made here and never sent, and the name that the controller gave it."""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from agents.files import write_atomic, write_json
from agents.settings import Layout, read_private
from ringrift.errors import CorruptData, NotFound


@dataclass(frozen=True)
class Identity:
    """An enrolled agent: `agent` is its name at the controller."""

    agent: str
    key: Ed25519PrivateKey

    def sign(self, text: bytes) -> str:
        """Return the base64 Ed25519 signature over `text`."""
        return base64.b64encode(self.key.sign(text)).decode()


def load_or_make_key(layout: Layout) -> Ed25519PrivateKey:
    """Return this agent's key; make it and store it durably (0600) before it is first used."""
    try:
        raw = base64.b64decode(read_private(layout.key), validate=True)
        return Ed25519PrivateKey.from_private_bytes(raw)
    except NotFound:
        key = Ed25519PrivateKey.generate()
        write_atomic(layout.key, base64.b64encode(key.private_bytes_raw()))
        return key
    except ValueError:
        raise CorruptData(f"{layout.key} is no Ed25519 key", hint="delete it and provision again") from None


def public_text(key: Ed25519PrivateKey) -> str:
    """Return the raw public key in base64, as `EnrolRequest` carries it."""
    return base64.b64encode(key.public_key().public_bytes_raw()).decode()


def save_identity(layout: Layout, agent: str, token: str) -> None:
    """Remember the agent's name and the token by which it was given, as a digest."""
    write_json(layout.identity, {"agent": agent, "token": _digest(token)})


def load_identity(layout: Layout) -> Identity | None:
    """Return the stored identity, or None before the first enrolment."""
    stored = _stored(layout)
    return Identity(stored["agent"], load_or_make_key(layout)) if stored else None


def enrolled_with(layout: Layout, token: str) -> bool:
    """Tell whether the stored identity came from exactly this token."""
    return _stored(layout).get("token") == _digest(token)


def _stored(layout: Layout) -> dict[str, str]:
    try:
        stored = json.loads(read_private(layout.identity))
    except NotFound:
        return {}
    except ValueError:
        stored = None
    if not isinstance(stored, dict) or not isinstance(stored.get("agent"), str):
        raise CorruptData(f"{layout.identity} is damaged", hint="delete it and provision this host")
    return stored


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
