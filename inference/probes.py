"""What probes, Prometheus and operators ask: is it alive, ready and healthy, and what does it serve."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from fastapi.responses import JSONResponse, PlainTextResponse, Response

import ringrift
from inference import engine
from inference.contract import Health, LadderReply, Live, Ready, Refusal, gives
from inference.ladderhealth import ladder_health
from inference.metrics import CONTENT_TYPE, Metrics
from inference.pool import SearchPool
from inference.watch import Watcher


def add_probes(app: FastAPI, watcher: Watcher, pool: SearchPool, metrics: Metrics) -> None:
    """Add the routes that read and search nothing; they answer at once while searches run."""

    @app.get("/health", **gives(Health, **{"503": Health}))
    async def health() -> JSONResponse:
        report = health_report(watcher)
        return JSONResponse(report, 503 if report["issues"] else 200)

    @app.get("/ready", **gives(Ready, **{"503": Ready}))
    async def ready() -> JSONResponse:
        issues = watcher.serving.issues
        return JSONResponse({"ready": not issues}, 503 if issues else 200)

    @app.get("/live", **gives(Live))
    async def live() -> dict[str, bool]:
        return {"live": True}

    @app.get("/metrics", response_class=PlainTextResponse)
    async def prometheus() -> Response:
        serving = watcher.serving
        page = metrics.text(serving.models, not serving.issues, pool.present)
        return Response(page, media_type=CONTENT_TYPE)

    @app.get("/ai/models")
    async def models() -> dict[str, Any]:
        found = {
            f"canonical_{key}": {"hash": model.sha256, "generation": model.generation}
            for key, model in sorted(watcher.serving.models.models.items())
        }
        return {"models": found, "timestamp": time.time()}

    @app.get("/internal/ladder/health", **gives(LadderReply, **{"4XX": Refusal}))
    async def ladder(
        board_type: str | None = None, num_players: str | None = None, difficulty: str | None = None
    ) -> dict[str, Any]:
        return ladder_health(watcher.serving.models, board_type, num_players, difficulty)

    @app.get("/")
    async def root() -> dict[str, Any]:
        return {
            "service": app.title,
            "status": "running",
            "version": ringrift.__version__,
            "endpoints": sorted({getattr(route, "path", "") for route in app.routes} - {"", "/"}),
            "docs": "/docs",
        }


def health_report(watcher: Watcher) -> dict[str, Any]:
    """Return what is served and what is wrong; `status` is `healthy` exactly when `issues` is empty."""
    serving = watcher.serving
    models = serving.models.models
    return {
        "status": "unhealthy" if serving.issues else "healthy",
        "models_loaded": len(models),
        "model_keys": sorted(models),
        "models": {
            key: {
                "sha256": model.sha256,
                "generation": model.generation,
                "evaluation": model.evaluation,
            }
            for key, model in sorted(models.items())
        },
        "generation": serving.models.generation,
        "deployment": serving.models.deployment,
        "issues": list(serving.issues),
        "version": ringrift.__version__,
        "release": release(),
        "engine": engine.chosen(),
        "pid": os.getpid(),
    }


def release() -> str | None:
    """Return the name of the release that this program is: its folder in `releases`; None elsewhere."""
    folder = Path(ringrift.__file__).absolute().parents[1]
    return folder.name if folder.parent.name == "releases" else None
