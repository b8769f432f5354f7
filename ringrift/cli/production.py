"""`targets` and `deploy-inference`: what the players get."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from ringrift.cli.configs import actor, config_key
from ringrift.cli.output import DryRun, Json, Yes, confirm, controller, output, report

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ringrift.client.http import Client
    from ringrift.protocol.operator import DeploymentView, OperationView

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
    json: Json = False,
) -> None:
    """Add an inference target on a known host."""
    from ringrift.cli import tables
    from ringrift.client import routes
    from ringrift.protocol.operator import TargetAdd

    configs = [config_key(key) for key in config or []]
    request = routes.build(TargetAdd, name=name, host=host, port=port, configs=configs)
    report(context, json, routes.add_target(request), tables.target)


@app.command("deploy-inference")
def deploy_inference(
    context: typer.Context,
    target: Annotated[list[str] | None, typer.Argument(help="Targets; all when left out.")] = None,
    config: Configs = None,
    dry_run: DryRun = False,
    yes: Yes = False,
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Wait and show the steps.")] = True,
    json: Json = False,
) -> None:
    """Make targets serve the champions: copy, verify hash and one legal move, swap."""
    from ringrift.cli import tables
    from ringrift.cli.follow import follow, raise_failures
    from ringrift.client import routes
    from ringrift.protocol.operator import DeployRequest

    out = output(context, json)
    configs = [config_key(key) for key in config or []]
    asked = {"targets": target or [], "configs": configs, "actor": actor()}
    with controller() as client:
        plan = client.send(routes.deploy(routes.build(DeployRequest, **asked, dry_run=True)))
        if dry_run:
            out.data(plan, lambda: tables.deployment(plan))
            return
        out.note(tables.deployment(plan))
        confirm(_question(plan), yes)
        view = client.send(routes.deploy(routes.build(DeployRequest, **asked)))
        if wait and view.id:
            identity = view.id
            follow(lambda: _operations(client, identity), view.operations, "deploy")
            view = client.send(routes.deployment(identity))
    out.data(view, lambda: tables.deployed(view))
    raise_failures(view.operations)


def _question(plan: DeploymentView) -> str:
    changes = [action for action in plan.actions if action.change]
    names = {action.target for action in changes}
    if not changes:
        return "Everything is served as desired; deploy again all the same?"
    return f"Change {len(changes)} served model(s) on {len(names)} target(s)?"


def _operations(client: Client, identity: str) -> Sequence[OperationView]:
    from ringrift.client import routes

    return client.send(routes.deployment(identity)).operations
