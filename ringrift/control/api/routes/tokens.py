"""Operators' tokens: make, list, revoke."""

from __future__ import annotations

from fastapi import APIRouter
from sqlmodel import Session

from ringrift.control.api.access import By
from ringrift.control.reconcile.context import Context
from ringrift.control.store import tokens
from ringrift.control.store.clock import now, timestamp
from ringrift.control.store.tables import AccessToken
from ringrift.protocol.tokens import NewToken, TokenRequest, TokenView


def add_routes(router: APIRouter, context: Context) -> None:
    """Add the routes of tokens."""

    @router.get("/tokens")
    async def listed() -> list[TokenView]:
        return await context.store.read(lambda s: [_view(s, row) for row in tokens.list_tokens(s)])

    @router.post("/tokens")
    async def make(wish: TokenRequest, by: By) -> NewToken:
        def work(session: Session) -> NewToken:
            name, secret = tokens.make_token(
                session, wish.name, wish.role, wish.seconds, by.actor(wish.actor)
            )
            return NewToken(name=name, role=wish.role, seconds=wish.seconds, token=secret)

        return await context.store.write("token.new", work)

    @router.post("/tokens/{name}/revoke")
    async def revoke(name: str, by: By) -> TokenView:
        return await context.store.write(
            "token.revoke", lambda s: _view(s, tokens.revoke_token(s, name, by.actor()))
        )


def _view(session: Session, row: AccessToken) -> TokenView:
    ended = "revoked" if row.revoked_at is not None else "expired" if now(session) >= row.expires_at else ""
    return TokenView(
        name=row.name,
        role=row.role,  # type: ignore[arg-type]
        state=ended or "valid",  # type: ignore[arg-type]
        made_by=row.made_by,
        made_at=timestamp(row.made_at),
        expires_at=timestamp(row.expires_at),
    )
