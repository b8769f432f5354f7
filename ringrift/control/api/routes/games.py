"""Recorded games, and the immutable files that hold games and models."""

from __future__ import annotations

from fastapi import APIRouter
from fastapi.responses import FileResponse

from ringrift.control.reconcile.context import Context
from ringrift.control.store.games import find_game
from ringrift.protocol.operator import GameView


def add_routes(router: APIRouter, context: Context) -> None:
    """Add the routes of games and artifacts."""

    @router.get("/games/{identity}")
    async def game(identity: str) -> GameView:
        return await context.store.read(
            lambda s: GameView.model_validate(find_game(s, identity), from_attributes=True)
        )

    @router.get("/artifacts/{sha256}")
    async def artifact(sha256: str) -> FileResponse:
        path = context.artifacts.existing(sha256)
        return FileResponse(path, media_type="application/octet-stream")
