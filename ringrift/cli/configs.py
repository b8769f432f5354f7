"""`ringrift-ctl configs`: the twelve configs and how each of them stands."""

from __future__ import annotations

import getpass
from typing import Annotated

import typer

from ringrift.cli.output import Json, report

app = typer.Typer(help="The twelve configs: board x players.")
Key = Annotated[str, typer.Argument(help="A config such as hex8_2p.")]


@app.command("list")
def list_configs(context: typer.Context, json: Json = False) -> None:
    """Show games, data age, training, evaluation, champion and next action of every config."""
    from ringrift.cli import tables
    from ringrift.client import routes

    report(context, json, routes.configs(), tables.configs)


@app.command()
def show(context: typer.Context, config: Key, json: Json = False) -> None:
    """Show one config."""
    from ringrift.cli import tables
    from ringrift.client import routes

    report(context, json, routes.config(config_key(config)), lambda view: tables.configs([view]))


@app.command()
def enable(context: typer.Context, config: Key, json: Json = False) -> None:
    """Let agents work on a config."""
    _switch(context, config, True, json)


@app.command()
def disable(context: typer.Context, config: Key, json: Json = False) -> None:
    """Start nothing new for a config; what runs is finished."""
    _switch(context, config, False, json)


def config_key(text: str) -> str:
    """Return the key; raise `UnknownConfig` that lists the twelve."""
    from ringrift.game.config import GameConfig

    return GameConfig.parse(text).key


def _switch(context: typer.Context, config: str, enabled: bool, json: bool) -> None:
    from ringrift.cli import tables
    from ringrift.client import routes
    from ringrift.protocol.operator import EnableRequest

    request = routes.build(EnableRequest, enabled=enabled, actor=actor())
    call = routes.enable(config_key(config), request)
    report(context, json, call, lambda view: tables.configs([view]))


def actor() -> str:
    """Return who asks, for the audit rows: the login name of this shell."""
    try:
        return f"{getpass.getuser()} (shell)"
    except (OSError, KeyError):
        return "operator (shell)"
