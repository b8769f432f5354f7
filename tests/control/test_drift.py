"""Drift of hosts: named, told once, repaired only where a setting says so."""

from __future__ import annotations

from dataclasses import replace

import pytest
from sqlalchemy import text, update
from sqlmodel import col

from ringrift.control.domain.ports import HostPlan
from ringrift.control.settings import Settings
from ringrift.control.store import operations
from ringrift.control.store.tables import Agent, Host
from ringrift.errors import AccessRefused, Unreachable
from tests.control.ranch import CHANGES, Ranch
from tests.control.world import small_settings


@pytest.fixture
def settings() -> Settings:
    return small_settings(hosts={"bake_seconds": 0.0})


class TestDrift:
    """What is not as it should be is named, and left alone unless a setting says so."""

    async def look(self, ranch: Ranch) -> None:
        await ranch.world.write(lambda s: s.execute(text("UPDATE host SET drift_at = 1")))
        await ranch.drive()

    async def drift(self, ranch: Ranch) -> list[str]:
        return await ranch.world.read(lambda s: s.get(Host, "alpha").drift)

    async def actions(self, ranch: Ranch) -> list[str]:
        return [event["action"] for event in await ranch.world.get("/events")]

    async def test_drift_is_named_and_audited_once_and_not_repaired(self, ranch: Ranch) -> None:
        await self.look(ranch)
        assert await self.drift(ranch) == ["release: put new"]
        assert any("release: put new" in fact for fact in (await ranch.world.get("/why/alpha"))["facts"])
        told = (await self.actions(ranch)).count("host.drift")
        await self.look(ranch)
        assert (await self.actions(ranch)).count("host.drift") == told == 4
        assert ranch.world.fleet.named("provision") == []
        ranch.world.fleet.plans.clear()
        await self.look(ranch)
        assert await self.drift(ranch) == []

    async def test_a_machine_that_is_not_what_was_declared_is_drift(self, ranch: Ranch) -> None:
        await ranch.set_host("alpha", cpus=16)
        ranch.world.fleet.plans["alpha"] = HostPlan("0" * 64, (), {"cpus": 8})
        await self.look(ranch)
        assert await self.drift(ranch) == ["cpus: declared 16, found 8"]

    async def test_an_agent_that_works_with_other_settings_than_its_file_holds_is_drift(
        self, ranch: Ranch
    ) -> None:
        ranch.world.fleet.plans["alpha"] = HostPlan("0" * 64, (), {"agent_settings": "aaaabbbbcccc"})
        await self.look(ranch)
        assert await self.drift(ranch) == [], "an agent that tells nothing is not compared"
        for told in ("ddddeeeeffff", "aaaabbbbcccc"):
            change = update(Agent).where(col(Agent.host) == "alpha").values(config_hash=told)
            await ranch.world.write(lambda s, change=change: s.execute(change))
            await self.look(ranch)
            if told == "ddddeeeeffff":
                line = "settings of the agent: it works with ddddeeeeffff, its file holds aaaabbbbcccc"
                assert await self.drift(ranch) == [f"{line}: ringrift-ctl hosts restart alpha"]
                why = await ranch.world.get("/why/alpha")
                assert any(line in fact for fact in why["facts"])
        assert await self.drift(ranch) == []

    async def test_hosts_that_cannot_be_reached_or_are_worked_on_are_not_looked_at(
        self, ranch: Ranch
    ) -> None:
        await ranch.set_host("alpha", tunnel="closed")
        await ranch.set_host("beta", state="quarantined")
        await ranch.world.post("/hosts/gamma/provision")
        await ranch.world.write(lambda s: s.execute(text("UPDATE host SET drift_at = 1")))
        await ranch.world.reconcile("drift")
        await ranch.look()
        assert ranch.world.fleet.named("plan") == ["delta"]

    async def test_a_look_that_fails_leaves_what_was_known(self, ranch: Ranch) -> None:
        await self.look(ranch)
        ranch.world.fleet.fail("plan", *[Unreachable("no answer")] * 4)
        await self.look(ranch)
        assert await self.drift(ranch) == ["release: put new"]


class TestRepairing:
    """With the setting drift is repaired, each plan once."""

    @pytest.fixture
    def settings(self) -> Settings:
        return small_settings(hosts={"repair_drift": 1})

    async def test_a_plan_is_carried_out_and_one_that_failed_is_left_to_a_person(self, ranch: Ranch) -> None:
        ranch.world.fleet.plans = {"alpha": CHANGES}
        ranch.world.fleet.fail("provision", AccessRefused("no"))
        for _ in range(2):
            await ranch.set_host("alpha", drift_at=None, state="ready")
            await ranch.drive()
        assert ranch.world.fleet.named("provision") == ["alpha"]
        ranch.world.fleet.plans = {"alpha": replace(CHANGES, hash="e" * 64)}
        await ranch.set_host("alpha", drift_at=None, state="ready")
        await ranch.world.reconcile("drift")
        await ranch.look()
        assert await ranch.world.read(lambda s: operations.running_operation(s, "provision", "alpha"))
