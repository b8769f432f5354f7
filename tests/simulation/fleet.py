"""Machines without SSH: what provisioning leaves on them survives; every call takes time and may be cut."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

from ringrift.control.domain.ports import (
    DeployOrder,
    HostPlan,
    HostSpec,
    ProvisionOutcome,
    Serving,
    ShownKey,
    StepEvent,
    StepReport,
)
from ringrift.errors import HostKeyChanged, Refused, Unreachable
from tests.control.doubles import HOST_KEY, OTHER_KEY
from tests.simulation.agent import Disk, SimAgent
from tests.simulation.network import Network


@dataclass
class Machine:
    """One host: its disk, its agent's process, and what it serves."""

    name: str
    disk: Disk = field(default_factory=Disk)
    agent: SimAgent | None = None
    host_key: str = HOST_KEY
    held_up: bool = False
    """The agent's process is down and nothing but a restart brings it back."""


class SimFleet:
    """The controller's hands on the machines. `release` is what it puts there."""

    def __init__(
        self,
        machines: dict[str, Machine],
        network: Network,
        rng: random.Random,
        start: Callable[[Machine], None],
    ) -> None:
        self.machines, self.network, self._rng, self._start = machines, network, rng, start
        self.release = "abcdef012345"

    async def scan(self, address: str, port: int, jump: object = None) -> list[ShownKey]:
        return [ShownKey("ssh-ed25519", "SHA256:shown", HOST_KEY)]

    async def plan(self, host: HostSpec) -> HostPlan:
        machine = await self._reach(host)
        return self._plan(machine)

    def _plan(self, machine: Machine) -> HostPlan:
        there = machine.disk.release
        lines = () if there == self.release else (f"release {there or 'none'} -> {self.release}",)
        return HostPlan(f"{there}>{self.release}", lines, {"system": "linux"})

    async def provision(
        self, host: HostSpec, token: str | None, report: StepReport, plan_hash: str | None = None
    ) -> ProvisionOutcome:
        machine = await self._reach(host)
        if plan_hash is not None and plan_hash != self._plan(machine).hash:
            raise Refused(f"{host.name} changed since the plan", hint="plan again")
        for step in ("release", "agent configuration", "agent service"):
            await report(StepEvent(step, "running"))
            await self._reach(host)
            if step == "release":
                machine.disk.release = self.release
            elif step == "agent configuration" and token is not None and machine.disk.agent is None:
                machine.disk.token = token
            elif step == "agent service":
                self._start(machine)
            await report(StepEvent(step, "done", "", 0.1))
        return ProvisionOutcome({"system": "linux"}, machine.disk.release)

    async def hold_tunnel(
        self, host: HostSpec, agents_socket: Path, opened: Callable[[], Awaitable[None]]
    ) -> None:
        await self._reach(host)
        await opened()
        await self.network.until_cut(host.name)

    async def agent_enrolled(self, host: HostSpec) -> bool:
        return (await self._reach(host)).disk.agent is not None

    async def restart_agent(self, host: HostSpec) -> None:
        self._start(await self._reach(host))

    async def deploy(self, host: HostSpec, order: DeployOrder, report: StepReport) -> Serving:
        raise Unreachable("targets are not simulated")

    async def stage(self, host: HostSpec, target: str, *rest: object) -> None:
        raise Unreachable("targets are not simulated")

    async def installable(self, release: str = "") -> str:
        return release or self.release

    async def observe(self, host: HostSpec, target: str, port: int) -> Serving:
        raise Unreachable("targets are not simulated")

    async def close(self) -> None:
        """Nothing is held."""

    async def _reach(self, host: HostSpec) -> Machine:
        await asyncio.sleep(self._rng.uniform(0.05, 3.0))
        machine = self.machines[host.name]
        if host.name in self.network.cut:
            await asyncio.sleep(10.0)
            raise Unreachable(f"{host.name} does not answer in time")
        if machine.host_key != host.host_key:
            raise HostKeyChanged(f"{host.name} shows another host key", hint="trust it")
        return machine


__all__ = ["OTHER_KEY", "Machine", "SimFleet"]
