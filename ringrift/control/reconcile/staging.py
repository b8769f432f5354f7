"""Has challengers wait on their targets: copied there and proven before anybody promotes them.

It begins when a model becomes a challenger, which is when its test against the champion is registered: by the
time that the test is over it waits everywhere. A champion that a target was not told to serve yet waits too,
and the champion before the present one: `rollback` is for when there is no time.
"""

from __future__ import annotations

from dataclasses import replace

from sqlmodel import Session

from ringrift.control.domain.ports import DeployOrder, HostSpec, ModelFile, StepReport
from ringrift.control.reconcile.base import converge
from ringrift.control.reconcile.context import Context
from ringrift.control.signing import signed_order, signing_key
from ringrift.control.store import fleet, operations, staging
from ringrift.control.store.hostspecs import host_spec
from ringrift.control.store.tables import Model, Operation
from ringrift.failpoints import side_effect


async def step(context: Context) -> bool:
    """Tell every target which models should wait on it, where that changed."""
    if not context.settings.rollouts.stage_challengers:
        return False
    return await converge("stage.order", context.store, staging.due_stagings, staging.start_stagings)


async def carry_out(context: Context, operation: Operation, token: str, report: StepReport) -> None:
    """Have exactly the models of an operation wait on its target, and no others."""
    spec, models = await context.store.read(lambda s: _asked(s, operation))
    orders = [await _order(context, operation, model) for model in models]
    release = operation.order["release"] or ""
    with side_effect("fleet.stage"):
        await context.fleet.stage(spec, operation.subject, release, orders, report)
    await context.store.write("stage.done", lambda s: operations.finish_operation(s, operation.id, token))


def _asked(session: Session, operation: Operation) -> tuple[HostSpec, list[Model]]:
    names = [entry["sha256"] for entry in operation.order["models"]]
    found = [session.get(Model, name) for name in names]
    spec = host_spec(session, fleet.get_host(session, operation.host))
    return spec, [model for model in found if model is not None]


async def _order(context: Context, operation: Operation, model: Model) -> DeployOrder:
    """Return an order for one model alone, signed, so that the target proves it as it would serve it."""
    path = await context.artifacts.existing(model.sha256)
    file = ModelFile(model.config, model.sha256, path, 0, golden=model.golden)
    port = operation.order["port"]
    order = signed_order(signing_key(context.home), operation.subject, port, "staged", 0, [file])
    return replace(order, engine=operation.order.get("engine") or "torch")
