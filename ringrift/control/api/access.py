"""The one place where the operators' API asks who calls and whether that role may: before a body is read."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Depends, Request, Response
from fastapi.routing import APIRoute

from ringrift.control.domain.roles import Role, covers, least_role
from ringrift.control.reconcile.context import Context
from ringrift.control.store import tokens
from ringrift.errors import AccessRefused, Forbidden
from ringrift.protocol.operator import PREFIX

OWNER = "operator"
Answer = Callable[[Request], Coroutine[Any, Any, Response]]


@dataclass(frozen=True)
class Caller:
    """Whose token a request showed."""

    name: str
    role: Role

    def actor(self, claimed: str = "") -> str:
        """Return the actor of audit rows: the token's name, and who its bearer says to be if all share it."""
        claims = self.role == "owner" and claimed not in ("", OWNER)
        return f"{self.name}: {claimed}" if claims else self.name


async def _caller(request: Request) -> Caller:
    found: Caller = request.state.caller
    return found


By = Annotated[Caller, Depends(_caller)]
"""The caller, as a parameter of a route."""


def guarded_route(context: Context, token: str) -> type[APIRoute]:
    """Return the class of routes that only a bearer of a token with the right role gets through.

    `token` is the owner's; the others are in the store.
    """

    async def admit(request: Request, least: Role) -> Caller:
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        caller = await _bearer(context, token, given.strip()) if scheme.lower() == "bearer" else None
        if caller is None:
            raise AccessRefused(
                "operator token is not valid", hint="it is in operator.token of the controller's home"
            )
        if not covers(caller.role, least):
            raise Forbidden(
                f"token {caller.name} is {caller.role}, this needs {least}",
                hint=f"ringrift-ctl token new --role {least}" if least != "owner" else "use operator.token",
            )
        return caller

    class Guarded(APIRoute):
        def get_route_handler(self) -> Answer:
            answer = super().get_route_handler()
            (method,) = self.methods
            least = least_role(method, self.path.removeprefix(PREFIX))

            async def guarded(request: Request) -> Response:
                request.state.caller = await admit(request, least)
                return await answer(request)

            return guarded

    return Guarded


async def _bearer(context: Context, token: str, given: str) -> Caller | None:
    """Return whose token this is; None for nobody's, an expired or a revoked one."""
    if hmac.compare_digest(given.encode(), token.encode()):
        return Caller(OWNER, "owner")
    row = await context.store.read(
        lambda s: tokens.valid_token(s, hashlib.sha256(given.encode()).hexdigest())
    )
    return Caller(row.name, row.role) if row is not None else None  # type: ignore[arg-type]
