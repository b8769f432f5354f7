"""A model carries what its net says in fixed positions from its training into the manifest."""

from __future__ import annotations

import json
from typing import Any

import pytest
from sqlalchemy import text

from ringrift.control.store.tables import Model
from tests.control.doubles import vectors
from tests.control.test_operations import champion
from tests.control.world import CONFIG, World


async def forget_vectors(world: World, model: str) -> None:
    """Make a model one of the release before."""
    await world.write(
        lambda s: s.execute(text("UPDATE model SET golden = NULL WHERE sha256 = :name"), {"name": model})
    )


async def add_target(world: World, name: str = "front") -> None:
    await world.post("/targets", {"name": name, "host": "stage", "port": 9000})


def manifests(world: World) -> list[dict[str, Any]]:
    return [json.loads(order.manifest) for order in world.fleet.orders]


async def test_a_trained_model_keeps_its_vectors_and_its_manifest_tells_them(world: World) -> None:
    model = await champion(world)
    await add_target(world)
    await world.post("/deployments", {})
    await world.finish_deployments()
    (manifest,) = manifests(world)
    assert manifest["format"] == 3
    assert manifest["models"][CONFIG]["sha256"] == model
    assert manifest["models"][CONFIG]["golden"] == vectors(CONFIG)


async def test_the_vectors_of_a_result_are_filed_and_an_agent_of_before_has_none(world: World) -> None:
    agent = await world.agent("alpha")
    await world.enable()
    known = world.work.unit

    def unit(spec: dict[str, Any], sequence: int) -> Any:
        payload, files = known(spec, sequence)
        if payload["kind"] == "train" and spec["parent"] is None:
            del payload["golden"]
        return payload, files

    world.work.unit = unit  # type: ignore[method-assign]

    async def trained() -> list[Model]:
        return list(await world.read(lambda s: s.query(Model).all()))

    await world.run_until([agent], trained)
    (model,) = await trained()
    assert model.golden is None and model.state == "candidate"


@pytest.mark.parametrize("dry_run", [True, False])
async def test_a_model_without_vectors_is_not_deployed(world: World, dry_run: bool) -> None:
    model = await champion(world)
    await forget_vectors(world, model)
    await add_target(world)
    refused = await world.post("/deployments", {"dry_run": dry_run}, status=409)
    assert refused["error"]["code"] == "refused"
    told = f"model {model[:12]} of {CONFIG} carries no golden vectors"
    assert refused["error"]["message"] == told and "train" in refused["error"]["hint"]
    assert await world.read(lambda s: s.execute(text("SELECT count(*) FROM deployment")).scalar_one()) == 0


async def test_what_a_target_serves_already_may_be_ordered_again_and_gone_back_to(world: World) -> None:
    first = await champion(world, "a")
    await add_target(world)
    await world.post("/deployments", {})
    await world.finish_deployments()
    await forget_vectors(world, first)
    await world.post("/deployments", {})
    await world.finish_deployments()
    await champion(world, "b", first)
    await world.post("/deployments", {})
    await world.finish_deployments()
    await world.post(f"/rollback/{CONFIG}")
    await world.finish_deployments()
    assert [manifest["format"] for manifest in manifests(world)] == [3, 2, 3, 2]
    assert (await world.get("/targets/front"))["models"][0]["serving"] == first
