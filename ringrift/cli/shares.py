"""`ringrift-ctl shares`: how the slots of the fleet are divided between kinds of jobs and configs."""

from __future__ import annotations

from typing import Annotated

import typer

from ringrift.cli.output import DryRun, Json, report

app = typer.Typer(help="Shares of the fleet's slots.")
Scope = Annotated[str, typer.Argument(help="kind:train, config:hex8_2p, ...")]


@app.command()
def show(context: typer.Context, json: Json = False) -> None:
    """Show every share against what it uses."""
    from ringrift.cli import worktables
    from ringrift.client import routes

    report(context, json, routes.shares(), worktables.shares)


@app.command("set")
def set_share(
    context: typer.Context,
    scope: Scope,
    share: Annotated[float, typer.Argument(help="Between 0.01 and 1.")],
    dry_run: DryRun = False,
    json: Json = False,
) -> None:
    """Give a kind of jobs or a config its own share; the others divide what is left."""
    _change(context, scope, share, dry_run, json)


@app.command()
def reset(context: typer.Context, scope: Scope, dry_run: DryRun = False, json: Json = False) -> None:
    """Take a share away again: the default holds."""
    _change(context, scope, None, dry_run, json)


def _change(context: typer.Context, scope: str, share: float | None, dry_run: bool, json: bool) -> None:
    from ringrift.cli import worktables
    from ringrift.cli.configs import actor
    from ringrift.client import routes
    from ringrift.protocol.scheduling import ShareSet

    wish = routes.build(ShareSet, scope=scope, share=share, actor=actor(), dry_run=dry_run)
    report(context, json, routes.set_share(wish), worktables.shares)
