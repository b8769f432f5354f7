"""`targets` and `deploy-inference`: what the players get."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from ringrift.cli.configs import actor, config_key
from ringrift.cli.output import DryRun, Json, Yes, confirm, controller, output, report

if TYPE_CHECKING:
    from ringrift.cli.output import Output
    from ringrift.client.http import Client
    from ringrift.protocol.operator import DeploymentView

app = typer.Typer()
targets = typer.Typer(help="Inference targets: where models are served.")
Configs = Annotated[list[str] | None, typer.Option("--config", help="Only this config; may be repeated.")]


@targets.command("list")
def list_targets(context: typer.Context, json: Json = False) -> None:
    """Show every target: state, generation, what it serves."""
    from ringrift.cli import tables
    from ringrift.client import routes

    report(context, json, routes.targets(), tables.targets)


@targets.command()
def show(context: typer.Context, name: str, json: Json = False) -> None:
    """Show one target with desired and serving hash of every config."""
    from ringrift.cli import tables
    from ringrift.client import routes

    report(context, json, routes.target(name), tables.target)


@targets.command()
def add(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="The target's name.")],
    host: Annotated[str, typer.Option(help="A known host.")],
    port: Annotated[int, typer.Option(help="Where the service listens on that host.")],
    config: Configs = None,
    engine: Annotated[str, typer.Option(help="What computes the models there: torch or onnx.")] = "torch",
    json: Json = False,
) -> None:
    """Add an inference target on a known host."""
    from ringrift.cli import tables
    from ringrift.client import routes
    from ringrift.protocol.operator import TargetAdd

    configs = [config_key(key) for key in config or []]
    request = routes.build(TargetAdd, name=name, host=host, port=port, configs=configs, engine=engine)
    report(context, json, routes.add_target(request), tables.target)


@app.command("deploy-inference")
def deploy_inference(
    context: typer.Context,
    target: Annotated[list[str] | None, typer.Argument(help="Targets; all when left out.")] = None,
    config: Configs = None,
    software: Annotated[
        bool, typer.Option("--software", help="Instead of models: this release of ringrift, without a pause.")
    ] = False,
    release: Annotated[
        str | None, typer.Option(metavar="NAME", help="With --software: one that was installed before.")
    ] = None,
    dry_run: DryRun = False,
    yes: Yes = False,
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Wait and show the steps.")] = True,
    cancel: Annotated[
        str | None, typer.Option(metavar="ID", help="Instead: end this deployment and take it back.")
    ] = None,
    json: Json = False,
) -> None:
    """Make targets serve the champions, or run a release, wave by wave; when one fails, all go back."""
    from ringrift.cli import tables
    from ringrift.client import routes
    from ringrift.protocol.operator import DeployRequest

    out = output(context, json)
    configs = [config_key(key) for key in config or []]
    asked = {
        "targets": target or [],
        "configs": configs,
        "software": software,
        "release": release,
        "actor": actor(),
    }
    with controller() as client:
        if cancel is not None:
            _cancel(client, out, cancel, bool(target or config or software or release or dry_run), wait)
            return
        plan = client.send(routes.deploy(routes.build(DeployRequest, **asked, dry_run=True)))
        if dry_run:
            out.data(plan, lambda: tables.deployment(plan))
            return
        out.note(tables.deployment(plan))
        confirm(_question(plan), yes)
        asked["release"] = plan.release  # what was shown, whatever is the present one by now
        finish(client, out, client.send(routes.deploy(routes.build(DeployRequest, **asked))), wait)


def finish(client: Client, out: Output, view: DeploymentView, wait: bool) -> None:
    """Follow a deployment when asked to, print how its targets stand, and end with 3 unless all serve it."""
    from ringrift.cli import tables
    from ringrift.cli.follow import follow_deployment, raise_unless_served

    if wait:
        view = follow_deployment(client, view)
    out.data(view, lambda: tables.deployed(view))
    raise_unless_served(view)


def _cancel(client: Client, out: Output, identity: str, more: bool, wait: bool) -> None:
    """Take a deployment back; that it ends `cancelled` is no failure then."""
    from ringrift.cli import tables
    from ringrift.cli.follow import follow_deployment, raise_unless_served
    from ringrift.client import routes
    from ringrift.errors import UsageError

    if more:
        raise UsageError("--cancel takes the id of a deployment and nothing else")
    view = client.send(routes.cancel_deployment(identity))
    if wait:
        view = follow_deployment(client, view)
    out.data(view, lambda: tables.deployed(view))
    if any(row.state == "failed" for row in view.targets):
        raise_unless_served(view)


def _question(plan: DeploymentView) -> str:
    if plan.release is not None:
        count = sum(row.release != plan.release for row in plan.targets)
        return f"Install release {plan.release} on {count} target(s) of {len(plan.targets)}?"
    changes = [action for action in plan.actions if action.change]
    names = {action.target for action in changes}
    if not changes:
        return "Everything is served as desired; deploy again all the same?"
    return f"Change {len(changes)} served model(s) on {len(names)} target(s)?"
