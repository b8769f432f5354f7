"""`promote` and `rollback`: move the champion of a config, with its evidence."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from ringrift.cli.configs import Key, actor, config_key
from ringrift.cli.output import DryRun, Json, Output, Yes, confirm, controller, output

if TYPE_CHECKING:
    from ringrift.protocol.operator import PromotionView

app = typer.Typer()
Model = Annotated[
    str | None,
    typer.Argument(help="Digits of its SHA-256 or an alias; the newest passed candidate if left out."),
]
Reason = Annotated[str, typer.Option(help="Stored in the audit row.")]


@app.command()
def promote(
    context: typer.Context,
    config: Key,
    model: Model = None,
    reason: Reason = "",
    override: Annotated[
        bool, typer.Option("--override", help="Without the evidence; needs MODEL and --reason.")
    ] = False,
    dry_run: DryRun = False,
    yes: Yes = False,
    json: Json = False,
) -> None:
    """Make a model the champion of its config: shows conditions and evidence, then asks."""
    from ringrift.cli.models import model_name
    from ringrift.client import routes
    from ringrift.errors import UsageError
    from ringrift.protocol.operator import PromoteRequest

    if override and not (model and reason.strip()):
        raise UsageError("--override needs a model and --reason", hint="the audit row keeps the reason")
    out, key = output(context, json), config_key(config)
    wanted = model_name(model, key) if model is not None else None
    draft = {"config": key, "reason": reason, "actor": actor()}
    routes.build(PromoteRequest, **draft)
    with controller() as client:
        plan = client.send(routes.promotion_plan(key, wanted))
        _show_plan(out, plan, dry_run)
        if not override:
            _require_allowed(plan)
        if dry_run:
            return
        against = " AGAINST THE GATE" if not plan.allowed else ""
        confirm(f"Make {(plan.model or '')[:8]} the champion of {key}{against}?", yes)
        wish = {**draft, "model": plan.model, "expected_champion": plan.champion, "override": override}
        request = routes.build(PromoteRequest, **wish)
        made = client.send(routes.promote(request))
    _show_made(out, made)


@app.command()
def rollback(
    context: typer.Context,
    config: Key,
    dry_run: DryRun = False,
    yes: Yes = False,
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Wait until the targets serve it.")] = True,
    json: Json = False,
) -> None:
    """Bring the previous champion of a config back, as champion and on every target that serves it."""
    from ringrift.cli.production import finish
    from ringrift.client import routes

    out, key = output(context, json), config_key(config)
    with controller() as client:
        plan = client.send(routes.rollback(key, dry_run=True))
        _show_plan(out, plan, dry_run)
        _require_allowed(plan)
        if dry_run:
            return
        where = f" and on {len(plan.targets)} target(s)" if plan.targets else ""
        confirm(f"Make {(plan.model or '')[:8]} the champion of {key} again{where}?", yes)
        made = client.send(routes.rollback(key, dry_run=False, champion=plan.champion))
        if made.deployment is None:
            _show_made(out, made)
            return
        out.note(f"{key}: {(made.model or '')[:8]} is champion again, as generation {made.generation}")
        finish(client, out, client.send(routes.deployment(made.deployment)), wait)


def _show_plan(out: Output, plan: PromotionView, dry_run: bool) -> None:
    """The plan is the data of a dry run; before a change it is shown to the person."""
    from ringrift.cli import tables

    if dry_run:
        out.data(plan, lambda: tables.promotion(plan))
    else:
        out.note(tables.promotion(plan))


def _show_made(out: Output, made: PromotionView) -> None:
    from ringrift.cli import tables

    out.data(made, lambda: tables.promotion(made))


def _require_allowed(plan: PromotionView) -> None:
    """Raise what stands in the way; the first failed condition is named with value and limit."""
    from ringrift.errors import MissingEvidence, Refused

    if plan.allowed:
        return
    failed = next((condition for condition in plan.conditions if not condition.passed), None)
    told = f"{failed.name} is {failed.value}, needed is {failed.limit}" if failed else "the gate says no"
    error = Refused if plan.evidence else MissingEvidence
    raise error(f"{plan.config}: {told}", hint=f"see `ringrift-ctl why {plan.config}`")
