"""Recorded games, and the immutable files that hold games and models."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.responses import FileResponse

from ringrift.control.api.transfers import file_response
from ringrift.control.reconcile.context import Context
from ringrift.control.store.games import find_game, newest_games
from ringrift.control.store.tables import Game
from ringrift.protocol.operator import GameView
from ringrift.protocol.types import ConfigKey

Limit = Annotated[int, Query(ge=1, le=1000)]


def add_routes(router: APIRouter, context: Context) -> None:
    """Add the routes of games and artifacts."""

    @router.get("/games")
    async def games(config: ConfigKey | None = None, limit: Limit = 20) -> list[GameView]:
        return await context.store.read(lambda s: [_view(game) for game in newest_games(s, config, limit)])

    @router.get("/games/{identity}")
    async def game(identity: str) -> GameView:
        return await context.store.read(lambda s: _view(find_game(s, identity)))

    @router.get("/artifacts/{sha256}")
    async def artifact(sha256: str) -> FileResponse:
        return await file_response(context, sha256)


def _view(game: Game) -> GameView:
    return GameView.model_validate(game, from_attributes=True)
