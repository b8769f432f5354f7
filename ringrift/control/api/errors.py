"""How errors look over HTTP: a status per branch of the tree and `{"error": {code, message, hint}}`."""

from __future__ import annotations

import logging
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from ringrift.errors import (
    AccessRefused,
    BadInput,
    CorruptData,
    EnvironmentProblem,
    Forbidden,
    NotFound,
    PartialFailure,
    Refused,
    RingRiftError,
    SessionUnknown,
    Unreachable,
    UsageError,
)
from ringrift.protocol.sessions import CHALLENGE_HEADER

STATUS: tuple[tuple[type[RingRiftError], int], ...] = (
    (BadInput, 422),
    (UsageError, 400),
    (Refused, 409),
    (NotFound, 404),
    (Forbidden, 403),
    (AccessRefused, 401),
    (Unreachable, 502),
    (PartialFailure, 502),
    (CorruptData, 422),
    (EnvironmentProblem, 503),
)
"""First match wins; anything else is a 500."""

_HTTP_CODES: dict[int, type[RingRiftError]] = {401: AccessRefused, 403: Forbidden, 404: NotFound}
_log = logging.getLogger("ringrift.api")


def status_of(error: RingRiftError) -> int:
    """Return the HTTP status of an error."""
    return next((status for cls, status in STATUS if isinstance(error, cls)), 500)


def reply(error: RingRiftError) -> JSONResponse:
    """Return an error as an HTTP answer."""
    body = {"error": {"code": error.code, "message": error.message, "hint": error.hint}}
    headers = {CHALLENGE_HEADER: error.challenge} if isinstance(error, SessionUnknown) else None
    return JSONResponse(body, status_code=status_of(error), headers=headers)


def reply_any(error: Exception, request: str) -> JSONResponse:
    """Return any failure as an HTTP answer; one that nobody expected is logged and says nothing."""
    if isinstance(error, RingRiftError):
        return reply(error)
    _log.error("%s failed: %s: %s", request, type(error).__name__, error)
    _log.debug("%s", request, exc_info=error)
    return reply(RingRiftError("the controller failed on this request", hint="see logs/controller.log"))


def install(app: FastAPI) -> None:
    """Make `app` answer every failure in the one form."""

    @app.exception_handler(RingRiftError)
    async def known(request: Request, error: RingRiftError) -> JSONResponse:
        return reply(error)

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> JSONResponse:
        return reply(BadInput(field_fault(error.errors())))

    @app.exception_handler(HTTPException)
    async def http(request: Request, error: HTTPException) -> JSONResponse:
        cls = _HTTP_CODES.get(error.status_code, UsageError)
        answer = reply(cls(f"{request.method} {request.url.path}: {error.detail}"))
        answer.status_code = error.status_code
        return answer

    @app.exception_handler(Exception)
    async def unknown(request: Request, error: Exception) -> JSONResponse:
        return reply_any(error, f"{request.method} {request.url.path}")


def field_fault(faults: Any) -> str:
    """Return the first validation fault as `field: what is wrong`."""
    first = faults[0]
    place = [str(part) for part in first["loc"] if part not in ("body", "query", "path")]
    return f"{'.'.join(place) or 'body'}: {first['msg']}"
