"""`ringrift-ctl batches`, and the verbs of `hosts` that work on many of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from ringrift.cli.configs import actor
from ringrift.cli.output import DryRun, Json, controller, output, report

if TYPE_CHECKING:
    from ringrift.client.http import Client
    from ringrift.protocol.batches import BatchView

app = typer.Typer(help="Operations on many hosts: a canary, then waves, until a failure budget is spent.")
verbs = typer.Typer()
Names = Annotated[list[str] | None, typer.Argument(help="Hosts; or choose them by --all or a filter.")]
All = Annotated[bool, typer.Option("--all", help="Every host that is not retired.")]
Kind = Annotated[list[str] | None, typer.Option("--kind", help="Only hosts of this kind; may be repeated.")]
Role = Annotated[list[str] | None, typer.Option("--role", help="Only hosts of this role; may be repeated.")]
Provider = Annotated[
    list[str] | None, typer.Option("--provider", help="Only hosts of this provider; may be repeated.")
]
Canary = Annotated[
    int | None, typer.Option(min=0, help="Hosts that must be healthy before the others begin.")
]
Width = Annotated[int | None, typer.Option(min=1, help="Hosts at the same time.")]
Budget = Annotated[int | None, typer.Option(min=0, help="Failed hosts with which it still goes on.")]
Wait = Annotated[bool, typer.Option("--wait/--no-wait", help="Wait and show how the hosts end.")]
Batch = Annotated[str, typer.Argument(help="The batch's id.")]


@verbs.command()
def plan(
    context: typer.Context,
    names: Names = None,
    everything: All = False,
    kind: Kind = None,
    role: Role = None,
    provider: Provider = None,
    json: Json = False,
) -> None:
    """Look at hosts and show what provisioning would change there, with the plan's hash."""
    _plan(context, _choice(names, everything, kind, role, provider), json)


@verbs.command()
def converge(
    context: typer.Context,
    names: Names = None,
    everything: All = False,
    kind: Kind = None,
    role: Role = None,
    provider: Provider = None,
    canary: Canary = None,
    width: Width = None,
    budget: Budget = None,
    dry_run: DryRun = False,
    wait: Wait = True,
    json: Json = False,
) -> None:
    """Bring hosts to what they should be; hosts that are right already get no operation."""
    choice = _choice(names, everything, kind, role, provider)
    if dry_run:
        _plan(context, choice, json)
    else:
        _run(context, "provision", {**choice, "canary": canary, "width": width, "budget": budget}, wait, json)


@verbs.command()
def update(
    context: typer.Context,
    names: Names = None,
    everything: All = False,
    kind: Kind = None,
    role: Role = None,
    provider: Provider = None,
    canary: Canary = None,
    width: Width = None,
    budget: Budget = None,
    dry_run: DryRun = False,
    wait: Wait = True,
    json: Json = False,
) -> None:
    """Give agents the controller's release: a canary, a tenth, all; each is watched before it counts."""
    choice = _choice(names, everything, kind, role, provider)
    if dry_run:
        _plan(context, choice, json)
    else:
        _run(context, "update", {**choice, "canary": canary, "width": width, "budget": budget}, wait, json)


@verbs.command()
def restart(
    context: typer.Context,
    names: Names = None,
    everything: All = False,
    kind: Kind = None,
    role: Role = None,
    provider: Provider = None,
    width: Width = None,
    wait: Wait = True,
    json: Json = False,
) -> None:
    """Start agents anew, one as a canary first; each must beat again."""
    choice = _choice(names, everything, kind, role, provider)
    _run(context, "restart", {**choice, "width": width}, wait, json)


@verbs.command()
def debts(context: typer.Context, json: Json = False) -> None:
    """Show what hosts that cannot be reached still owe; it is paid when they return."""
    from ringrift.cli import batchtables
    from ringrift.client import routes

    report(context, json, routes.debts(), batchtables.debts)


@app.command("list")
def list_batches(
    context: typer.Context,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="At most so many.")] = 20,
    json: Json = False,
) -> None:
    """Show batches, the newest first."""
    from ringrift.cli import batchtables
    from ringrift.client import routes

    report(context, json, routes.batches(limit), batchtables.batches)


@app.command()
def show(context: typer.Context, batch: Batch, json: Json = False) -> None:
    """Show one batch: how each host stands, and why."""
    from ringrift.cli import batchtables
    from ringrift.client import routes

    report(context, json, routes.batch(batch), batchtables.batch)


@app.command()
def resume(context: typer.Context, batch: Batch, wait: Wait = True, json: Json = False) -> None:
    """Let a halted batch go on; its failures until now are forgiven."""
    _change(context, batch, "resume", wait, json)


@app.command()
def cancel(context: typer.Context, batch: Batch, json: Json = False) -> None:
    """Start nothing more and forgive what is owed; what runs comes to its end."""
    _change(context, batch, "cancel", False, json)


@app.command()
def retry(
    context: typer.Context,
    batch: Batch,
    failed: Annotated[
        bool, typer.Option("--failed", help="Only hosts that failed; there is no other way.")
    ] = False,
    wait: Wait = True,
    json: Json = False,
) -> None:
    """Try those hosts of a batch again that failed, as a new batch."""
    from ringrift.errors import UsageError

    if not failed:
        raise UsageError("say which hosts to try again", hint=f"ringrift-ctl batches retry {batch} --failed")
    _change(context, batch, "retry", wait, json)


def _choice(
    names: list[str] | None,
    everything: bool,
    kinds: list[str] | None,
    roles: list[str] | None,
    providers: list[str] | None,
) -> dict[str, Any]:
    return {
        "hosts": names or [],
        "everything": everything,
        "kinds": kinds or [],
        "roles": roles or [],
        "providers": providers or [],
    }


def _plan(context: typer.Context, choice: dict[str, Any], json: bool) -> None:
    from ringrift.cli import batchtables
    from ringrift.client import routes
    from ringrift.errors import PartialFailure
    from ringrift.protocol.batches import Choice

    views = report(context, json, routes.plans(routes.build(Choice, **choice)), batchtables.plans)
    silent = [view for view in views if view.error]
    if silent:
        raise PartialFailure(f"{len(silent)} of {len(views)} hosts could not be looked at: {silent[0].error}")


def _run(context: typer.Context, kind: str, order: dict[str, Any], wait: bool, json: bool) -> None:
    from ringrift.client import routes
    from ringrift.protocol.batches import BatchRequest

    request = routes.build(BatchRequest, kind=kind, actor=actor(), **order)
    with controller() as client:
        _finish(context, client, client.send(routes.start_batch(request)), wait, json)


def _change(context: typer.Context, batch: str, verb: str, wait: bool, json: bool) -> None:
    from ringrift.client import routes

    with controller() as client:
        _finish(context, client, client.send(routes.change_batch(batch, verb)), wait, json)


def _finish(context: typer.Context, client: Client, view: BatchView, wait: bool, json: bool) -> None:
    """Follow a batch when asked to, print how its hosts stand, and end with 3 unless all is well."""
    from ringrift.cli import batchtables
    from ringrift.cli.follow import follow_batch
    from ringrift.errors import PartialFailure

    if wait:
        view = follow_batch(client, view)
    output(context, json).data(view, lambda: batchtables.batch(view))
    wrong = {state: view.counts[state] for state in ("failed", "owed") if state in view.counts}
    if wait and (wrong or view.state == "halted"):
        told = ", ".join(f"{count} {state}" for state, count in wrong.items())
        mend = f"batches retry {view.id} --failed" if "failed" in wrong else "hosts debts"
        if view.state == "halted":
            mend = f"batches resume {view.id}"
        raise PartialFailure(
            f"{view.id} {view.state}: {told} of {len(view.hosts)} hosts",
            hint=f"ringrift-ctl {mend}",
        )
