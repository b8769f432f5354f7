"""Rollouts of our own software: the same waves, the same way back, and what runs where is observed."""

from __future__ import annotations

import asyncio
import os
from dataclasses import replace
from typing import Any

from ringrift.control.reconcile import retention
from ringrift.errors import EnvironmentProblem
from tests.control.doubles import RELEASE
from tests.control.test_operations import champion, eventually
from tests.control.test_rollouts import roll_out, standing, states
from tests.control.world import World

NEW = "0123456789ab"
VERB = "ringrift-ctl deploy-inference"
THREE = ["t1", "t2", "t3"]


def installed(world: World) -> list[tuple[str, int, str]]:
    return [(order.target, order.generation, order.release) for order in world.fleet.orders]


async def test_it_keeps_the_models_and_goes_in_waves_and_the_plan_says_so(world: World) -> None:
    first, _ = await standing(world, *THREE)
    world.fleet.release = NEW
    plan = await world.post("/deployments", {"software": True, "dry_run": True})
    assert (plan["release"], plan["id"]) == (NEW, None)
    assert [(row["target"], row["wave"], row["release"]) for row in plan["targets"]] == [
        ("t1", 1, RELEASE),
        ("t2", 2, RELEASE),
        ("t3", 3, RELEASE),
    ]
    assert not any(action["change"] for action in plan["actions"]) and world.fleet.orders == []
    done = await roll_out(world, software=True)
    assert (done["state"], done["release"]) == ("succeeded", NEW)
    assert installed(world) == [(name, 2, NEW) for name in THREE]
    assert {model.sha256 for order in world.fleet.orders for model in order.models} == {first}
    shown = await world.get("/targets/t3")
    assert (shown["release"], shown["state"]) == (NEW, "serving")


async def test_a_release_that_one_target_cannot_run_is_taken_back_everywhere(world: World) -> None:
    await standing(world, *THREE)
    world.fleet.release = NEW
    world.fleet.fail("deploy", EnvironmentProblem("it does not take over"), subject="t2")
    done = await roll_out(world, software=True)
    assert done["state"] == "failed" and "does not take over" in done["reason"]
    assert states(done) == {"t1": "rolled_back", "t2": "rolled_back", "t3": "skipped"}
    back = [item for item in installed(world) if item[1] == 3]
    assert sorted(back) == [("t1", 3, RELEASE), ("t2", 3, RELEASE)]
    assert (await world.get("/targets/t1"))["release"] == RELEASE


async def test_models_follow_without_other_software(world: World) -> None:
    _, second = await standing(world, "t1")
    world.fleet.release = NEW
    await roll_out(world)
    assert installed(world) == [("t1", 2, RELEASE)]
    await roll_out(world, software=True)
    await roll_out(world)
    assert installed(world)[1:] == [("t1", 3, NEW), ("t1", 4, NEW)]
    assert {order.models[0].sha256 for order in world.fleet.orders} == {second}


async def test_a_target_that_runs_other_software_than_ordered_has_drifted(world: World) -> None:
    await standing(world, "t1")
    await roll_out(world, software=True)
    said = world.fleet.served["t1"]
    world.fleet.serving["t1"] = replace(said, release="feedfacefeed")
    await world.write(lambda s: s.connection().exec_driver_sql("UPDATE target SET checked_at = 1"))
    await world.reconcile("targets")
    await world.flights("target:")
    shown = await world.get("/targets/t1")
    assert shown["state"] == "drifted"
    assert shown["issues"] == [f"it runs release feedfacefeed instead of {RELEASE}"]


async def test_an_earlier_release_is_installed_by_its_name(world: World) -> None:
    await standing(world, "t1")
    world.fleet.release = NEW
    done = await roll_out(world, software=True)
    assert done["reversible"] == f"yes: {VERB} --software --release {RELEASE} goes back without a pause"
    back = await roll_out(world, software=True, release=RELEASE)
    assert (back["state"], back["release"]) == ("succeeded", RELEASE)
    assert installed(world) == [("t1", 2, NEW), ("t1", 3, RELEASE)]
    assert (await world.post("/deployments", {"software": True, "dry_run": True}))["release"] == NEW


async def test_one_that_goes_on_is_carried_on_after_a_kill_or_taken_back_by_its_id(world: World) -> None:
    await standing(world, "t1", "t2")
    world.fleet.release = NEW
    begun = await world.post("/deployments", {"software": True})
    assert (await world.post("/deployments", {"software": True}))["id"] == begun["id"]
    other = await world.post("/deployments", {"software": True, "release": RELEASE}, status=409)
    assert "is being deployed to" in other["error"]["message"]
    world.fleet.stand_still = asyncio.Event()
    await world.reconcile("rollouts", "operations")
    await eventually(lambda: _ordered(world))
    await world.restart()
    world.fleet.stand_still, world.fleet.release = None, "ffffffffffff"
    await world.post(f"/deployments/{begun['id']}/cancel")
    await world.finish_deployments()
    done = await world.get(f"/deployments/{begun['id']}")
    assert (done["state"], states(done)) == ("cancelled", {"t1": "rolled_back", "t2": "skipped"})
    assert installed(world) == [("t1", 2, NEW), ("t1", 2, NEW), ("t1", 3, RELEASE)]


async def _ordered(world: World) -> bool:
    return bool(world.fleet.orders)


async def test_a_first_deployment_installs_the_present_release_and_keeps_to_it(world: World) -> None:
    await champion(world)
    await world.post("/targets", {"name": "new", "host": "stage", "port": 9000})
    plan = await world.post("/deployments", {"dry_run": True})
    assert [row["release"] for row in plan["targets"]] == [None]
    await roll_out(world)
    world.fleet.release = NEW
    await roll_out(world)
    assert installed(world) == [("new", 1, ""), ("new", 2, RELEASE)]


async def test_a_target_that_comes_back_with_other_software_than_ordered_fails_the_deployment(
    world: World,
) -> None:
    await standing(world, "t1")
    said = world.fleet.served["t1"]
    world.fleet.serving["t1"], world.fleet.release = replace(said, generation=2), NEW
    done = await roll_out(world, software=True)
    assert f"runs release {RELEASE} instead of {NEW}" in done["reason"]


async def test_releases_that_targets_run_or_go_back_to_are_kept(world: World) -> None:
    await standing(world, "t1")
    for number in range(1, 8):
        (world.home / "releases" / f"{number:012x}").mkdir(parents=True)
        os.utime(world.home / "releases" / f"{number:012x}", (number, number))
    for number in (1, 2, 3):
        world.fleet.release = f"{number:012x}"
        await roll_out(world, software=True)
    await retention.run(world.context)
    left = {path.name for path in (world.home / "releases").iterdir()}
    assert left == {f"{number:012x}" for number in (2, 3, 5, 6, 7)}


async def test_what_cannot_be_is_refused(world: World) -> None:
    await champion(world)
    await world.post("/targets", {"name": "new", "host": "stage", "port": 9000})
    cases: list[tuple[dict[str, Any], int, str]] = [
        ({"software": True, "configs": ["hex8_2p"]}, 422, "every config"),
        ({"release": NEW}, 422, "no software is to be installed"),
        ({"software": True, "release": NEW}, 404, f"there is no release {NEW}"),
        ({"software": True, "release": "../../etc"}, 422, "release"),
        ({"software": True}, 404, "no inference target serves anything"),
        ({"software": True, "targets": ["new"]}, 409, "target new serves nothing yet"),
    ]
    for body, status, told in cases:
        refused = await world.post("/deployments", body, status=status)
        assert told in refused["error"]["message"]


async def test_a_target_that_never_told_its_release_gets_models_first(world: World) -> None:
    await standing(world, "t1")
    await world.write(lambda s: s.connection().exec_driver_sql("UPDATE target SET release = NULL"))
    refused = await world.post("/deployments", {"software": True}, status=409)
    assert refused["error"]["message"] == "target t1 did not tell which release it runs"
