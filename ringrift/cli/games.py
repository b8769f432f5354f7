"""`ringrift-ctl games`: recorded games that the controller has; `replay` shows one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from ringrift.cli.configs import config_key
from ringrift.cli.output import Json, report

if TYPE_CHECKING:
    from rich.table import Table

    from ringrift.protocol.operator import GameView

app = typer.Typer(help="Recorded games, by id.")


@app.callback()
def games_group() -> None:
    """Show recorded games."""


@app.command("list")
def list_games(
    context: typer.Context,
    config: Annotated[str | None, typer.Option(help="Only this config.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="At most so many.")] = 20,
    json: Json = False,
) -> None:
    """Show the games of the newest shards; `ringrift-ctl replay ID` draws one."""
    from ringrift.client import routes

    report(context, json, routes.games(config_key(config) if config else None, limit), _drawn)


def _drawn(views: Sequence[GameView]) -> Table:
    from ringrift.cli.output import table
    from ringrift.client.display import short

    rows = (
        (short(view.game_id), view.config, view.purpose, view.winner or "-", view.plies, view.decisions,
         short(view.shard))
        for view in views
    )  # fmt: skip
    return table(("game", "config", "purpose", "winner>", "plies>", "decisions>", "shard"), rows)
