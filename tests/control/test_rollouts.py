"""Rollouts through the API: waves, the way back, kills between any two steps, and rollback in one action."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import text

from ringrift import failpoints
from ringrift.control.domain.ports import Serving, Traffic
from ringrift.control.reconcile import targets as asking
from ringrift.control.settings import Settings
from ringrift.control.store.rollouts import active_deployments
from ringrift.errors import CorruptData, Unreachable
from tests.control.test_operations import champion
from tests.control.world import CONFIG, World, small_settings

SIX = [f"t{number}" for number in range(1, 7)]


async def standing(world: World, *names: str) -> list[str]:
    """Have targets that serve a first champion, and a second one that is to follow; return both."""
    first = await champion(world, "a")
    for name in names:
        await world.post("/targets", {"name": name, "host": "stage", "port": 9000})
    await roll_out(world)
    world.fleet.orders.clear()
    return [first, await champion(world, "b", first)]


async def roll_out(world: World, **body: Any) -> Any:
    begun = await world.post("/deployments", body)
    await world.finish_deployments()
    return await world.get(f"/deployments/{begun['id']}")


def states(view: Any) -> dict[str, str]:
    return {row["target"]: row["state"] for row in view["targets"]}


def orders(world: World) -> list[tuple[str, int, str]]:
    return [(order.target, order.generation, order.models[0].sha256) for order in world.fleet.orders]


async def test_six_targets_follow_in_three_waves_and_the_plan_says_so(world: World) -> None:
    _, second = await standing(world, *SIX)
    plan = await world.post("/deployments", {"dry_run": True})
    assert [(row["target"], row["wave"]) for row in plan["targets"]] == list(
        zip(SIX, [1, 2, 2, 3, 3, 3], strict=True)
    )
    assert plan["id"] is None and world.fleet.orders == []
    done = await roll_out(world)
    assert done["state"] == "succeeded" and set(states(done).values()) == {"succeeded"}
    assert orders(world) == [(name, 2, second) for name in SIX]
    assert (await world.get("/targets/t6"))["rollout"] == done["targets"][5]


async def test_while_the_first_target_is_not_proven_no_other_is_touched(world: World) -> None:
    await standing(world, "t1", "t2")
    world.fleet.fail("observe", *[Unreachable("no answer")] * 20, subject="t1")
    begun = await world.post("/deployments", {})
    for _ in range(3):
        await world.reconcile("rollouts", "operations")
        await world.flights("operation:")
        await world.reconcile("rollouts", "targets")
        await world.flights("target:")
    view = await world.get(f"/deployments/{begun['id']}")
    assert states(view) == {"t1": "baking", "t2": "waiting"}
    await world.write(lambda s: s.execute(text("UPDATE deployment_target SET since = since - 1000")))
    world.fleet.failures.clear()
    await world.write(lambda s: s.execute(text("UPDATE target SET state = 'unreachable', checked_at = 1")))
    await world.reconcile("rollouts")
    view = await world.get(f"/deployments/{begun['id']}")
    assert view["state"] == "halting" and "could not be asked" in view["reason"]


async def test_a_failure_in_the_second_wave_takes_every_touched_target_back(world: World) -> None:
    first, second = await standing(world, *SIX)
    world.fleet.fail("deploy", CorruptData("a golden vector differs"), subject="t3")
    done = await roll_out(world)
    assert done["state"] == "failed" and done["reason"] == "t3: a golden vector differs"
    assert states(done) == {**dict.fromkeys(SIX[:3], "rolled_back"), **dict.fromkeys(SIX[3:], "skipped")}
    assert orders(world)[:3] == [(name, 2, second) for name in SIX[:3]]
    assert sorted(orders(world)[3:]) == [(name, 3, first) for name in SIX[:3]]
    for name in SIX[:3]:
        shown = await world.get(f"/targets/{name}")
        assert (shown["state"], shown["generation"]) == ("serving", 3)
        assert shown["models"] == [{"config": CONFIG, "desired": first, "serving": first}]
        assert shown["rollout"]["state"] == "rolled_back" and "golden vector" in shown["rollout"]["reason"]
    told = {event["action"] for event in await world.get("/events?limit=30")}
    assert {"deployment.started", "deployment.halting", "deployment.failed", "deploy.failed"} <= told
    assert (await world.post("/deployments", {"dry_run": True}))["generation"] == 4


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (Serving(False, 2, {}, ("hash of hex8_2p differs",)), "it is unhealthy: hash of hex8_2p differs"),
        (Serving(True, 2, {CONFIG: "0" * 64}), "it is drifted"),
    ],
)
async def test_a_target_that_proves_bad_while_it_is_watched_is_taken_back(
    world: World, monkeypatch: pytest.MonkeyPatch, said: Serving, reason: str
) -> None:
    first, _ = await standing(world, "t1", "t2")
    ask = world.fleet.observe

    async def bad(host: Any, target: str, port: int) -> Serving:
        return said if world.fleet.served[target].generation == 2 else await ask(host, target, port)

    monkeypatch.setattr(world.fleet, "observe", bad)
    done = await roll_out(world)
    assert done["state"] == "failed" and reason in done["reason"]
    assert states(done) == {"t1": "rolled_back", "t2": "skipped"}
    assert orders(world)[1:] == [("t1", 3, first)]


class TestBudgets:
    """Moves and errors are counted while a target is watched."""

    @pytest.fixture
    def settings(self) -> Settings:
        return small_settings(rollouts={"bake_seconds": 0.001})

    async def counted(self, world: World, patch: pytest.MonkeyPatch, count: Callable[[int], Traffic]) -> Any:
        await standing(world, "t1", "t2")
        patch.setattr(asking, "_BAKING_SECONDS", 0.0)
        ask, asked = world.fleet.observe, 0

        async def counting(host: Any, target: str, port: int) -> Serving:
            nonlocal asked
            asked += 1
            world.fleet.traffic[target] = count(asked)
            return await ask(host, target, port)

        patch.setattr(world.fleet, "observe", counting)
        return await roll_out(world)

    async def test_a_target_that_answers_fast_and_well_is_proven(self, world: World, monkeypatch) -> None:
        done = await self.counted(world, monkeypatch, lambda n: Traffic(100 * n, 0, ((0.05, 100 * n),)))
        assert done["state"] == "succeeded"
        assert "00 moves, p99 at most 0.05 s, 0 errors" in done["targets"][0]["reason"]

    async def test_a_target_that_errs_too_often_is_taken_back(self, world: World, monkeypatch) -> None:
        done = await self.counted(world, monkeypatch, lambda n: Traffic(10 * n, n, ((0.05, 10 * n),)))
        assert "errors beside" in done["reason"] and states(done) == {"t1": "rolled_back", "t2": "skipped"}

    async def test_a_target_that_answers_too_slowly_is_taken_back(self, world: World, monkeypatch) -> None:
        done = await self.counted(world, monkeypatch, lambda n: Traffic(10 * n, 0, ((10.0, 0),)))
        assert "p99 is above" in done["reason"] and states(done)["t1"] == "rolled_back"


async def test_a_target_that_fails_after_its_wave_takes_all_back_too(world: World) -> None:
    await standing(world, "t1", "t2")
    begun = await world.post("/deployments", {})
    for _ in range(20):
        await world.reconcile("rollouts", "operations")
        await world.flights("operation:")
        await world.reconcile("targets")
        await world.flights("target:")
        if states(await world.get(f"/deployments/{begun['id']}"))["t1"] == "succeeded":
            break
    await world.write(lambda s: s.execute(text("UPDATE target SET state = 'unhealthy' WHERE name = 't1'")))
    await world.finish_deployments()
    done = await world.get(f"/deployments/{begun['id']}")
    assert done["state"] == "failed" and done["reason"].startswith("t1: it is unhealthy")
    assert "succeeded" not in states(done).values()


async def test_a_target_that_served_nothing_before_is_told_to_have_failed(world: World) -> None:
    await champion(world)
    await world.post("/targets", {"name": "front", "host": "stage", "port": 9000})
    world.fleet.fail("deploy", Unreachable("stage does not answer"))
    done = await roll_out(world)
    assert done["state"] == "failed" and states(done) == {"front": "failed"}
    assert len(world.fleet.orders) == 1


async def test_a_target_that_cannot_be_reached_is_taken_back_when_it_can(world: World) -> None:
    first, _ = await standing(world, "t1", "t2")
    away = [None, Unreachable("no route"), Unreachable("no route")]
    world.fleet.fail("deploy", *away, subject="t1")
    world.fleet.fail("deploy", CorruptData("bad bytes"), subject="t2")
    done = await roll_out(world)
    assert states(done) == {"t1": "rolled_back", "t2": "rolled_back"}
    assert orders(world).count(("t1", 3, first)) == 3


class TestWithoutPatience:
    """What cannot be taken back is said, and stays what the target should come to."""

    @pytest.fixture
    def settings(self) -> Settings:
        return small_settings(rollouts={"patience_seconds": 0.0})

    async def test_it_ends_failed_and_names_why(self, world: World) -> None:
        first, second = await standing(world, "t1", "t2")
        world.fleet.fail("deploy", None, Unreachable("no route"), subject="t1")
        world.fleet.fail("deploy", CorruptData("bad bytes"), subject="t2")
        done = await roll_out(world)
        assert states(done) == {"t1": "failed", "t2": "rolled_back"}
        assert done["targets"][0]["reason"].endswith("it was not taken back: no route")
        await world.write(lambda s: s.execute(text("UPDATE target SET checked_at = 1")))
        await world.reconcile("targets")
        await world.flights("target:")
        shown = await world.get("/targets/t1")
        assert shown["state"] == "drifted" and shown["models"][0] == {
            "config": CONFIG,
            "desired": first,
            "serving": second,
        }
        assert any("not taken back" in fact for fact in (await world.get("/why/t1"))["facts"])


@pytest.mark.parametrize("fails", [False, True])
async def test_a_controller_that_dies_between_any_two_passes_comes_to_the_same_end(
    world: World, fails: bool
) -> None:
    first, second = await standing(world, "t1", "t2", "t3")
    if fails:
        world.fleet.fail("deploy", CorruptData("bad bytes"), subject="t3")
    begun = await world.post("/deployments", {})
    for _ in range(60):
        for name in ("rollouts", "operations", "targets"):
            await world.reconcile(name)
            await world.flights("operation:")
            await world.flights("target:")
            await world.restart()
        if not await world.read(active_deployments):
            break
    done = await world.get(f"/deployments/{begun['id']}")
    assert done["state"] == ("failed" if fails else "succeeded")
    assert set(states(done).values()) == {"rolled_back" if fails else "succeeded"}
    there = [(name, 2, second) for name in ("t1", "t2", "t3")]
    assert sorted(orders(world)) == sorted(there + [(n, 3, first) for n, _, _ in there if fails])


class TestTwoAtOnce:
    """One rollout at a time on a target; a person can end it."""

    async def test_another_one_on_the_same_target_is_refused_and_says_how_to_cancel(
        self, world: World
    ) -> None:
        await standing(world, "t1", "t2")
        begun = await world.post("/deployments", {})
        assert (await world.post("/deployments", {}))["id"] == begun["id"]
        refused = (await world.post("/deployments", {"targets": ["t2"]}, status=409))["error"]
        assert refused["message"] == f"t2 is being deployed to by {begun['id']}"
        assert f"deploy-inference --cancel {begun['id']}" in refused["hint"]
        await world.post("/targets", {"name": "t3", "host": "stage", "port": 9001})
        assert (await world.post("/deployments", {"targets": ["t3"]}))["id"] != begun["id"]

    async def test_a_cancelled_rollout_takes_back_what_it_touched(self, world: World) -> None:
        first, second = await standing(world, "t1", "t2")
        begun = await world.post("/deployments", {})
        await world.reconcile("rollouts", "operations")
        assert (await world.post(f"/deployments/{begun['id']}/cancel"))["state"] == "cancelling"
        assert (await world.post(f"/deployments/{begun['id']}/cancel"))["state"] == "cancelling"
        await world.finish_deployments()
        done = await world.get(f"/deployments/{begun['id']}")
        assert done["state"] == "cancelled" and done["reason"] == "cancelled by operator"
        assert states(done) == {"t1": "rolled_back", "t2": "skipped"}
        assert orders(world) == [("t1", 2, second), ("t1", 3, first)]

    async def test_what_has_ended_cannot_be_cancelled(self, world: World) -> None:
        await standing(world, "t1")
        done = await roll_out(world)
        refused = (await world.post(f"/deployments/{done['id']}/cancel", status=409))["error"]
        assert "is succeeded and cannot become cancelling" in refused["message"]
        await world.post("/deployments/dep_none/cancel", status=404)


class TestRollback:
    """Pointer, weights and serving come back in one action."""

    async def test_champion_and_every_target_that_serves_the_config_come_back(self, world: World) -> None:
        first, second = await standing(world, "t1", "t2")
        await roll_out(world)
        await world.post("/targets", {"name": "other", "host": "stage", "port": 9001})
        plan = await world.post(f"/rollback/{CONFIG}?dry_run=true")
        assert plan["targets"] == ["t1", "t2"] and not plan["done"] and plan["deployment"] is None
        made = await world.post(f"/rollback/{CONFIG}?expected_champion={second}")
        await world.finish_deployments()
        done = await world.get(f"/deployments/{made['deployment']}")
        assert done["state"] == "succeeded" and set(states(done)) == {"t1", "t2"}
        assert (await world.get(f"/configs/{CONFIG}"))["champion"]["model"] == first
        for name in ("t1", "t2"):
            assert (await world.get(f"/targets/{name}"))["models"][0]["serving"] == first

    async def test_another_champion_than_the_one_that_was_seen_is_not_rolled_back(self, world: World) -> None:
        first, second = await standing(world, "t1")
        refused = await world.post(f"/rollback/{CONFIG}?expected_champion={first}", status=409)
        assert second[:12] in refused["error"]["message"]

    async def test_while_a_rollout_runs_there_nothing_is_moved_at_all(self, world: World) -> None:
        _, second = await standing(world, "t1")
        begun = await world.post("/deployments", {})
        refused = await world.post(f"/rollback/{CONFIG}", status=409)
        assert f"--cancel {begun['id']}" in refused["error"]["hint"]
        assert (await world.get(f"/configs/{CONFIG}"))["champion"]["model"] == second

    async def test_a_champion_whose_file_is_gone_is_not_brought_back(self, world: World) -> None:
        await standing(world, "t1")
        await world.write(lambda s: s.execute(text("UPDATE artifact SET deleted_at = 1")))
        refused = await world.post(f"/rollback/{CONFIG}", status=409)
        assert "weights is gone" in refused["error"]["message"]

    async def test_without_a_target_only_the_champion_comes_back(self, world: World) -> None:
        first = await champion(world, "a")
        await champion(world, "b", first)
        made = await world.post(f"/rollback/{CONFIG}")
        assert made["done"] and made["model"] == first and made["deployment"] is None


async def test_a_step_that_ends_at_once_is_one_commit(world: World) -> None:
    await standing(world, "t1")
    commits: list[str] = []
    failpoints.watch(lambda name, moment: commits.append(name) if moment == "after" else None)
    try:
        done = await roll_out(world)
    finally:
        failpoints.watch(failpoints.armed())
    (operation,) = done["operations"]
    assert [(step["name"], step["state"]) for step in operation["steps"]] == [("copy", "done")]
    assert commits.count("operation.step") == 1
