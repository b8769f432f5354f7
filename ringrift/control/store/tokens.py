"""Operators' tokens with a role and an end. The store has their hashes only."""

from __future__ import annotations

import hashlib
import secrets

from sqlmodel import Session, col, select

from ringrift.control.domain.roles import Role
from ringrift.control.store.clock import now
from ringrift.control.store.events import CONTROLLER, record
from ringrift.control.store.tables import AccessToken
from ringrift.errors import BadInput, Conflict, NotFound

RESERVED = (CONTROLLER, "operator")
"""Actors of audit rows that no token may be called."""


def make_token(session: Session, name: str | None, role: Role, seconds: float, actor: str) -> tuple[str, str]:
    """Make a token that is valid for `seconds`; return its name and its text, which is told once."""
    name = name or f"{role}-{secrets.token_hex(3)}"
    if name in RESERVED:
        raise BadInput(f"no token may be called {name}", hint="take another name")
    if session.get(AccessToken, name) is not None:
        raise Conflict(f"there was a token {name} already", hint="take another name: audit rows tell by it")
    secret, time = f"rr_{role}_{secrets.token_urlsafe(32)}", now(session)
    row = AccessToken(
        name=name, role=role, sha256=_hash(secret), made_by=actor, made_at=time, expires_at=time + seconds
    )
    session.add(row)
    record(session, actor, "token.new", name, role=role, seconds=seconds)
    return name, secret


def valid_token(session: Session, sha256: str) -> AccessToken | None:
    """Return the token with this hash; None when there is none, it has ended or was revoked."""
    row = session.exec(select(AccessToken).where(AccessToken.sha256 == sha256)).first()
    return row if row is not None and row.revoked_at is None and now(session) < row.expires_at else None


def list_tokens(session: Session) -> list[AccessToken]:
    """Return every token ever made, the newest first."""
    return list(session.exec(select(AccessToken).order_by(col(AccessToken.made_at).desc())).all())


def revoke_token(session: Session, name: str, actor: str) -> AccessToken:
    """Refuse a token from now on; revoking it again changes nothing."""
    row = session.get(AccessToken, name)
    if row is None:
        raise NotFound(f"there is no token {name}", hint="ringrift-ctl token list")
    if row.revoked_at is None:
        row.revoked_at = now(session)
        session.add(row)
        record(session, actor, "token.revoked", name)
    return row


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
