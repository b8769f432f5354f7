"""The fleet as the controller sees it: `ringrift.control.domain.ports.Fleet` over SSH."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from pathlib import Path

from hosts import deploy as deployment
from hosts import health, staging, tunnel, wheel
from hosts import provision as provisioning
from hosts.connection import Connector
from hosts.facts import Facts, Question, gather
from hosts.gate import still_good
from hosts.layout import check_root
from hosts.provision import FleetSettings
from hosts.remote import Remote
from hosts.runner import perform
from hosts.steps import agent_service, service
from ringrift.control.domain.ports import (
    DeployOrder,
    HostPlan,
    HostSpec,
    ProvisionOutcome,
    Serving,
    ShownKey,
    StepReport,
)
from ringrift.errors import NotFound


class SshFleet:
    """One cached connection per host, shared by tunnel, provisioning and deployment.

    `home` is RINGRIFT_HOME: the controller's key lies in `home/ssh`, built wheels in `home/releases`.
    """

    def __init__(self, home: Path, settings: FleetSettings | None = None) -> None:
        self._home = home
        self._settings = settings or FleetSettings()
        self._connector = Connector(home)
        self._open: dict[str, tuple[HostSpec, Remote]] = {}
        self._connecting: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._changing: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        """Held while a host is changed, so that two operations on it never mix."""

    async def scan(self, address: str, port: int, jump: HostSpec | None = None) -> list[ShownKey]:
        """Return the key that an address shows, without logging in; raises Unreachable."""
        return await self._connector.scan(address, port, jump)

    async def plan(self, host: HostSpec) -> HostPlan:
        """Look at a host and say what provisioning would change; changes nothing."""
        check_root(host.root)
        built = await self._built("")
        return await provisioning.look(await self._remote(host), host, built, self._settings)

    async def provision(
        self, host: HostSpec, token: str | None, report: StepReport, plan_hash: str | None = None
    ) -> ProvisionOutcome:
        """Bring a host to a started agent; `token` None keeps its enrolment. Idempotent and resumable.

        Raises Refused, and changes nothing, when `plan_hash` is of another plan than the one called for.
        """
        check_root(host.root)
        built = await self._built("")
        async with self._changing[host.name]:
            remote = await self._remote(host)
            return await provisioning.provision(remote, host, built, self._settings, token, report, plan_hash)

    async def hold_tunnel(
        self, host: HostSpec, agents_socket: Path, opened: Callable[[], Awaitable[None]]
    ) -> None:
        """Forward the agents' API to the host, publish where it is, call `opened`, return when it is cut."""
        remote = await self._remote(host)
        await tunnel.hold(remote, check_root(host.root), agents_socket, opened)

    async def agent_enrolled(self, host: HostSpec) -> bool:
        """Tell whether the host's agent has been enrolled and holds its key."""
        facts = await self._facts(await self._remote(host), host)
        return facts.agent.enrolled

    async def restart_agent(self, host: HostSpec) -> None:
        """Start the agent's service anew, as it was provisioned; raises NotFound when there is none."""
        async with self._changing[host.name]:
            remote = await self._remote(host)
            facts = await self._facts(remote, host)
            commands = service.restart(facts, agent_service.NAME, agent_service.unit(host.name))
            if not commands:
                raise NotFound(f"{host.name} has no agent to restart", hint="provision the host")
            await perform(remote, facts, commands)

    async def installable(self, release: str = "") -> str:
        """Return the name of a release that was built here, for none that of the packages installed here.

        Raises NotFound for one that is gone, CorruptData for one that is damaged.
        """
        return (await self._built(release)).name

    async def _built(self, release: str) -> wheel.Release:
        """Return a release by its name, the present one for none; NotFound for one that is gone."""
        if release:
            return await asyncio.to_thread(wheel.stored, self._home, release)
        return await asyncio.to_thread(wheel.build, self._home, self._settings.source)

    async def deploy(self, host: HostSpec, order: DeployOrder, report: StepReport) -> Serving:
        """Make a target serve exactly the order's models; on an error it serves what it served before."""
        built = await self._built(order.release)
        async with self._changing[host.name]:
            remote = await self._remote(host)
            order = replace(order, release=built.name)
            return await deployment.deploy(remote, host, built, self._settings, order, report)

    async def stage(
        self, host: HostSpec, target: str, release: str, orders: Sequence[DeployOrder], report: StepReport
    ) -> None:
        """Have exactly the models of these orders wait on a target, one in each, proven by a release.

        What serves does not change, and no other change of the host waits for this one.
        """
        built = await self._built(release)
        remote = await self._remote(host)
        await staging.stage(remote, host, built, self._settings, target, orders, report)

    async def observe(self, host: HostSpec, target: str, port: int) -> Serving:
        """Ask a target what it serves; raises Unreachable when it does not answer."""
        return await health.ask(await self._remote(host), target, port)

    async def close(self) -> None:
        """Close every connection."""
        remotes = [remote for _, remote in self._open.values()]
        self._open.clear()
        for remote in remotes:
            remote.connection.close()
        await asyncio.gather(*(remote.connection.wait_closed() for remote in remotes))

    async def _remote(self, host: HostSpec) -> Remote:
        """Return the host's open connection, or a new one where there is none or the login has changed."""
        async with self._connecting[host.name]:
            before, remote = self._open.pop(host.name, (host, None))
            if remote is None or not still_good(remote.connection, before, host):
                if remote is not None:
                    remote.connection.close()
                remote = Remote(host.name, await self._connector.connect(host))
            self._open[host.name] = (host, remote)
            return remote

    async def _facts(self, remote: Remote, host: HostSpec) -> Facts:
        unit = agent_service.unit(host.name)
        root = check_root(host.root)
        python = host.python or ""
        return await gather(remote, Question(root=root, python=python, service=agent_service.NAME, unit=unit))
