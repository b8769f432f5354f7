"""What a request that cannot be answered gets: the contract's bodies, one bounded line, never a traceback."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response
from starlette.requests import ClientDisconnect

from inference import logs
from inference.choices import NoOptions
from inference.ladderhealth import BadFilter
from inference.metrics import Metrics
from inference.pool import Overloaded
from inference.request import Malformed
from ringrift.errors import RingRiftError, UsageError

RETRY_SECONDS = 1
_DETAIL_LENGTH = 500


class BodyTooLarge(UsageError):
    """The request body is larger than any game."""

    code = "body_too_large"


class BodyTooSlow(UsageError):
    """The request body did not arrive in time."""

    code = "body_too_slow"


_STATUS: tuple[tuple[type[RingRiftError], int], ...] = (
    (Overloaded, 503),
    (BodyTooLarge, 413),
    (BodyTooSlow, 408),
    (NoOptions, 400),
    (BadFilter, 400),
    (UsageError, 422),
)


def add_refusals(app: FastAPI, metrics: Metrics) -> None:
    """Let every error become an answer that the game server knows."""

    async def refuse(request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, RingRiftError)
        metrics.failed(error.code)
        status = next((status for kind, status in _STATUS if isinstance(error, kind)), 500)
        logs.tell(request.scope, error=error.code, why=bounded(error.line()))
        if status == 422:
            return JSONResponse({"detail": [_first_fault(error)]}, status)
        return JSONResponse({"detail": bounded(error.line())}, status, _HEADERS.get(status))

    async def fail(request: Request, error: Exception) -> JSONResponse:
        metrics.failed(type(error).__name__)
        logs.log.error("request failed", exc_info=error)
        return JSONResponse({"detail": f"internal error: {type(error).__name__}"}, 500)

    app.add_exception_handler(RingRiftError, refuse)
    app.add_exception_handler(ClientDisconnect, _forget)
    app.add_exception_handler(Exception, fail)


_HEADERS = {
    408: {"connection": "close"},
    413: {"connection": "close"},
    503: {"retry-after": str(RETRY_SECONDS)},
}


def _first_fault(error: RingRiftError) -> dict[str, Any]:
    """Return the fault in the form of FastAPI's own, which clients of the contract read."""
    found = error if isinstance(error, Malformed) else Malformed(error.line(), ("game_state",))
    return {"type": found.kind, "loc": ["body", *found.loc], "msg": bounded(found.line())}


async def _forget(request: Request, error: Exception) -> Response:
    """Nobody waits for this answer any more."""
    logs.tell(request.scope, left=True)
    return Response(status_code=400)


def bounded(text: str) -> str:
    """Return one line of bounded length that can be encoded, whatever the request made it quote."""
    return text[:_DETAIL_LENGTH].encode("utf-8", "backslashreplace").decode()
