"""Makes one target serve what its deployment orders, and believes only what the target then says."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from sqlmodel import Session

from ringrift.control.domain.ports import DeployOrder, HostSpec, ModelFile, Serving, StepReport
from ringrift.control.reconcile.context import Context
from ringrift.control.store import fleet, operations, production
from ringrift.control.store.hostspecs import host_spec
from ringrift.control.store.tables import Operation
from ringrift.errors import CorruptData
from ringrift.failpoints import side_effect


async def carry_out(context: Context, operation: Operation, token: str, report: StepReport) -> None:
    """Hand the order to the SSH room, verify the answer and record what serves where."""
    spec = await context.store.read(lambda s: _spec(s, operation.host))
    names = {entry["sha256"] for entry in operation.order["models"]}
    order = deploy_order(operation, {sha: await context.artifacts.existing(sha) for sha in names})
    with side_effect("fleet.deploy"):
        serving = await context.fleet.deploy(spec, order, report)
    _verify(order, serving)
    await context.store.write("deploy.served", lambda s: _served(s, operation, token, serving))


def _spec(session: Session, name: str) -> HostSpec:
    return host_spec(session, fleet.get_host(session, name))


def deploy_order(operation: Operation, files: Mapping[str, Path]) -> DeployOrder:
    """Return the order of an operation with the files of its models."""
    models = tuple(
        ModelFile(entry["config"], entry["sha256"], files[entry["sha256"]], entry["generation"])
        for entry in operation.order["models"]
    )
    return DeployOrder(
        target=operation.subject,
        port=operation.order["port"],
        deployment=operation.deployment or operation.id,
        generation=operation.order["generation"],
        models=models,
    )


def _verify(order: DeployOrder, serving: Serving) -> None:
    wanted = {model.config: model.sha256 for model in order.models}
    if serving.healthy and serving.models == wanted:
        return
    wrong = sorted(key for key in wanted | serving.models if wanted.get(key) != serving.models.get(key))
    issue = f": {serving.issues[0]}" if serving.issues else ""
    what = f"serves something else for {', '.join(wrong)}" if wrong else "is not healthy"
    raise CorruptData(f"target {order.target} {what} after its deployment{issue}", hint="deploy again")


def _served(session: Session, operation: Operation, token: str, serving: Serving) -> None:
    """Close the operation and record what the target serves, together; nothing when superseded."""
    if operations.finish_operation(session, operation.id, token) is not None:
        production.record_serving(session, operation.subject, serving)
