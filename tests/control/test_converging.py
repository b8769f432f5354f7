"""Batches on hosts: looked at, changed wave by wave, updated and restarted."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import text, update
from sqlmodel import col

from ringrift.control.settings import Settings
from ringrift.control.store.tables import Host, Operation
from ringrift.errors import AccessRefused, HostKeyChanged, Refused
from tests.control.doubles import HOST_KEY
from tests.control.ranch import CHANGES, Ranch
from tests.control.test_operations import eventually
from tests.control.world import small_settings


@pytest.fixture
def settings() -> Settings:
    return small_settings(hosts={"bake_seconds": 0.0})


class TestConverging:
    """Hosts are looked at, and get an operation only where something is to be done."""

    async def test_hosts_that_are_right_get_no_operation_and_one_write_tells_of_all(
        self, ranch: Ranch
    ) -> None:
        ranch.world.fleet.plans.clear()
        before = (await ranch.world.get("/events?limit=1"))[0]["id"]
        identity = await ranch.batch()
        await ranch.drive()
        shown = await ranch.world.get(f"/batches/{identity}")
        assert shown["state"] == "succeeded" and shown["counts"] == {"succeeded": 4}
        assert {(row["reason"], row["operation"]) for row in shown["hosts"]} == {("unchanged", None)}
        assert ranch.world.fleet.named("provision") == []
        told = [event["action"] for event in await ranch.world.get(f"/events?after={before}")]
        assert told == ["batch.provision", "batch.looked", "batch.succeeded"]

    async def test_the_canary_goes_first_and_every_operation_carries_the_plan(self, ranch: Ranch) -> None:
        await ranch.set_host("alpha", spot=True)
        identity = await ranch.batch()
        await ranch.drive()
        assert set((await ranch.ends(identity)).values()) == {"succeeded"}
        called = ranch.world.fleet.named("provision")
        assert called[0] == "beta" and sorted(called) == sorted(ranch.agents)
        waves = {row["host"]: row["wave"] for row in (await ranch.world.get(f"/batches/{identity}"))["hosts"]}
        assert waves == {"beta": 1, "alpha": 2, "delta": 2, "gamma": 2}
        made = await ranch.world.read(lambda s: [(o.batch, o.plan_hash) for o in s.query(Operation).all()])
        assert set(made) == {(identity, CHANGES.hash)}

    async def test_a_failed_canary_stops_the_batch_and_retry_takes_only_what_failed(
        self, ranch: Ranch
    ) -> None:
        ranch.world.fleet.fail("provision", AccessRefused("login refused"))
        identity = await ranch.batch()
        for _ in range(3):
            await ranch.world.finish_operations()
            await ranch.world.reconcile("batches")
            await ranch.look()
        shown = await ranch.world.get(f"/batches/{identity}")
        assert shown["state"] == "halted" and "before the canary was healthy" in shown["reason"]
        assert await ranch.ends(identity) == {
            "alpha": "failed", "beta": "waiting", "delta": "waiting", "gamma": "waiting",
        }  # fmt: skip
        again = await ranch.world.post(f"/batches/{identity}/retry")
        assert [row["host"] for row in again["hosts"]] == ["alpha"]
        await ranch.drive()
        assert await ranch.ends(again["id"]) == {"alpha": "succeeded"}
        await ranch.world.post(f"/batches/{identity}/resume")
        await ranch.drive()
        ends = await ranch.ends(identity)
        assert ends == {"alpha": "failed", "beta": "succeeded", "delta": "succeeded", "gamma": "succeeded"}

    async def test_a_cancelled_batch_starts_nothing_more(self, ranch: Ranch) -> None:
        identity = await ranch.batch()
        await ranch.world.post(f"/batches/{identity}/cancel")
        await ranch.drive()
        assert set((await ranch.ends(identity)).values()) == {"skipped"}
        refused = await ranch.world.post(f"/batches/{identity}/resume", status=409)
        assert "cannot become running" in refused["error"]["message"]

    async def test_asking_again_returns_the_batch_that_runs(self, ranch: Ranch) -> None:
        assert await ranch.batch() == await ranch.batch()
        assert await ranch.batch("restart") != await ranch.batch()

    async def test_a_changed_key_fails_that_host_alone(self, ranch: Ranch) -> None:
        changed = HostKeyChanged("beta shows another key")
        ranch.world.fleet.fail("plan", *[changed] * 3, subject="beta")  # the look for drift may come first
        identity = await ranch.batch(budget=1)
        await ranch.drive()
        ends = await ranch.ends(identity)
        assert ends.pop("beta") == "failed" and set(ends.values()) == {"waiting"}
        assert (await ranch.world.get(f"/batches/{identity}"))["state"] == "halted"

    async def test_a_key_that_was_trusted_during_a_look_stands(self, ranch: Ranch) -> None:
        """What a look saw before a person answered it blocks the host no more; later looks do."""
        world, changed = ranch.world, HostKeyChanged("beta shows another key")
        for trusted_after, blocked in ((60.0, False), (-60.0, True)):
            world.fleet.fail("plan", *[changed] * 3, subject="beta")
            await ranch.batch(hosts=["beta"])
            await world.post("/hosts/beta/trust", {"host_key": HOST_KEY})
            moved = update(Host).where(col(Host.name) == "beta").values(key_at=Host.key_at + trusted_after)
            await world.write(lambda s, moved=moved: s.execute(moved))
            await ranch.drive()
            host = await world.get("/hosts/beta")
            assert (host["blocked"], host["state"]) == (blocked, "unreachable" if blocked else "ready")
        assert [e["action"] for e in await world.get("/events")].count("host.blocked") == 1

    async def test_a_host_that_changed_since_the_look_is_planned_again_once(self, ranch: Ranch) -> None:
        ranch.world.fleet.fail("provision", Refused("another plan is called for"), subject="alpha")
        identity = await ranch.batch(hosts=["alpha"])
        await ranch.world.reconcile("batches")
        await ranch.look()
        ranch.world.fleet.plans["alpha"] = replace(CHANGES, hash="d" * 64)
        await ranch.drive()
        assert await ranch.ends(identity) == {"alpha": "succeeded"}
        assert ranch.world.fleet.named("provision") == ["alpha", "alpha"]
        made = await ranch.world.read(lambda s: [o.plan_hash for o in s.query(Operation).all()])
        assert made == ["d" * 64]

    @pytest.mark.parametrize(
        ("body", "status"),
        [({"hosts": []}, 422), ({"hosts": ["alpha"], "everything": True}, 422), ({"hosts": ["nobody"]}, 404),
         ({"hosts": [], "kinds": ["mac"]}, 404)],
    )  # fmt: skip
    async def test_hosts_are_named_or_chosen_and_must_exist(
        self, ranch: Ranch, body: Any, status: int
    ) -> None:
        await ranch.world.post("/batches", {"kind": "provision", **body}, status=status)
        assert await ranch.world.get("/batches") == []

    async def test_quarantined_hosts_are_taken_only_by_name(self, ranch: Ranch) -> None:
        await ranch.set_host("beta", state="quarantined", reason="it lies")
        every = await ranch.batch("restart", hosts=[], everything=True)
        assert (await ranch.ends(every))["beta"] == "skipped"
        named = await ranch.batch("restart", hosts=["beta"])
        assert (await ranch.ends(named))["beta"] == "waiting"

    async def test_draining_and_resuming_many_takes_no_operation(self, ranch: Ranch) -> None:
        identity = await ranch.batch("drain")
        await ranch.drive()
        assert set((await ranch.ends(identity)).values()) == {"succeeded"}
        assert {host["state"] for host in await ranch.world.get("/hosts")} == {"draining"}
        await ranch.batch("resume")
        await ranch.drive()
        assert {host["state"] for host in await ranch.world.get("/hosts")} == {"ready"}


class TestUpdating:
    """New agents go to a canary, a tenth, then all; a canary that crashes stops it."""

    @pytest.fixture
    def settings(self) -> Settings:
        return small_settings(hosts={"bake_seconds": 3600.0})

    async def halfway(self, ranch: Ranch) -> str:
        """Bring an update to the point where its canary bakes."""
        identity = await ranch.batch("update")
        await ranch.world.reconcile("batches")
        await ranch.look()
        await ranch.world.reconcile("batches", "operations")
        await ranch.work()
        await ranch.world.reconcile("batches", "operations")
        assert sorted((await ranch.ends(identity)).values()) == ["baking", "waiting", "waiting", "waiting"]
        assert ranch.world.fleet.named("provision") == ["alpha"]
        return identity

    async def test_a_canary_that_beats_long_enough_lets_the_others_follow(self, ranch: Ranch) -> None:
        identity = await self.halfway(ranch)
        await ranch.world.write(lambda s: s.execute(text("UPDATE operation SET ended_at = ended_at - 3601")))
        await ranch.agents["alpha"].beat()
        await ranch.world.reconcile("batches")
        ends = await ranch.ends(identity)
        assert ends.pop("alpha") == "succeeded" and set(ends.values()) == {"running"}

    async def test_a_canary_that_starts_anew_halts_the_update(self, ranch: Ranch) -> None:
        identity = await self.halfway(ranch)
        ranch.agents["alpha"].incarnation = "second"
        await ranch.agents["alpha"].beat()
        await ranch.world.reconcile("batches")
        shown = await ranch.world.get(f"/batches/{identity}")
        assert shown["state"] == "halted" and shown["hosts"][0]["state"] == "failed"
        assert "started anew" in shown["hosts"][0]["reason"]

    async def test_a_canary_without_a_heartbeat_of_the_new_release_has_failed(self, ranch: Ranch) -> None:
        vars(ranch.world.context)["settings"] = small_settings(agents={"heartbeat_wait_seconds": 0.3})
        identity = await ranch.batch("update")
        await ranch.world.reconcile("batches")
        await ranch.look()
        await ranch.world.reconcile("batches", "operations")
        await ranch.work(beating=False)
        await ranch.world.reconcile("batches")
        shown = await ranch.world.get(f"/batches/{identity}")
        assert shown["state"] == "halted" and "no heartbeat of release" in shown["hosts"][0]["reason"]


class TestRestarting:
    """A restart succeeds with the heartbeat of a new start."""

    async def test_only_a_new_start_proves_it(self, ranch: Ranch) -> None:
        identity = await ranch.batch("restart", hosts=["alpha"])
        await ranch.world.reconcile("batches", "operations")
        agent = ranch.agents["alpha"]

        async def waits() -> bool:
            row = (await ranch.world.get(f"/batches/{identity}"))["hosts"][0]
            steps = (await ranch.world.get(f"/operations/{row['operation']}"))["steps"]
            return [step["name"] for step in steps] == ["restart", "heartbeat"]

        await eventually(waits)
        await agent.beat()
        await ranch.world.reconcile("batches")
        assert await ranch.ends(identity) == {"alpha": "running"}
        agent.incarnation = "second"
        await ranch.work()
        await ranch.world.reconcile("batches")
        assert await ranch.ends(identity) == {"alpha": "succeeded"}
        assert ranch.world.fleet.named("restart_agent") == ["alpha"]
