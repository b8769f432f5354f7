"""`why`, `events` and `audit verify`: what happened, and what stands in the way."""

from __future__ import annotations

from typing import Annotated

import typer

from ringrift.cli.output import Json, controller, output, report

app = typer.Typer()
audit = typer.Typer(help="The chained audit log.")


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
