"""Long actions on hosts: provisioning, tunnels, deployments, observation, recovery; also when killed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any
from unittest import mock

import pytest
from sqlalchemy import text

from ringrift.control.domain.ports import Serving, StepEvent
from ringrift.control.reconcile import targets
from ringrift.control.settings import Settings
from ringrift.control.store import operations
from ringrift.control.store.tables import Host, Operation
from ringrift.errors import AccessRefused, EnvironmentProblem, HostKeyChanged, Unreachable
from tests.control.doubles import HOST_KEY, OTHER_KEY, RELEASE, ScriptedAgent
from tests.control.stage import with_candidates
from tests.control.world import CONFIG, World, small_settings


async def eventually(condition: Callable[[], Any]) -> None:
    """Wait until a coroutine function returns something true."""
    async with asyncio.timeout(30):
        while not await condition():
            await asyncio.sleep(0.01)


async def add_host(world: World, name: str = "alpha") -> None:
    body = {
        "name": name,
        "user": "trainer",
        "address": "127.0.0.2",
        "host_key": HOST_KEY,
        "confirmed_by": "fingerprint",
    }
    await world.post("/hosts", body)


async def host(world: World, name: str = "alpha") -> dict:
    return await world.get(f"/hosts/{name}")


async def begin_provision(world: World) -> str:
    operation = await world.post("/hosts/alpha/provision")
    assert operation["state"] == "running" and operation["subject"] == "alpha"
    return operation["id"]


async def enrolling(world: World, *, release: str = RELEASE) -> ScriptedAgent:
    """Let provisioning start an agent that enrols; it beats when a test says so."""
    agent = ScriptedAgent(world.agents_app, "alpha")

    async def started(spec, token) -> None:
        if token is not None:
            assert (await agent.enrol(token)).status_code == 200

    world.fleet.after_provision = started
    return agent


async def beat_until_done(world: World, operation: str, agent: ScriptedAgent, release: str = RELEASE) -> dict:
    async def done() -> bool:
        if agent.id:
            await agent.beat(release=release)
        return (await world.get(f"/operations/{operation}"))["state"] != "running"

    await eventually(done)
    return await world.get(f"/operations/{operation}")


class TestProvisioning:
    """From a new host to a heartbeat."""

    async def test_every_step_is_recorded_and_it_succeeds_only_with_a_heartbeat(self, world: World) -> None:
        await add_host(world)
        agent = await enrolling(world)
        identity = await begin_provision(world)
        assert (await begin_provision(world)) == identity, "asking again returns the running one"
        await world.reconcile("operations")

        async def waits_for_heartbeat() -> bool:
            steps = (await world.get(f"/operations/{identity}"))["steps"]
            return bool(steps) and steps[-1] == {
                "name": "heartbeat",
                "state": "running",
                "detail": f"waiting for release {RELEASE}",
                "seconds": None,
            }

        await eventually(waits_for_heartbeat)
        assert (await host(world))["state"] == "provisioning"
        assert (await agent.lease()).reason == "the host is being provisioned"
        operation = await beat_until_done(world, identity, agent)
        assert operation["state"] == "succeeded" and operation["error"] is None
        assert [(step["name"], step["state"]) for step in operation["steps"]] == [
            ("facts", "done"),
            ("release", "unchanged"),
            ("heartbeat", "done"),
        ]
        shown = await host(world)
        assert (shown["state"], shown["release"], shown["operation"]) == ("ready", RELEASE, identity)

    async def test_a_token_is_made_only_for_a_host_that_has_no_agent_of_ours(self, world: World) -> None:
        await add_host(world)
        agent = await enrolling(world)
        for _ in range(2):
            identity = await begin_provision(world)
            await world.reconcile("operations")
            assert (await beat_until_done(world, identity, agent))["state"] == "succeeded"
        first, second = world.fleet.tokens
        assert first is not None and len(first) >= 16 and second is None
        world.fleet.enrolled.clear()
        agent.id = ""
        identity = await begin_provision(world)
        await world.reconcile("operations")
        await beat_until_done(world, identity, agent)
        assert world.fleet.tokens[2] is not None

    @pytest.mark.parametrize(
        ("error", "state"),
        [
            (Unreachable("127.0.0.2:22 does not answer", hint="is it on?"), "unreachable"),
            (AccessRefused("login refused for trainer"), "quarantined"),
            (EnvironmentProblem("disk of alpha is full"), "quarantined"),
        ],
    )
    async def test_a_failure_is_kept_with_its_code_and_shown_on_the_host(
        self, world: World, error, state: str
    ) -> None:
        await add_host(world)
        world.fleet.fail("provision", error)
        identity = await begin_provision(world)
        await world.finish_operations()
        operation = await world.get(f"/operations/{identity}")
        assert operation["state"] == "failed"
        assert operation["error"] == {"code": error.code, "message": error.message, "hint": error.hint}
        assert operation["steps"][-1]["state"] == "failed"
        shown = await host(world)
        assert (shown["state"], shown["reason"]) == (state, error.message)
        assert error.message in (await world.get("/why/alpha"))["sentence"]
        await begin_provision(world)

    async def test_a_try_in_vain_leaves_a_host_with_an_open_tunnel_at_work(self, world: World) -> None:
        await world.agent("alpha")
        await world.write(lambda s: s.execute(text("UPDATE host SET tunnel = 'open'")))
        world.fleet.fail("provision", Unreachable("alpha does not answer in time"))
        await begin_provision(world)
        await world.finish_operations()
        shown = await host(world)
        assert (shown["state"], shown["reason"]) == ("ready", "alpha does not answer in time")

    async def test_an_unexpected_failure_ends_the_operation_too(self, world: World) -> None:
        await add_host(world)
        world.fleet.fail("provision", RuntimeError("bug"))
        identity = await begin_provision(world)
        await world.finish_operations()
        operation = await world.get(f"/operations/{identity}")
        assert operation["state"] == "failed" and "RuntimeError" in operation["error"]["message"]

    async def test_a_changed_host_key_blocks_that_host_only_until_it_is_trusted(self, world: World) -> None:
        await add_host(world)
        await add_host(world, "beta")
        world.fleet.fail("provision", HostKeyChanged("alpha shows another key"))
        await begin_provision(world)
        await world.finish_operations()
        assert "another host key" in (await world.get("/why/alpha"))["sentence"]
        refused = await world.post("/hosts/alpha/provision", status=409)
        assert refused["error"]["hint"] == "ringrift-ctl hosts trust alpha"
        assert (await world.post("/hosts/beta/provision"))["state"] == "running"
        await world.post("/hosts/alpha/trust", {"host_key": OTHER_KEY})
        assert (await world.post("/hosts/alpha/provision"))["state"] == "running"

    async def test_an_operation_under_way_at_a_kill_is_taken_up_again(self, world: World) -> None:
        await add_host(world)
        world.fleet.stand_still = asyncio.Event()
        identity = await begin_provision(world)
        await world.reconcile("operations")

        async def in_the_middle() -> bool:
            steps = (await world.get(f"/operations/{identity}"))["steps"]
            return [step["state"] for step in steps] == ["done", "running"]

        await eventually(in_the_middle)
        await world.restart()
        assert (await world.get(f"/operations/{identity}"))["state"] == "running"
        world.fleet.stand_still = None
        agent = await enrolling(world)
        await world.reconcile("operations")
        operation = await beat_until_done(world, identity, agent)
        assert operation["state"] == "succeeded"
        assert [step["name"] for step in operation["steps"]] == ["facts", "release", "heartbeat"]
        assert world.fleet.named("provision") == ["alpha", "alpha"]

    async def test_a_superseded_runner_writes_neither_steps_nor_an_end(self, world: World) -> None:
        await add_host(world)
        identity = await begin_provision(world)
        assert await world.write(lambda s: operations.claim(s, identity, "old", 0))
        assert not await world.write(lambda s: operations.claim(s, identity, "new", 0))
        assert await world.write(lambda s: operations.renew(s, identity, "old"))
        epoch = await world.write(operations.begin_epoch)
        assert not await world.write(lambda s: operations.renew(s, identity, "old"))
        assert not await world.write(lambda s: operations.claim(s, identity, "old", epoch - 1))
        assert await world.write(lambda s: operations.claim(s, identity, "new", epoch))
        late = StepEvent("facts", "done")
        assert not await world.write(lambda s: operations.record_step(s, identity, "old", late))
        assert await world.write(lambda s: operations.finish_operation(s, identity, "old")) is None
        assert await world.write(lambda s: operations.record_step(s, identity, "new", late))
        assert await world.write(lambda s: operations.finish_operation(s, identity, "new")) is not None

    async def test_an_expired_lock_can_be_taken(self, world: World) -> None:
        await add_host(world)
        identity = await begin_provision(world)
        await world.write(lambda s: operations.claim(s, identity, "old", 0))
        await world.write(lambda s: s.execute(text("UPDATE operation SET lock_expires_at = 1")))
        assert await world.write(lambda s: operations.claim(s, identity, "new", 0))


class TestHeartbeatOfTheWrongRelease:
    """Provisioning believes only a heartbeat that names the release it put there."""

    @pytest.fixture
    def settings(self) -> Settings:
        return small_settings(agents={"heartbeat_wait_seconds": 0.5})

    async def test_it_fails_and_says_what_it_saw(self, world: World) -> None:
        await add_host(world)
        agent = await enrolling(world)
        identity = await begin_provision(world)
        await world.reconcile("operations")
        operation = await beat_until_done(world, identity, agent, release="ffffffffffff")
        assert operation["state"] == "failed" and operation["error"]["code"] == "unreachable"
        assert "the last one is of release ffffffffffff" in operation["error"]["message"]

    async def test_it_fails_without_any(self, world: World) -> None:
        await add_host(world)
        identity = await begin_provision(world)
        await world.finish_operations()
        operation = await world.get(f"/operations/{identity}")
        assert "there was none" in operation["error"]["message"]
        assert operation["steps"][-1]["name"] == "heartbeat"


class TestTunnels:
    """The agents' API reaches every provisioned host."""

    async def test_only_provisioned_hosts_get_one_and_removed_ones_lose_it(self, world: World) -> None:
        await add_host(world, "fresh")
        await world.agent("alpha")
        await world.reconcile("tunnels")
        await eventually(lambda: _is(world, "tunnel", "open"))
        assert world.fleet.named("hold_tunnel") == ["alpha"]
        await world.post("/hosts/alpha/remove")
        await world.reconcile("tunnels")
        assert not any(key.startswith("tunnel:alpha ") for key in world.context.flights)

    async def test_a_cut_one_is_noted_with_its_reason_and_opened_again(self, world: World) -> None:
        await world.agent("alpha")
        await world.reconcile("tunnels")
        await eventually(lambda: _is(world, "tunnel", "open"))
        world.fleet.fail("hold_tunnel", *[Unreachable("alpha does not answer")] * 3)
        world.fleet.cuts["alpha"].set()
        await eventually(lambda: _is(world, "reason", "alpha does not answer"))
        assert (await host(world))["state"] == "unreachable"
        await eventually(lambda: _is(world, "state", "ready"))
        states = await world.read(
            lambda s: list(s.execute(text("SELECT state FROM host_state ORDER BY id")).scalars())
        )
        assert states[0] == "unreachable" and states[-1] == "ready"

    async def test_a_changed_host_key_stops_the_tries_of_that_host_only(self, world: World) -> None:
        await world.agent("alpha")
        await world.agent("beta")
        world.fleet.fail("hold_tunnel", HostKeyChanged("alpha shows another key"), subject="alpha")
        await world.reconcile("tunnels")
        await eventually(lambda: _is(world, "state", "unreachable"))
        await eventually(lambda: _is(world, "tunnel", "open", "beta"))
        await world.reconcile("tunnels")
        assert world.fleet.named("hold_tunnel").count("alpha") == 1
        await world.post("/hosts/alpha/trust", {"host_key": OTHER_KEY})
        await world.reconcile("tunnels")
        await eventually(lambda: _is(world, "state", "ready"))

    async def test_a_host_that_is_trusted_again_while_its_tunnel_stands_is_reachable(
        self, world: World
    ) -> None:
        await world.agent("alpha")
        await world.reconcile("tunnels")
        await eventually(lambda: _is(world, "tunnel", "open"))
        world.fleet.fail("provision", HostKeyChanged("alpha showed another key once"))
        await begin_provision(world)
        await world.finish_operations()
        assert (await host(world))["state"] == "unreachable"
        await world.post("/hosts/alpha/trust", {"host_key": HOST_KEY})
        assert (await host(world))["state"] == "ready"

    async def test_the_connection_of_a_key_ends_where_another_one_is_trusted(self, world: World) -> None:
        await world.agent("alpha")
        await world.reconcile("tunnels")
        await eventually(lambda: _is(world, "tunnel", "open"))
        await world.post("/hosts/alpha/trust", {"host_key": OTHER_KEY})
        before = [key for key in world.context.flights if key.startswith("tunnel:alpha ")]
        await world.reconcile("tunnels")
        await eventually(lambda: _is(world, "tunnel", "open"))
        after = [key for key in world.context.flights if key.startswith("tunnel:alpha ")]
        assert len(before) == len(after) == 1 and before != after
        assert world.fleet.named("hold_tunnel") == ["alpha", "alpha"]

    async def test_a_draining_host_is_draining_again_when_it_comes_back(self, world: World) -> None:
        await world.agent("alpha")
        await world.post("/hosts/alpha/drain")
        world.fleet.fail("hold_tunnel", Unreachable("gone"))
        await world.reconcile("tunnels")
        await eventually(lambda: _is(world, "tunnel", "open"))
        assert (await host(world))["state"] == "draining"

    async def test_an_unexpected_failure_is_a_reason_too(self, world: World) -> None:
        await world.agent("alpha")
        world.fleet.fail("hold_tunnel", RuntimeError("bug"))
        await world.reconcile("tunnels")
        await eventually(lambda: _is(world, "tunnel", "open"))
        assert world.fleet.named("hold_tunnel") == ["alpha", "alpha"]


async def _is(world: World, field: str, value: str, name: str = "alpha") -> bool:
    return (await host(world, name))[field] == value


async def champion(world: World, name: str = "a", former: str | None = None) -> str:
    (model,) = await with_candidates(world, name, champion=former)
    await world.post("/promotions", {"config": CONFIG, "model": model})
    folder = world.home / "artifacts" / model[:2]
    folder.mkdir(exist_ok=True)
    (folder / model).write_bytes(b"x")
    return model


class TestDeployments:
    """Targets serve champions, and the controller believes only what they say."""

    async def deploy(self, world: World, **body: Any) -> dict:
        begun = await world.post("/deployments", body)
        await world.finish_deployments()
        return await world.get(f"/deployments/{begun['id']}")

    async def test_a_champion_is_deployed_and_recorded(self, world: World) -> None:
        model = await champion(world)
        await world.post("/targets", {"name": "front", "host": "stage", "port": 9000})
        plan = await world.post("/deployments", {"dry_run": True})
        assert plan["state"] == "planned" and plan["id"] is None
        assert plan["actions"] == [
            {"target": "front", "config": CONFIG, "model": model, "serving": None, "change": True}
        ]
        done = await self.deploy(world)
        assert done["state"] == "succeeded" and done["generation"] == plan["generation"] == 1
        order = world.fleet.orders[0]
        assert (order.target, order.port, order.generation) == ("front", 9000, 1)
        assert [(item.config, item.sha256, item.generation) for item in order.models] == [(CONFIG, model, 1)]
        assert order.models[0].path.read_bytes() == b"x"
        target = await world.get("/targets/front")
        assert target["state"] == "serving" and target["generation"] == 1
        assert (await world.get("/why/front"))["sentence"] == "front serves what it should."
        again = await world.post("/deployments", {"dry_run": True})
        assert not again["actions"][0]["change"]

    async def test_a_target_that_says_something_else_is_a_failed_deployment(self, world: World) -> None:
        model = await champion(world)
        await world.post("/targets", {"name": "front", "host": "stage", "port": 9000})
        world.fleet.serving["front"] = Serving(True, 1, {CONFIG: "0" * 64}, release=RELEASE)
        done = await self.deploy(world)
        assert done["state"] == "failed"
        assert done["operations"][0]["error"]["code"] == "corrupt_data"
        world.fleet.serving["front"] = Serving(False, 1, {CONFIG: model}, ("golden vector differs",))
        done = await self.deploy(world)
        assert "golden vector differs" in done["operations"][0]["error"]["message"]

    async def test_a_model_file_that_is_missing_fails_before_the_host_is_touched(self, world: World) -> None:
        model = await champion(world)
        (world.home / "artifacts" / model[:2] / model).unlink()
        await world.post("/targets", {"name": "front", "host": "stage", "port": 9000})
        done = await self.deploy(world)
        assert done["operations"][0]["error"]["code"] == "not_found"
        assert world.fleet.orders == []

    async def test_asking_for_the_running_deployment_again_returns_it(self, world: World) -> None:
        await champion(world)
        await world.post("/targets", {"name": "front", "host": "stage", "port": 9000})
        first = await world.post("/deployments", {})
        assert (await world.post("/deployments", {}))["id"] == first["id"]

    async def test_a_deployment_killed_half_way_is_carried_on(self, world: World) -> None:
        await champion(world)
        await world.post("/targets", {"name": "front", "host": "stage", "port": 9000})
        world.fleet.stand_still = asyncio.Event()
        begun = await world.post("/deployments", {})
        await world.reconcile("rollouts", "operations")
        await eventually(lambda: _called(world, "deploy"))
        await world.restart()
        world.fleet.stand_still = None
        await world.finish_deployments()
        assert (await world.get(f"/deployments/{begun['id']}"))["state"] == "succeeded"
        assert len(world.fleet.orders) == 2 and world.fleet.orders[0] == world.fleet.orders[1]

    async def test_a_target_only_serves_what_it_is_meant_to(self, world: World) -> None:
        await champion(world)
        await world.post("/targets", {"name": "front", "host": "stage", "port": 9000, "configs": ["hex8_3p"]})
        refused = await world.post("/deployments", {"configs": [CONFIG]}, status=409)
        assert "not meant to serve" in refused["error"]["message"]
        refused = await world.post("/deployments", {}, status=409)
        assert refused["error"]["message"] == "hex8_3p has no champion"


async def _called(world: World, name: str) -> bool:
    return bool(world.fleet.named(name))


def _always(*_: object) -> bool:
    return True


class TestObservation:
    """What targets serve is asked, not assumed."""

    @pytest.fixture
    def settings(self) -> Settings:
        return small_settings(limits={"observe_seconds": 0.1})

    async def observed(self, world: World) -> dict:
        with mock.patch.object(targets, "_stale", _always):
            await targets.step(world.context)
        await world.flights(targets.FLIGHT)
        return await world.get("/targets/front")

    async def test_drift_sickness_and_silence_are_seen_and_told_apart(self, world: World) -> None:
        model = await champion(world)
        await world.post("/targets", {"name": "front", "host": "stage", "port": 9000})
        await world.post("/deployments", {})
        await world.finish_deployments()
        world.fleet.serving["front"] = Serving(True, 1, {CONFIG: "0" * 64}, release=RELEASE)
        drifted = await self.observed(world)
        assert drifted["state"] == "drifted"
        assert drifted["models"] == [{"config": CONFIG, "desired": model, "serving": "0" * 64}]
        assert drifted["issues"] == [f"{CONFIG} serves 00000000 instead of {model[:8]}"]
        assert "serves something else than ordered" in (await world.get("/why/front"))["sentence"]
        world.fleet.serving["front"] = Serving(False, 1, {}, ("hash differs",))
        sick = await self.observed(world)
        assert sick["state"] == "unhealthy" and sick["issues"] == ["hash differs"]
        world.fleet.fail("observe", Unreachable("no answer"))
        assert (await self.observed(world))["state"] == "unreachable"
        world.fleet.serving["front"] = Serving(True, 1, {CONFIG: model}, release=RELEASE)
        assert (await self.observed(world))["state"] == "serving"

    async def test_a_target_that_was_put_back_to_an_older_generation_has_drifted(self, world: World) -> None:
        model = await champion(world)
        await world.post("/targets", {"name": "front", "host": "stage", "port": 9000})
        for _ in range(2):
            await world.post("/deployments", {})
            await world.finish_deployments()
        world.fleet.serving["front"] = Serving(True, 1, {CONFIG: model}, release=RELEASE)
        drifted = await self.observed(world)
        assert drifted["state"] == "drifted"
        assert drifted["issues"] == ["it serves generation 1 instead of 2"]

    async def test_a_service_that_started_anew_by_itself_is_told_and_one_that_we_started_is_not(
        self, world: World
    ) -> None:
        await champion(world)
        await world.post("/targets", {"name": "front", "host": "stage", "port": 9000})
        for process in (41, 42):
            world.fleet.process = process
            await world.post("/deployments", {})
            await world.finish_deployments()
            shown = await self.observed(world)
            assert shown["state"] == "serving" and shown["restarted_age"] is None
        world.fleet.process = 43
        assert (await self.observed(world))["restarted_age"] < 60
        told = (await world.get("/events?limit=1"))[0]
        assert told["action"] == "target.observed" and told["detail"]["restarted"]

    async def test_an_answer_that_a_deployment_overtook_is_not_believed(self, world: World) -> None:
        await champion(world)
        await world.post("/targets", {"name": "front", "host": "stage", "port": 9000})
        await world.post("/deployments", {})
        await world.finish_deployments()
        before, overtaken = await world.fleet.observe(None, "front", 9000), asyncio.Event()

        async def late(*_: object) -> Serving:
            await overtaken.wait()
            return before

        with mock.patch.object(world.fleet, "observe", late), mock.patch.object(targets, "_stale", _always):
            await targets.step(world.context)
            await world.post("/deployments", {})
            await world.reconcile("rollouts", "operations")
            await world.flights("operation:")
            overtaken.set()
            await world.flights(targets.FLIGHT)
        shown = await world.get("/targets/front")
        assert shown["state"] == "serving" and shown["generation"] == 2

    async def test_a_target_that_is_silent_holds_up_no_other(self, world: World) -> None:
        await champion(world)
        for name in ("front", "side"):
            await world.post("/targets", {"name": name, "host": "stage", "port": 9000})
        await world.post("/deployments", {})
        await world.finish_deployments()
        ask, silence = world.fleet.observe, asyncio.Event()

        async def one_hangs(host: object, target: str, port: int) -> Serving:
            if target == "front":
                await silence.wait()
            return await ask(host, target, port)

        await world.write(lambda s: s.execute(text("UPDATE target SET checked_at = 1")))
        with mock.patch.object(world.fleet, "observe", one_hangs):
            await targets.step(world.context)
            await world.flights("target:side")
            assert (await world.get("/targets/side"))["checked_age"] < 60
            silence.set()
            await world.flights("target:front")

    async def test_a_target_without_a_deployment_is_not_asked(self, world: World) -> None:
        await world.agent("stage")
        await world.post("/targets", {"name": "front", "host": "stage", "port": 9000})
        await world.reconcile("targets")
        assert world.fleet.named("observe") == []

    async def test_an_unchanged_answer_writes_no_audit_row(self, world: World) -> None:
        model = await champion(world)
        await world.post("/targets", {"name": "front", "host": "stage", "port": 9000})
        await world.post("/deployments", {})
        await world.finish_deployments()
        world.fleet.serving["front"] = Serving(True, 1, {CONFIG: model}, release=RELEASE)
        before = (await world.get("/events?limit=1"))[0]["id"]
        await self.observed(world)
        assert (await world.get("/events?limit=1"))[0]["id"] == before


class TestRecovery:
    """Silent agents are restarted three times, then a person is asked."""

    async def test_a_silent_agent_is_restarted_three_times_and_then_quarantined(self, world: World) -> None:
        agent = await world.agent("alpha")
        await world.reconcile("recovery")
        assert world.fleet.named("restart_agent") == []
        for tries in range(1, 4):
            await self.fall_silent(world)
            await world.reconcile("recovery")
            await eventually(lambda n=tries: _restarts(world, n))
        await self.fall_silent(world)
        await world.reconcile("recovery")
        shown = await host(world)
        assert shown["state"] == "quarantined" and "after 3 restarts" in shown["reason"]
        assert (await agent.lease()).reason == "the host is quarantined"
        assert (await world.post("/hosts/alpha/resume"))["state"] == "ready"

    async def test_a_heartbeat_forgives_earlier_restarts(self, world: World) -> None:
        agent = await world.agent("alpha")
        await self.fall_silent(world)
        await world.reconcile("recovery")
        await agent.beat()
        assert await world.read(lambda s: s.get(Host, "alpha").restarts) == 0

    async def test_a_host_that_cannot_be_reached_is_left_alone(self, world: World) -> None:
        await world.agent("alpha")
        await self.fall_silent(world)
        await world.write(lambda s: s.execute(text("UPDATE host SET tunnel = 'closed'")))
        await world.reconcile("recovery")
        assert world.fleet.named("restart_agent") == []
        assert (await host(world))["state"] == "ready", "silence alone decides nothing"

    async def test_a_failing_restart_is_not_the_end(self, world: World) -> None:
        await world.agent("alpha")
        world.fleet.fail("restart_agent", Unreachable("no"))
        await self.fall_silent(world)
        await world.reconcile("recovery")
        await eventually(lambda: _restarts(world, 1))
        assert (await host(world))["state"] == "ready"

    async def test_when_many_are_silent_at_once_a_few_are_restarted_and_the_others_later(
        self, world: World
    ) -> None:
        """It may be the controller that hears late; and if it is not, all get their restart."""
        agents = [await world.agent(f"host-{number}") for number in range(14)]
        await self.fall_silent(world)
        await world.reconcile("recovery", "recovery")
        await eventually(lambda: _restarts(world, 10))
        for agent in agents:
            if agent.host in world.fleet.named("restart_agent"):
                await agent.beat()
        await world.reconcile("recovery")
        await eventually(lambda: _restarts(world, 14))

    async def fall_silent(self, world: World) -> None:
        await world.write(lambda s: s.execute(text("UPDATE agent SET beat_at = 1")))
        await world.write(lambda s: s.execute(text("UPDATE host SET tunnel = 'open'")))
        await world.write(lambda s: s.execute(text("UPDATE host SET restarted_at = 1 WHERE restarts > 0")))


async def _restarts(world: World, number: int) -> bool:
    return len(world.fleet.named("restart_agent")) == number


async def test_no_operation_is_left_without_an_end_when_all_is_done(world: World) -> None:
    await add_host(world)
    world.fleet.fail("provision", Unreachable("no"))
    await begin_provision(world)
    await world.finish_operations()
    assert await world.read(operations.running_operations) == []
    rows = await world.read(lambda s: s.query(Operation).count())
    assert rows == 1
