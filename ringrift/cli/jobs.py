"""`ringrift-ctl jobs`: what is queued, running, failed; to try again, to cancel."""

from __future__ import annotations

from typing import Annotated, get_args

import typer

from ringrift.cli.output import DryRun, Json, controller, output, report

app = typer.Typer(help="Work that agents lease.")
Name = Annotated[str, typer.Argument(help="A job such as job_5f2c9a01b3d4.")]
Reason = Annotated[str, typer.Option(help="Why, for the audit log.")]


@app.command("list")
def list_jobs(
    context: typer.Context,
    state: Annotated[str | None, typer.Option(help="Only jobs in this state, for example failed.")] = None,
    kind: Annotated[str | None, typer.Option(help="selfplay, ingest, train, evaluate or repeat.")] = None,
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


@app.command()
def show(context: typer.Context, job: Name, json: Json = False) -> None:
    """Show one job: what it needs, its tries, and the end of the log for which it was given up."""
    from ringrift.cli import worktables
    from ringrift.client import routes

    report(context, json, routes.job(job), worktables.job)


@app.command()
def logs(context: typer.Context, job: Name, json: Json = False) -> None:
    """Print the end of the log of every try, the oldest first."""
    from ringrift.cli import worktables
    from ringrift.client import routes

    with controller() as client:
        detail = client.send(routes.job(job))
    tries = detail.tries[::-1]
    output(context, json).data(tries, lambda: worktables.logs(tries))


@app.command()
def retry(context: typer.Context, job: Name, dry_run: DryRun = False, json: Json = False) -> None:
    """Lift a failed or quarantined job: it is tried again, and its tries so far do not count any more."""
    _change(context, job, "retry", "", dry_run, json)


@app.command()
def cancel(
    context: typer.Context, job: Name, reason: Reason = "", dry_run: DryRun = False, json: Json = False
) -> None:
    """Cancel a job; an agent that runs it stops at its next heartbeat."""
    _change(context, job, "cancel", reason, dry_run, json)


def _change(context: typer.Context, job: str, verb: str, reason: str, dry_run: bool, json: bool) -> None:
    from ringrift.cli import worktables
    from ringrift.cli.configs import actor
    from ringrift.client import routes
    from ringrift.protocol.scheduling import JobChange

    wish = routes.build(JobChange, actor=actor(), reason=reason, dry_run=dry_run)
    report(context, json, routes.change_job(job, verb, wish), worktables.job)


def _one_of(option: str, value: str | None, allowed: list[str]) -> None:
    from ringrift.errors import BadInput

    if value is not None and value not in allowed:
        raise BadInput(f"{option} {value!r} does not exist", hint=f"use one of {', '.join(allowed)}")
