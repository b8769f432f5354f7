"""`ringrift-ctl evaluate`: games between models under a test registered before game 1."""

from __future__ import annotations

from typing import Annotated

import typer

from ringrift.cli.configs import config_key
from ringrift.cli.output import Json, report

app = typer.Typer(help="Evaluations: games, score, Elo with interval, LLR between its bounds.")


@app.command("list")
def list_evaluations(
    context: typer.Context,
    config: Annotated[str | None, typer.Option(help="Only this config.")] = None,
    state: Annotated[str | None, typer.Option(help="running, accepted or rejected.")] = None,
    json: Json = False,
) -> None:
    """Show evaluations, the newest first."""
    from ringrift.cli import tables
    from ringrift.client import routes
    from ringrift.errors import BadInput

    if state not in (None, "running", "accepted", "rejected"):
        raise BadInput(f"--state {state!r} does not exist", hint="use running, accepted or rejected")
    call = routes.evaluations(config_key(config) if config else None, state)
    report(context, json, call, tables.evaluations)


@app.command()
def show(
    context: typer.Context,
    evaluation: Annotated[str, typer.Argument(help="Its id, see `evaluate list`.")],
    json: Json = False,
) -> None:
    """Show one evaluation with its test, bounds and seats."""
    from ringrift.cli import tables
    from ringrift.client import routes

    report(context, json, routes.evaluation(evaluation), tables.evaluation)
