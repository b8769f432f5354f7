"""`ringrift-ctl models`: checkpoints, named by their SHA-256."""

from __future__ import annotations

from typing import Annotated

import typer

from ringrift.cli.configs import config_key
from ringrift.cli.output import Json, report

app = typer.Typer(help="Checkpoints: candidates, champions, retired ones.")
_ALIASES = ("champion", "challenger", "previous")
NAME = "SHA-256 or at least its first 8 digits, or CONFIG@ALIAS."


@app.command("list")
def list_models(
    context: typer.Context,
    config: Annotated[str | None, typer.Option(help="Only this config.")] = None,
    json: Json = False,
) -> None:
    """Show models, the newest first."""
    from ringrift.cli import tables
    from ringrift.client import routes

    report(context, json, routes.models(config_key(config) if config else None), tables.models)


@app.command()
def show(
    context: typer.Context,
    model: Annotated[str, typer.Argument(help=NAME)],
    json: Json = False,
) -> None:
    """Show one model with the evaluation that decided on it."""
    from ringrift.cli import tables
    from ringrift.client import routes

    report(context, json, routes.model(model_name(model)), tables.model)


def model_name(text: str, config: str | None = None) -> str:
    """Return a model's hash, its beginning, or `CONFIG@ALIAS`; of a named `config` the alias is enough.

    Raises `BadInput` for anything else.
    """
    from ringrift.errors import BadInput

    place, at, alias = text.rpartition("@")
    if alias in _ALIASES and (at or config):
        return f"{config_key(place) if at else config}@{alias}"
    if at or not 8 <= len(text) <= 64 or set(text) - set("0123456789abcdef"):
        raise BadInput(
            f"{text[:70]!r} is no model",
            hint="give 8 to 64 digits of its SHA-256, or CONFIG@champion, @challenger or @previous",
        )
    return text
