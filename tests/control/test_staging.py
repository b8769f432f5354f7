"""Challengers wait on their targets before anybody promotes them, and go when nobody will."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from sqlalchemy import text

from ringrift.control.domain.staging import RETRY_SECONDS, Ordered, is_due
from ringrift.control.store.tables import Alias
from ringrift.errors import CorruptData, Unreachable
from tests.control.doubles import RELEASE
from tests.control.stage import with_candidates
from tests.control.test_operations import champion
from tests.control.world import CONFIG, World, small_settings


async def standing(world: World, *names: str, **wish: Any) -> str:
    """Have targets that serve a champion, and a challenger that was not promoted; return the latter."""
    first = await champion(world, "a")
    for name in names:
        await world.post("/targets", {"name": name, "host": "stage", "port": 9000, **wish})
    await world.post("/deployments", {})
    await world.finish_deployments()
    return await challenger(world, first)


async def challenger(world: World, first: str) -> str:
    (second,) = await with_candidates(world, "b", champion=first, blocks=2)
    (world.home / "artifacts" / second[:2]).mkdir(exist_ok=True)
    (world.home / "artifacts" / second[:2] / second).write_bytes(b"x")
    await world.reconcile("aliases")
    return second


async def settle(world: World) -> None:
    for _ in range(2):  # both targets are on one host, which has them one after the other
        await world.reconcile("aliases", "staging", "operations")
        await world.flights("staging:")


async def promote(world: World, model: str) -> None:
    wish = {"config": CONFIG, "model": model, "override": True, "reason": "test"}
    await world.post("/promotions", wish)


async def test_a_challenger_waits_on_every_target_until_it_is_served_there(world: World) -> None:
    second = await standing(world, "t1", "t2")
    await settle(world)
    assert world.fleet.waiting == {"t1": {second: RELEASE}, "t2": {second: RELEASE}}
    assert await world.reconcile("staging") == 1, "there is nothing more to do"
    await promote(world, second)
    await settle(world)
    assert world.fleet.named("stage") == ["t1", "t2"], "it waits as a champion too"
    await world.post("/deployments", {})
    assert await world.reconcile("staging") == 1, "the deployment takes it over"
    await world.finish_deployments()
    await settle(world)
    first = await world.read(lambda s: s.get(Alias, ("previous", CONFIG)).model)
    assert world.fleet.waiting == {"t1": {first: RELEASE}, "t2": {first: RELEASE}}, "for a rollback"
    told = [event["action"] for event in await world.get("/events?limit=100")]
    assert told.count("stage.started") == told.count("stage.succeeded") == 4


async def test_every_order_to_a_target_names_its_engine(world: World) -> None:
    second = await standing(world, "t1", engine="onnx")
    assert (await world.get("/targets/t1"))["engine"] == "onnx"
    again = await world.http.post("/v1/targets", json={"name": "t1", "host": "stage", "port": 9000})
    assert again.status_code == 409, "it has another engine"
    await settle(world)
    await promote(world, second)
    await world.post("/deployments", {})
    await world.finish_deployments()
    assert [order.engine for order in world.fleet.orders] == ["onnx", "onnx"]
    assert world.fleet.engines == {"t1": {"onnx"}}, "it waits, proven by the engine that is to serve it"


async def test_a_rejected_challenger_is_removed_from_the_targets(world: World) -> None:
    await standing(world, "t1")
    await settle(world)
    await world.write(lambda s: s.execute(text("UPDATE evaluation SET state = 'rejected'")))
    await settle(world)
    assert world.fleet.waiting == {"t1": {}}
    assert await world.reconcile("staging") == 1


async def test_a_model_is_no_business_of_a_target_that_is_not_meant_to_serve_its_config(world: World) -> None:
    second = await standing(world, "t1")
    await world.write(lambda s: s.execute(text("UPDATE target SET configs = '[\"square8_3p\"]'")))
    await settle(world)
    assert world.fleet.waiting == {}
    await world.write(lambda s: s.execute(text("UPDATE target SET configs = '[]'")))
    await world.write(lambda s: s.execute(text("UPDATE model SET golden = NULL")))
    await settle(world)
    assert world.fleet.waiting == {}, f"{second} could not be deployed"


async def test_what_a_target_refuses_is_not_sent_there_again(world: World) -> None:
    await standing(world, "t1")
    world.fleet.fail("stage", CorruptData("a golden vector differs"))
    await settle(world)
    assert await world.reconcile("staging") == 1
    assert world.fleet.named("stage") == ["t1"]


async def test_a_target_that_does_not_answer_is_told_when_it_does(world: World) -> None:
    second = await standing(world, "t1")
    await world.write(lambda s: s.execute(text("UPDATE target SET state = 'unreachable'")))
    await settle(world)
    assert world.fleet.named("stage") == []
    await world.write(lambda s: s.execute(text("UPDATE target SET state = 'serving'")))
    await settle(world)
    assert world.fleet.waiting == {"t1": {second: RELEASE}}


async def test_a_killed_controller_carries_the_staging_on(world: World) -> None:
    second = await standing(world, "t1")
    await world.reconcile("staging")
    await world.restart()
    await settle(world)
    assert world.fleet.waiting == {"t1": {second: RELEASE}}


async def test_a_deployment_does_not_wait_for_a_staging_on_the_same_host(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    second = await standing(world, "t1")
    proceed = asyncio.Event()

    async def slow(*_: Any) -> None:
        await proceed.wait()

    monkeypatch.setattr(world.fleet, "stage", slow)
    await world.reconcile("staging", "operations")
    await promote(world, second)
    begun = await world.post("/deployments", {})
    await world.finish_deployments()
    assert (await world.get(f"/deployments/{begun['id']}"))["state"] == "succeeded"
    proceed.set()
    await world.flights("staging:")


class TestSwitchedOff:
    @pytest.fixture
    def settings(self) -> Any:
        return small_settings(rollouts={"stage_challengers": 0})

    async def test_nothing_waits_anywhere(self, world: World) -> None:
        await standing(world, "t1")
        await settle(world)
        assert world.fleet.named("stage") == []


WISH = {"models": [{"config": CONFIG, "sha256": "1"}], "release": "a"}
NOTHING = {"models": [], "release": "a"}


@pytest.mark.parametrize(
    ("wanted", "latest", "due"),
    [
        (WISH, None, True),
        (NOTHING, None, False),
        (WISH, Ordered(WISH, "succeeded", 1.0, ""), False),
        (WISH, Ordered(NOTHING, "succeeded", 1.0, ""), True),
        (WISH, Ordered(NOTHING, "running", None, ""), False),
        (NOTHING, Ordered(WISH, "failed", 1.0, "corrupt_data"), True),
        (WISH, Ordered(WISH, "failed", 1.0, "corrupt_data"), False),
        (WISH, Ordered(WISH, "failed", 1.0, Unreachable.code), False),
        (WISH, Ordered(WISH, "failed", 1.0 - RETRY_SECONDS, Unreachable.code), True),
        (WISH, Ordered({**WISH, "release": "b"}, "succeeded", 1.0, ""), True),
        (NOTHING, Ordered({**NOTHING, "release": "b"}, "succeeded", 1.0, ""), False),
    ],
)
def test_an_order_is_given_when_it_is_another_or_was_not_heard(
    wanted: dict[str, Any], latest: Ordered | None, due: bool
) -> None:
    assert is_due(wanted, latest, 2.0) is due
