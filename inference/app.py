"""The service's HTTP face: `POST /move`, `GET /health`, and what a newcomer or a probe looks for."""

from __future__ import annotations

import functools
import logging
import os
import time
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response
from starlette.requests import ClientDisconnect

import ringrift
from inference.answer import Players, answer_move
from inference.models import NoModel
from inference.pool import Overloaded, SearchPool
from inference.request import MAX_BODY, MoveRequest
from inference.watch import Watcher
from ringrift.errors import RingRiftError, UsageError

log = logging.getLogger("inference")

SERVICE = "ringrift-inference"
_DETAIL_LENGTH = 500
_STATUS: tuple[tuple[type[RingRiftError], int], ...] = (
    (NoModel, 503),
    (Overloaded, 503),
    (UsageError, 422),
)


class BodyTooLarge(UsageError):
    """The request body is larger than any game."""


def build_app(watcher: Watcher, pool: SearchPool) -> FastAPI:
    """Return the application; `watcher` tells what is served, `pool` runs the searches."""
    app = FastAPI(title=SERVICE, version=ringrift.__version__)
    players = Players()

    @app.post("/move", openapi_extra=_described_body())
    async def move(request: Request) -> JSONResponse:
        arrived = time.monotonic()
        body = await _read_body(request)
        models = watcher.serving.models
        task = functools.partial(answer_move, body, models, players, arrived)
        return JSONResponse(await pool.run(task))

    @app.get("/health")
    async def health() -> JSONResponse:
        report = health_report(watcher)
        return JSONResponse(report, 503 if report["issues"] else 200)

    @app.get("/ready")
    async def ready() -> JSONResponse:
        issues = watcher.serving.issues
        return JSONResponse({"ready": not issues}, 503 if issues else 200)

    @app.get("/live")
    async def live() -> dict[str, bool]:
        return {"live": True}

    @app.get("/")
    async def root() -> dict[str, Any]:
        return {
            "service": SERVICE,
            "version": ringrift.__version__,
            "endpoints": ["/health", "/move", "/ready", "/live"],
            "docs": "/docs",
        }

    app.add_exception_handler(RingRiftError, _refuse)
    app.add_exception_handler(ClientDisconnect, _forget)
    app.add_exception_handler(Exception, _fail)
    return app


def health_report(watcher: Watcher) -> dict[str, Any]:
    """Return what is served and what is wrong; `status` is `healthy` exactly when `issues` is empty."""
    serving = watcher.serving
    models = serving.models.models
    return {
        "status": "unhealthy" if serving.issues else "healthy",
        "models_loaded": len(models),
        "model_keys": sorted(models),
        "models": {
            key: {"sha256": model.sha256, "generation": model.generation}
            for key, model in sorted(models.items())
        },
        "generation": serving.models.generation,
        "deployment": serving.models.deployment,
        "issues": list(serving.issues),
        "version": ringrift.__version__,
        "pid": os.getpid(),
    }


async def _read_body(request: Request) -> bytes:
    """Read the body up to its limit; raise `BodyTooLarge` beyond it, whatever the header says."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY:
            raise BodyTooLarge(f"the body is larger than {MAX_BODY >> 20} MiB")
    return bytes(body)


async def _refuse(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RingRiftError)
    if isinstance(error, BodyTooLarge):
        return _detail(error.line(), 413, {"connection": "close"})
    status = next((status for kind, status in _STATUS if isinstance(error, kind)), 500)
    if status == 500:
        log.error("%s %s: %s", request.method, request.url.path, error.line())
    return _detail(error.line(), status, {"retry-after": "1"} if isinstance(error, Overloaded) else None)


async def _forget(request: Request, error: Exception) -> Response:
    """Nobody waits for this answer any more."""
    return Response(status_code=400)


async def _fail(request: Request, error: Exception) -> JSONResponse:
    log.error("%s %s failed", request.method, request.url.path, exc_info=error)
    return _detail(f"internal error: {type(error).__name__}", 500)


def _detail(text: str, status: int, headers: dict[str, str] | None = None) -> JSONResponse:
    """Answer with one bounded line that can be encoded, whatever the request made it quote."""
    line = text[:_DETAIL_LENGTH].encode("utf-8", "backslashreplace").decode()
    return JSONResponse({"detail": line}, status, headers)


def _described_body() -> dict[str, Any]:
    schema = MoveRequest.model_json_schema()
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}
