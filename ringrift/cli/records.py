"""`why`, `events`, `audit verify` and `records`: what happened, and what stands in the way."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ringrift.cli.output import Json, controller, output, report

app = typer.Typer()
audit = typer.Typer(help="The chained audit log.")
shards = typer.Typer(help="Shards of game records.")

Shard = Annotated[Path, typer.Argument(metavar="FILE", help="A shard of game records.")]


@app.command()
def why(
    context: typer.Context,
    subject: Annotated[str, typer.Argument(help="A config, host, job, model or target.")],
    json: Json = False,
) -> None:
    """Tell in one sentence why something stands as it stands, with values and limits."""
    from ringrift.cli import tables
    from ringrift.client import routes

    report(context, json, routes.why(subject), tables.why)


@app.command()
def events(
    context: typer.Context,
    after: Annotated[int | None, typer.Option(min=0, help="Only events with a higher id.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="At most so many.")] = 50,
    json: Json = False,
) -> None:
    """Show the audit log: who did what, when."""
    from ringrift.cli import tables
    from ringrift.client import routes

    report(context, json, routes.events(after, limit), tables.events)


@audit.callback()
def audit_group() -> None:
    """Check the chained audit log."""


@audit.command()
def verify(context: typer.Context, json: Json = False) -> None:
    """Walk the chain of audit rows and tell whether any was changed or removed."""
    from ringrift.cli.output import fields
    from ringrift.client import routes
    from ringrift.errors import CorruptData

    with controller() as client:
        found = client.send(routes.verify_audit())
    output(context, json).data(found, lambda: fields(found.items()))
    if not found.get("sound", False):
        raise CorruptData(
            f"the audit chain breaks at event {found.get('first_bad')}",
            hint="somebody changed or removed a row there: compare with a backup of the database",
        )


@shards.command()
def check(context: typer.Context, shard: Shard, json: Json = False) -> None:
    """Read a shard, replay every game of it through the rules, and tell what it holds."""
    from ringrift.cli.output import fields
    from ringrift.cli.replay import need_rules

    need_rules()
    from ringrift.learning.salvage import describe

    found = describe(shard)
    output(context, json).data(found, lambda: fields(found.items()))


@shards.command()
def salvage(
    context: typer.Context,
    shard: Shard,
    to: Annotated[Path, typer.Option(metavar="FOLDER", help="Where the new shard goes.")] = Path(),
    json: Json = False,
) -> None:
    """Write the sound games before the first damage of a shard to a new one; the old file stays as it is."""
    from ringrift.cli.output import fields
    from ringrift.cli.replay import need_rules

    need_rules()
    from ringrift.learning.salvage import save_sound_games

    saved, games, fault = save_sound_games(shard, to)
    found = {"file": str(saved), "games": games, "damage": fault or "none"}
    output(context, json).data(found, lambda: fields(found.items()))
