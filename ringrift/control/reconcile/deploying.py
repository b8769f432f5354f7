"""Makes one target serve what its deployment orders, and believes only what the target then says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlmodel import Session

from ringrift.control.domain.ports import DeployOrder, HostSpec, ModelFile, Serving, StepReport
from ringrift.control.reconcile.context import Context
from ringrift.control.signing import signed_order, signing_key
from ringrift.control.store import fleet, operations, production
from ringrift.control.store.hostspecs import host_spec
from ringrift.control.store.tables import Model, Operation, Promotion
from ringrift.errors import CorruptData
from ringrift.failpoints import side_effect


async def carry_out(context: Context, operation: Operation, token: str, report: StepReport) -> None:
    """Hand the order to the SSH room, verify the answer and record what serves where."""
    spec = await context.store.read(lambda s: _spec(s, operation.host))
    names = {entry["sha256"] for entry in operation.order["models"]}
    carried = await context.store.read(lambda s: _carried(s, operation))
    files = {sha: await context.artifacts.existing(sha) for sha in names}
    order = deploy_order(operation, files, carried, signing_key(context.home))
    with side_effect("fleet.deploy"):
        serving = await context.fleet.deploy(spec, order, report)
    _verify(order, serving)
    await context.store.write("deploy.served", lambda s: _served(s, operation, token, serving))


def _spec(session: Session, name: str) -> HostSpec:
    return host_spec(session, fleet.get_host(session, name))


class Carried(NamedTuple):
    """What a manifest tells of a model beside its hash."""

    evaluation: str | None
    """The test that it passed to become champion; None where there was none."""
    golden: dict[str, Any] | None


def _carried(session: Session, operation: Operation) -> dict[str, Carried]:
    """Return, by config, what goes with each model of an order."""
    found = {}
    for entry in operation.order["models"]:
        promotion = session.get(Promotion, (entry["config"], entry["generation"]))
        model = session.get(Model, entry["sha256"])
        found[entry["config"]] = Carried(promotion and promotion.evaluation, model and model.golden)
    return found


def deploy_order(
    operation: Operation, files: Mapping[str, Path], carried: Mapping[str, Carried], key: Ed25519PrivateKey
) -> DeployOrder:
    """Return the signed order of an operation with the files of its models and what goes with them."""
    models = [
        ModelFile(
            config=entry["config"],
            sha256=entry["sha256"],
            path=files[entry["sha256"]],
            generation=entry["generation"],
            **carried[entry["config"]]._asdict(),
        )
        for entry in operation.order["models"]
    ]
    deployment, generation = operation.deployment or operation.id, operation.order["generation"]
    order = signed_order(key, operation.subject, operation.order["port"], deployment, generation, models)
    release, engine = operation.order.get("release") or "", operation.order.get("engine") or "torch"
    return replace(order, release=release, engine=engine)


def _verify(order: DeployOrder, serving: Serving) -> None:
    wanted = {model.config: model.sha256 for model in order.models}
    if serving.healthy and serving.models == wanted and order.release in ("", serving.release):
        return
    wrong = sorted(key for key in wanted | serving.models if wanted.get(key) != serving.models.get(key))
    issue = f": {serving.issues[0]}" if serving.issues else ""
    what = f"serves something else for {', '.join(wrong)}" if wrong else "is not healthy"
    if serving.healthy and not wrong:
        what = f"runs release {serving.release} instead of {order.release}"
    raise CorruptData(f"target {order.target} {what} after its deployment{issue}", hint="deploy again")


def _served(session: Session, operation: Operation, token: str, serving: Serving) -> None:
    """Close the operation and record what the target serves, together; nothing when superseded."""
    if operations.finish_operation(session, operation.id, token) is not None:
        production.record_serving(session, operation.subject, serving)
