"""`ringrift-ctl jobs`: what is queued, running, failed."""

from __future__ import annotations

from typing import Annotated, get_args

import typer

from ringrift.cli.output import Json, report

app = typer.Typer(help="Work that agents lease.")


@app.command("list")
def list_jobs(
    context: typer.Context,
    state: Annotated[str | None, typer.Option(help="Only jobs in this state, for example failed.")] = None,
    kind: Annotated[str | None, typer.Option(help="selfplay, ingest, train or evaluate.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="At most so many.")] = 50,
    json: Json = False,
) -> None:
    """Show jobs, the newest first."""
    from ringrift.cli import tables
    from ringrift.client import routes
    from ringrift.protocol.jobs import JobKind
    from ringrift.protocol.operator import JobView

    states = list(get_args(JobView.model_fields["state"].annotation))
    _one_of("--state", state, states)
    _one_of("--kind", kind, [kind.value for kind in JobKind])
    report(context, json, routes.jobs(state, kind, limit), tables.jobs)


def _one_of(option: str, value: str | None, allowed: list[str]) -> None:
    from ringrift.errors import BadInput

    if value is not None and value not in allowed:
        raise BadInput(f"{option} {value!r} does not exist", hint=f"use one of {', '.join(allowed)}")
