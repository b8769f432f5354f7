"""How errors look over HTTP: a status per branch of the tree and `{"error": {code, message, hint}}`."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from ringrift.control.api.statuses import body_of, headers_of, status_of, told
from ringrift.errors import AccessRefused, BadInput, Forbidden, NotFound, RingRiftError, UsageError

_HTTP_CODES: dict[int, type[RingRiftError]] = {401: AccessRefused, 403: Forbidden, 404: NotFound}


def reply(error: RingRiftError) -> JSONResponse:
    """Return an error as an HTTP answer."""
    return JSONResponse(body_of(error), status_code=status_of(error), headers=headers_of(error))


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
        return reply(told(error, f"{request.method} {request.url.path}"))


def field_fault(faults: Any) -> str:
    """Return the first validation fault as `field: what is wrong`."""
    first = faults[0]
    place = [str(part) for part in first["loc"] if part not in ("body", "query", "path")]
    return f"{'.'.join(place) or 'body'}: {first['msg']}"
