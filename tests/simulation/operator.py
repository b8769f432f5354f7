"""What happens to a fleet: links, machines, keys, the controller - and the operator's own hands."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from sqlmodel import select

from ringrift.control.api.routes import fleet as fleet_routes
from ringrift.control.api.routes.learning import promote_now
from ringrift.control.store import batches, fleet, hostkeys, learning, promotion
from ringrift.control.store.tables import Alias, Batch
from ringrift.errors import RingRiftError
from ringrift.protocol.operator import PromoteRequest
from tests.control.doubles import HOST_KEY
from tests.simulation.fleet import OTHER_KEY, Machine
from tests.simulation.network import Weather
from tests.simulation.store import GoneError

if TYPE_CHECKING:
    from tests.simulation.world import World


class Operator:
    """Draws one trouble after the other."""

    def __init__(self, world: World) -> None:
        self.world = world
        self._decisions = 0
        self._common: list[Callable[[], Awaitable[None]]] = [
            self._cut,
            self._crash_agent,
            self._kill_controller,
            self._kill_at_a_commit,
            self._promote_twice,
            self._promote_twice,
            self._batch,
        ]
        self._rare: list[Callable[[], Awaitable[None]]] = [
            self._clone,
            self._change_key,
            self._change_weather,
            self._drain,
            self._resume,
            self._roll_back,
            self._new_release,
            self._outage,
            self._provision,
            self._suspend,
        ]

    async def trouble(self) -> None:
        """Let one thing happen."""
        rng = self.world.rng
        chosen = rng.choice(self._common if rng.random() < 0.7 else self._rare)
        await chosen()

    async def make_peace(self) -> None:
        """Mend everything and take the wish for new work back; what was begun goes on to its end."""
        world = self.world
        world.note("peace")
        world.peace = True
        world.network.weather = Weather()
        world.arm(0)
        for machine in world.machines.values():
            world.network.set_cut(machine.name, False)
            machine.host_key = HOST_KEY
        while world.context is None:
            await asyncio.sleep(1.0)
        for machine in world.machines.values():
            if machine.agent is not None:
                world.start_agent(machine)
            await self._do(
                "host.trust",
                lambda s, n=machine.name: hostkeys.pin(s, fleet.get_host(s, n), HOST_KEY, "operator", "ann"),
            )
            await self._do("host.act", lambda s, n=machine.name: fleet.resume(s, fleet.get_host(s, n), "ann"))
        await self._do("config.enable", lambda s: learning.enable_config(s, "hex8_2p", False, "ann"))

    async def decide(self) -> None:
        """Promote what may be promoted, and at times take it back; the controller may die meanwhile."""
        self._decisions += 1
        if self._decisions < 5 and self.world.rng.random() < 0.3:
            self.world.arm(self.world.rng.randint(1, 4))
        await self._promote_twice()
        await self._do("batch.cancel", _cancel_halted)
        if self.world.unwell():
            await self._do("batch.start", lambda s: _start(s, "provision"))
        if self.world.rng.random() < 0.2:
            await self._roll_back()
        self.world.arm(0)
        await self._start_again()

    def _any(self) -> Machine:
        return self.world.rng.choice(list(self.world.machines.values()))

    async def _do(self, name: str, work: Callable[[Any], Any]) -> None:
        """Do what an operator asks for; a refusal is an answer, and a dead controller too."""
        context = self.world.context
        if context is None:
            return
        try:
            await context.store.write(name, work)
        except (RingRiftError, GoneError) as error:
            self.world.note(f"{name}: {error}")

    def _later(self, seconds: float, act: Callable[[], None]) -> None:
        async def wait() -> None:
            await asyncio.sleep(seconds)
            act()

        self.world.background(wait())

    async def _cut(self) -> None:
        host, seconds = self._any().name, self.world.rng.choice([5.0, 20.0, 200.0])
        self.world.note(f"the link of {host} is cut for {seconds:.0f} s")
        self.world.network.set_cut(host, True)
        self._later(seconds, lambda: self.world.network.set_cut(host, False))

    async def _crash_agent(self) -> None:
        machine = self._any()
        if machine.agent is None:
            return
        self.world.note(f"the agent of {machine.name} crashes")
        machine.agent.crash()
        if self.world.rng.random() < 0.8:
            self._later(self.world.rng.uniform(1.0, 30.0), lambda: self.world.start_agent(machine))

    async def _kill_controller(self) -> None:
        self.world.kill_controller("by the operator")
        await asyncio.sleep(self.world.rng.choice([0.5, 2.0, 20.0]))
        await self._start_again()

    async def _kill_at_a_commit(self) -> None:
        self.world.arm(self.world.rng.randint(1, 30))
        await asyncio.sleep(30.0)
        self.world.arm(0)
        await self._start_again()

    async def _outage(self) -> None:
        """No controller for long: agents go on with what they hold (P7)."""
        self.world.kill_controller("for long")
        alive = [m.agent for m in self.world.machines.values() if m.agent and m.agent.running]
        held = {
            agent: (agent.computed, {name for name, spool in agent.disk.spools.items() if spool.missing})
            for agent in alive
        }
        await asyncio.sleep(self.world.rng.uniform(150.0, 400.0))
        for agent, (before, work) in held.items():
            # An answer that was on its way may have taken the work from it.
            if agent.running and agent.computed == before and work & agent.disk.spools.keys():
                self.world.fail(_idle(agent.host))
        await self._start_again()

    async def _start_again(self) -> None:
        if self.world.context is None:
            await self.world.start_controller()

    async def _promote_twice(self) -> None:
        """Two operators promote at once: one wins, the other learns who won (P4)."""
        wish = PromoteRequest(config="hex8_2p", actor="ann", reason="")
        await asyncio.gather(
            self._do("champion.promote", lambda s: promote_now(s, self.world.settings.gate, wish)),
            self._do("champion.promote", lambda s: promote_now(s, self.world.settings.gate, wish)),
        )

    async def _roll_back(self) -> None:
        def work(session: Any) -> None:
            if session.get(Alias, ("champion", "hex8_2p")) is not None:
                found = promotion.plan_rollback(session, "hex8_2p")
                if found.allowed:
                    promotion.carry_out(session, found, "ann", "")

        await self._do("champion.rollback", work)

    async def _suspend(self) -> None:
        await self.world.suspend_controller()

    async def _batch(self) -> None:
        """An operation on all hosts: canary, waves, budget, debts."""
        kind = self.world.rng.choice(["provision", "provision", "update", "restart"])
        await self._do("batch.start", lambda s: _start(s, kind))

    async def _provision(self) -> None:
        name = self._any().name
        await self._do("host.provision", lambda s: fleet_routes._provision(s, name))

    async def _drain(self) -> None:
        name = self._any().name
        await self._do("host.act", lambda s: fleet.drain(s, fleet.get_host(s, name), "ann"))

    async def _resume(self) -> None:
        name = self._any().name
        await self._do("host.act", lambda s: fleet.resume(s, fleet.get_host(s, name), "ann"))

    async def _new_release(self) -> None:
        self.world.fleet.release = f"{self.world.rng.getrandbits(48):012x}"

    async def _change_weather(self) -> None:
        rng = self.world.rng
        self.world.network.weather = Weather(
            rng.random() * 0.3, rng.random() * 0.2, rng.choice([0.1, 5.0, 40.0])
        )

    async def _change_key(self) -> None:
        machine = self._any()
        machine.host_key = OTHER_KEY
        self._later(self.world.rng.uniform(30.0, 300.0), lambda: setattr(machine, "host_key", HOST_KEY))

    async def _clone(self) -> None:
        """A snapshot of a machine comes alive beside it for a while."""
        machine = self._any()
        if machine.agent is None:
            return
        twin = machine.agent.clone()
        self.world.note(f"{machine.name} has a twin")
        twin.start()
        self._later(self.world.rng.uniform(20.0, 200.0), twin.crash)


def _start(session: Any, kind: str) -> None:
    hosts = batches.choose_hosts(session, [], True, {})
    batches.start_batch(session, hosts, batches.Order(kind, named=False), "ann")


def _cancel_halted(session: Any) -> None:
    """Give up what a batch stopped at: nobody pays its debts until a person has looked."""
    for batch in session.exec(select(Batch).where(Batch.state == "halted")).all():
        batches.cancel_batch(session, batch.id, "ann")


def _idle(host: str) -> Exception:
    from tests.simulation.checks import Violation

    return Violation(f"P7: the agent of {host} had work and did nothing while the controller was away")
