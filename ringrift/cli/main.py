"""`ringrift-ctl`: one module per verb group. Nothing heavy is imported before a verb needs it."""

from __future__ import annotations

from typing import Annotated

import typer

from ringrift.cli import (
    alerts,
    batches,
    bench,
    configs,
    controller,
    doctor,
    durability,
    evaluate,
    games,
    hosts,
    inventory,
    jobs,
    models,
    play,
    portable,
    production,
    programs,
    promotion,
    records,
    replay,
    shares,
    tokens,
    trust,
)
from ringrift.cli.front import EPILOG, Front
from ringrift.cli.output import Json

app = typer.Typer(
    cls=Front,
    name="ringrift-ctl",
    help="Trains RingRift AIs on machines reached over SSH, and serves them to players.",
    epilog=EPILOG,
    add_completion=False,
    pretty_exceptions_enable=False,
)
for verbs in (controller, doctor, durability, records, promotion, production, programs, replay, play):
    app.add_typer(verbs.app)
for more in (inventory.app, trust.app, batches.verbs):
    hosts.app.add_typer(more)
models.app.add_typer(portable.app)
app.add_typer(bench.app, name="bench")
app.add_typer(hosts.app, name="hosts")
app.add_typer(alerts.app, name="alerts")
app.add_typer(batches.app, name="batches")
app.add_typer(durability.backups, name="backup")
app.add_typer(configs.app, name="configs")
app.add_typer(jobs.app, name="jobs")
app.add_typer(shares.app, name="shares")
app.add_typer(tokens.app, name="token")
app.add_typer(models.app, name="models")
app.add_typer(games.app, name="games")
app.add_typer(evaluate.app, name="evaluate")
app.add_typer(production.targets, name="targets")
app.add_typer(records.audit, name="audit")
app.add_typer(records.shards, name="records")


@app.callback(invoke_without_command=True)
def root(
    context: typer.Context,
    json: Json = False,
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    """Take the options that stand before the verb."""
    if version:
        from ringrift import __version__

        typer.echo(__version__)
    elif context.invoked_subcommand is None:
        typer.echo(context.get_help())


def main() -> None:
    """Entry point of the console script."""
    app(prog_name="ringrift-ctl")


if __name__ == "__main__":
    main()
