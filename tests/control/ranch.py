"""Four ready hosts with agents, for the tests of what is done on many hosts."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

import pytest

from ringrift.control.domain.ports import HostPlan
from ringrift.control.store.tables import Host
from tests.control.doubles import ScriptedAgent
from tests.control.test_operations import eventually
from tests.control.world import World

CHANGES = HostPlan("c" * 64, ("release: put new",), {"system": "linux"})


@dataclass
class Ranch:
    """Ready hosts with agents; `plans` of the fleet say which of them want changes."""

    world: World
    agents: dict[str, ScriptedAgent]

    async def drive(self) -> None:
        """Let reconcilers, long actions and agents go on until nothing runs any more."""
        calm = 0
        for _ in range(50):
            same = await self.world.reconcile("batches", "operations", "drift") == 1
            # Twice: what a pass starts may end within it, and only the next one sees that.
            calm = calm + 1 if same and not list(self.world.context.flights) else 0
            if calm == 2:
                return
            await self.look()
            await self.work()
        raise AssertionError("the batch never ends")

    async def look(self) -> None:
        """Wait for the looks that are under way."""
        found = [t for t in asyncio.all_tasks() if t.get_name().startswith(("batch:", "look:"))]
        await asyncio.gather(*found)

    async def work(self, *, beating: bool = True) -> None:
        """Let agents beat until the operations that are under way have ended."""

        async def ended() -> bool:
            names = [key for key in self.world.context.flights if key.startswith("operation:")]
            for name in names if beating else []:
                await self.agents[name.removeprefix("operation:")].beat()
            return not names

        await eventually(ended)

    async def batch(self, kind: str = "provision", **more: Any) -> str:
        body = {"kind": kind, "hosts": list(self.agents), **more}
        return (await self.world.post("/batches", body))["id"]

    async def ends(self, identity: str) -> dict[str, str]:
        shown = await self.world.get(f"/batches/{identity}")
        return {row["host"]: row["state"] for row in shown["hosts"]}

    async def set_host(self, name: str, **values: Any) -> None:
        def work(session: Any) -> None:
            session.get(Host, name).sqlmodel_update(values)

        await self.world.write(work)


@pytest.fixture
async def ranch(world: World) -> Ranch:
    agents = {name: await world.agent(name) for name in ("alpha", "beta", "delta", "gamma")}
    made = Ranch(world, agents)
    for name in agents:
        world.fleet.plans[name] = CHANGES
        world.fleet.enrolled.add(name)
        await made.set_host(name, tunnel="open")
    return made
