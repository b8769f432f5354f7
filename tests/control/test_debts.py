"""Debts of hosts that were away, and batches that are cut anywhere."""

from __future__ import annotations

from contextlib import suppress

import pytest
from sqlalchemy import text

from ringrift import failpoints
from ringrift.control.settings import Settings
from ringrift.control.store import fleet
from ringrift.control.store.tables import Operation
from ringrift.errors import AccessRefused, Unreachable
from tests.control.ranch import Ranch
from tests.control.world import small_settings


@pytest.fixture
def settings() -> Settings:
    return small_settings(hosts={"bake_seconds": 0.0})


class TestDebts:
    """What a host that is away owes is paid once when it is back."""

    async def away(self, ranch: Ranch, name: str = "beta") -> None:
        await ranch.set_host(name, state="unreachable", tunnel="closed", tunnel_reason="no answer")

    async def back(self, ranch: Ranch, name: str = "beta") -> None:
        await ranch.world.write(lambda s: fleet.tunnel_opened(s, name))

    async def test_a_host_that_is_away_owes_and_pays_when_its_tunnel_opens(self, ranch: Ranch) -> None:
        await self.away(ranch)
        identity = await ranch.batch()
        await ranch.drive()
        assert (await ranch.ends(identity))["beta"] == "owed"
        [debt] = await ranch.world.get("/debts")
        assert (debt["host"], debt["kind"], debt["batch"]) == ("beta", "provision", identity)
        assert "beta" not in ranch.world.fleet.named("plan")
        await self.back(ranch)
        await ranch.drive()
        assert (await ranch.ends(identity))["beta"] == "succeeded"
        assert await ranch.world.get("/debts") == []
        assert ranch.world.fleet.named("provision").count("beta") == 1
        await ranch.set_host("beta", drift_at=None)
        await ranch.drive()
        assert ranch.world.fleet.named("provision").count("beta") == 1, "a debt is paid once"

    async def test_a_host_that_does_not_answer_the_look_owes_too(self, ranch: Ranch) -> None:
        for name in ranch.agents:
            await ranch.set_host(name, drift_at=4e9)
        ranch.world.fleet.fail("plan", Unreachable("gamma does not answer"), subject="gamma")
        identity = await ranch.batch()
        await ranch.drive()
        ends = await ranch.ends(identity)
        assert ends.pop("gamma") == "owed" and set(ends.values()) == {"succeeded"}
        ranch.world.fleet.fail("plan", Unreachable("still not"), subject="gamma")
        await ranch.set_host("gamma", drift_at=None)
        await ranch.drive()
        assert len(await ranch.world.get("/debts")) == 1, "a look that fails pays nothing"
        await ranch.set_host("gamma", drift_at=None)
        await ranch.drive()
        assert await ranch.world.get("/debts") == []
        assert (await ranch.ends(identity))["gamma"] == "succeeded"

    async def test_one_that_goes_away_during_its_operation_owes_and_is_no_failure(self, ranch: Ranch) -> None:
        await ranch.world.write(lambda s: s.execute(text("UPDATE host SET drift_at = 4e9")))
        ranch.world.fleet.fail("provision", Unreachable("alpha was cut off"), subject="alpha")
        identity = await ranch.batch()
        await ranch.drive()
        ends = await ranch.ends(identity)
        assert ends.pop("alpha") == "owed" and set(ends.values()) == {"succeeded"}

    async def test_the_newest_order_replaces_older_debts(self, ranch: Ranch) -> None:
        await self.away(ranch)
        first = await ranch.batch(hosts=["beta"])
        await ranch.drive()
        second = await ranch.batch("update", hosts=["beta"])
        await ranch.drive()
        assert [debt["batch"] for debt in await ranch.world.get("/debts")] == [second]
        shown = (await ranch.world.get(f"/batches/{first}"))["hosts"][0]
        assert (shown["state"], shown["reason"]) == ("skipped", f"replaced by {second}")

    async def test_a_halted_batch_collects_no_debts_and_a_cancelled_one_forgives_them(
        self, ranch: Ranch
    ) -> None:
        await self.away(ranch)
        ranch.world.fleet.fail("provision", AccessRefused("no"), subject="alpha")
        identity = await ranch.batch()
        await ranch.drive()
        assert (await ranch.world.get(f"/batches/{identity}"))["state"] == "halted"
        await self.back(ranch)
        await ranch.drive()
        assert len(await ranch.world.get("/debts")) == 1
        assert "beta" not in ranch.world.fleet.named("provision")
        await ranch.world.post(f"/batches/{identity}/cancel")
        assert await ranch.world.get("/debts") == []

    async def test_a_host_that_is_as_it_should_be_pays_without_an_operation(self, ranch: Ranch) -> None:
        await self.away(ranch)
        identity = await ranch.batch(hosts=["beta"])
        await ranch.drive()
        ranch.world.fleet.plans.clear()
        assert (await ranch.world.get("/why/beta"))["facts"][0].startswith(f"owes: provision of {identity}")
        await self.back(ranch)
        await ranch.drive()
        shown = (await ranch.world.get(f"/batches/{identity}"))["hosts"][0]
        assert (shown["state"], shown["reason"]) == ("succeeded", "unchanged")
        assert ranch.world.fleet.named("provision") == []

    async def test_what_an_ended_batch_is_owed_can_be_forgiven(self, ranch: Ranch) -> None:
        await self.away(ranch)
        identity = await ranch.batch(hosts=["beta"])
        await ranch.drive()
        assert (await ranch.world.post(f"/batches/{identity}/cancel"))["state"] == "succeeded"
        assert await ranch.ends(identity) == {"beta": "skipped"}
        refused = await ranch.world.post(f"/batches/{identity}/cancel", status=409)
        assert "cannot become cancelled" in refused["error"]["message"]

    async def test_a_removed_host_owes_nothing(self, ranch: Ranch) -> None:
        await self.away(ranch)
        identity = await ranch.batch(hosts=["beta"])
        await ranch.world.post("/hosts/beta/remove")
        assert await ranch.world.get("/debts") == []
        assert await ranch.ends(identity) == {"beta": "skipped"}


class TestKills:
    """A batch that is cut anywhere is carried on to the same end, and nothing is done twice after its end."""

    @pytest.mark.parametrize("point", (1, 6, 15, 30))
    async def test_a_controller_killed_at_any_point_comes_to_the_same_end(
        self, ranch: Ranch, point: int
    ) -> None:
        world = ranch.world
        del world.fleet.plans["delta"]
        await TestDebts().away(ranch, "gamma")
        identity = await ranch.batch()
        turn = 0

        def watch(name: str, moment: str) -> None:
            nonlocal turn
            turn += name.partition(".")[0] in ("batch", "operation", "provision", "fleet")
            if turn > point:
                raise ConnectionAbortedError("the process is dead")

        failpoints.watch(watch)
        try:
            with suppress(ConnectionAbortedError, AssertionError):
                await ranch.drive()
            await world.close()
        finally:
            failpoints.watch(None)
        await world.restart()
        for name in ("alpha", "beta", "delta"):
            await ranch.set_host(name, tunnel="open")
        await ranch.drive()
        assert await ranch.ends(identity) == {
            "alpha": "succeeded", "beta": "succeeded", "delta": "succeeded", "gamma": "owed",
        }  # fmt: skip
        made = await world.read(lambda s: s.query(Operation).count())
        assert made == 2 and len(await world.get("/debts")) == 1
        assert (await world.get("/audit/verify"))["sound"]
