"""A controller on a folder, and machines beside it that outlive it.

All that a killed controller leaves is in the folder: `home` (database and files) and `outside`, which stands
for the machines: what was installed on them, the keys and the memory of their agents.
"""

from __future__ import annotations

import asyncio
import base64
import pickle
import sqlite3
import tempfile
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any
from unittest import mock

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import event

from ringrift import failpoints
from ringrift.control.domain.ports import (
    DeployOrder,
    HostPlan,
    HostSpec,
    ProvisionOutcome,
    Serving,
    StepEvent,
    StepReport,
)
from ringrift.control.leadership import take_over
from ringrift.control.reconcile import provisioning
from ringrift.control.reconcile.table import RECONCILERS
from ringrift.control.store import migrate
from ringrift.control.store.engine import database_url, open_engines
from ringrift.errors import RingRiftError, Unreachable
from ringrift.protocol import agent as wire
from tests.control.doubles import RELEASE, Fabrication, RecordingFleet, ScriptedAgent
from tests.control.world import World, small_settings
from tests.simulation.checks import Checks, Violation
from tests.simulation.store import EPOCH

SETTLING = 600
"""Rounds after which something that should have come to its end has not."""


@dataclass
class Machine:
    """What is on one host whatever becomes of the controller."""

    key: bytes = field(default_factory=lambda: Ed25519PrivateKey.generate().private_bytes_raw())
    token: str = ""
    agent: str = ""
    release: str = ""
    incarnation: int = 0
    plan: str = "1" * 64
    down: bool = False
    held: wire.Assignment | None = None
    lost: list[str] = field(default_factory=list)
    """Errors with which the next calls that change this machine end."""


@dataclass
class Outside:
    """Everything beside the controller."""

    machines: dict[str, Machine] = field(default_factory=dict)
    work: Fabrication = field(default_factory=Fabrication)
    serving: dict[str, Any] = field(default_factory=dict)
    waiting: dict[str, Any] = field(default_factory=dict)
    receipts: set[tuple[str, int]] = field(default_factory=set)
    notes: dict[str, Any] = field(default_factory=dict)
    """What the actors of a scene remember."""


class Machines(RecordingFleet):
    """The controller's hands on the machines of `outside`."""

    def __init__(self, outside: Outside) -> None:
        super().__init__()
        self.outside = outside
        self.serving, self.waiting = outside.serving, outside.waiting

    def machine(self, name: str) -> Machine:
        """Return a host's machine."""
        return self.outside.machines.setdefault(name, Machine())

    def _reach(self, name: str) -> Machine:
        machine = self.machine(name)
        if machine.down:
            raise Unreachable(f"{name} does not answer")
        return machine

    async def plan(self, host: HostSpec) -> HostPlan:
        machine = self._reach(host.name)
        lines = () if machine.plan == "0" * 64 else ("release",)
        return HostPlan(machine.plan, lines, {"system": "linux"})

    async def provision(
        self, host: HostSpec, token: str | None, report: StepReport, plan_hash: str | None = None
    ) -> ProvisionOutcome:
        machine = self._reach(host.name)
        if plan_hash is not None and plan_hash != machine.plan:
            raise provisioning.Refused("the host changed since the plan; plan again")
        if machine.lost:
            raise RingRiftError(machine.lost.pop())
        await report(StepEvent("release", "running"))
        machine.release, machine.plan = RELEASE, "0" * 64
        machine.incarnation += 1
        if token is not None:
            machine.token, machine.agent = token, ""
        await report(StepEvent("release", "done", RELEASE, 0.1))
        return ProvisionOutcome({"system": "linux"}, RELEASE)

    async def deploy(self, host: HostSpec, order: DeployOrder, report: StepReport) -> Serving:
        await report(StepEvent("swap", "running"))
        models = {model.config: model.sha256 for model in order.models}
        said = Serving(True, order.generation, models, release=order.release or self.release)
        self.serving[order.target] = said
        await report(StepEvent("swap", "done", "", 0.1))
        return said

    async def agent_enrolled(self, host: HostSpec) -> bool:
        return bool(self._reach(host.name).agent)

    async def restart_agent(self, host: HostSpec) -> None:
        self._reach(host.name).incarnation += 1


class Stage:
    """One start of the controller on a folder, and its agents."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.home = folder, folder / "home"
        self.current = folder.with_name("current")
        """The same folder by a name that rows may hold: images of it lie elsewhere."""
        self.outside: Outside = pickle.loads((folder / "outside").read_bytes())
        settings = small_settings(**self.outside.notes.get("settings", {}))
        self.world = World(database_url(self.home, None), self.home, settings)
        self.fleet = self.world.fleet = self.world.context.fleet = Machines(self.outside)
        self.checks: Checks | None = None
        self._began, self._clock = time.monotonic(), self.outside.notes.setdefault("clock", EPOCH)
        for engine in (self.world.store.engines.writer, self.world.store.engines.reader):
            event.listen(engine, "connect", self._clocked)
        event.listen(self.world.store.engines.writer, "connect", self._connected)

    @property
    def context(self) -> Any:
        """The controller's parts."""
        return self.world.context

    def _connected(self, raw: sqlite3.Connection, _: Any) -> None:
        self.checks = Checks(raw)
        self.checks.receipts = self.outside.receipts

    def _clocked(self, raw: sqlite3.Connection, _: Any) -> None:
        """Let the database's clock go on where the last controller was: leases do not pass meanwhile."""
        raw.create_function("julianday", 1, lambda _: 2440587.5 + self.clock() / 86400.0)

    def clock(self) -> float:
        """Return the database's time."""
        return float(self._clock + time.monotonic() - self._began)

    def save(self) -> None:
        """Write what outlives the controller."""
        self.outside.notes["clock"] = self.clock()
        # Several threads may come to a place at once, and one of them is killed there.
        whole = self.folder / f"outside.{threading.get_ident()}"
        whole.write_bytes(pickle.dumps(self.outside))
        whole.replace(self.folder / "outside")

    def agent(self, name: str) -> ScriptedAgent:
        """Return the agent's process on a machine."""
        machine = self.fleet.machine(name)
        agent = ScriptedAgent(self.world.agents_app, name)
        agent.key = Ed25519PrivateKey.from_private_bytes(machine.key)
        agent.id, agent.incarnation = machine.agent, str(machine.incarnation)
        return agent

    async def beat(self, name: str) -> None:
        """Do what an agent does every few seconds: enrol if it must, beat."""
        machine, agent = self.fleet.machine(name), self.agent(name)
        if machine.token and not machine.agent:
            answer = await agent.enrol(machine.token)
            machine.agent = agent.id if answer.status_code == 200 else ""
        if machine.agent and not machine.down:
            held = machine.held
            running = [wire.Progress(assignment=held.assignment, epoch=held.epoch)] if held else []
            await agent.beat(*running, release=machine.release)

    async def told(self, assignment: wire.Assignment, sequence: int, accepted: bool) -> None:
        """Remember a receipt: it must hold for ever (P1)."""
        if accepted:
            self.outside.receipts.add((assignment.job, sequence))

    async def until(self, done: Callable[[], Awaitable[Any]], *names: str) -> None:
        """Let reconcilers pass and agents beat until something is so."""
        chosen = [item for item in RECONCILERS if item.name in names]
        for _ in range(SETTLING):
            for reconciler in chosen:
                await reconciler.step(self.context)
            for name in list(self.outside.machines):
                await self.beat(name)
            if await done():
                return
            await asyncio.sleep(0.01)
        raise AssertionError(f"it did not come to its end with {', '.join(names)}")

    async def flights(self, prefix: str = "") -> None:
        """Wait for the ends of long actions."""
        while found := [t for k, t in self.context.flights._tasks.items() if k.startswith(prefix)]:
            await asyncio.gather(*found)

    def sql(self, *statements: str) -> None:
        """Change rows behind the controller's back: time passes, say."""
        with sqlite3.connect(self.home / "ringrift.db") as raw:
            for statement in statements:
                raw.execute(statement)

    def query(self, statement: str) -> list[Any]:
        """Ask the database."""
        with sqlite3.connect(self.home / "ringrift.db") as raw:
            return raw.execute(statement).fetchall()


Act = Callable[[Stage], Awaitable[None]]
Watch = Callable[[Stage, str, str], None]


def found(folder: Path, **settings: dict[str, Any]) -> None:
    """Lay the beginning of a scene into a folder: an empty home."""
    (folder / "home" / "run").mkdir(parents=True)
    (folder / "home" / "artifacts").mkdir()
    (folder / "home" / "config.toml").write_text("")
    (folder / "home" / "ringrift.db").write_bytes(_empty_database())
    (folder / "outside").write_bytes(pickle.dumps(Outside(notes={"settings": settings})))


@cache
def _empty_database() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        engines = open_engines(database_url(Path(folder), None))
        migrate.upgrade(engines.writer)
        engines.dispose()
        return (Path(folder) / "ringrift.db").read_bytes()


def play(folder: Path, act: Act, watch: Watch, *, checked: bool = True) -> None:
    """Start a controller on a folder, let an act happen, stop it; promises are checked at every commit.

    `watch` hears of every place that is reached.
    """
    current = folder.with_name("current")
    current.unlink(missing_ok=True)
    current.symlink_to(folder)
    with _quick():
        asyncio.run(_play(folder, act, watch, checked))


async def _play(folder: Path, act: Act, watch: Watch, checked: bool) -> None:
    stage = Stage(folder)
    broken: list[Violation] = []

    def reached(name: str, moment: failpoints.Moment) -> None:
        watch(stage, name, moment)
        if checked and moment == "after" and threading.current_thread().name == "store-writer":
            assert stage.checks is not None
            try:
                stage.checks.committed(name)
            except Violation as violation:
                broken.append(violation)

    failpoints.watch(reached)
    try:
        await take_over(stage.context)
        await act(stage)
        await stage.world.close()
    finally:
        failpoints.watch(None)
        await stage.world.close()
    stage.save()
    if broken:
        raise broken[0]


@contextmanager
def _quick() -> Iterator[None]:
    """Shorten what only waits."""
    with mock.patch.object(provisioning, "_POLL_SECONDS", 0.005):
        yield


def key_text(number: int) -> str:
    """Return an OpenSSH public key that stands for the `number`th."""
    blob = (11).to_bytes(4, "big") + b"ssh-ed25519" + (32).to_bytes(4, "big") + bytes([number] * 32)
    return "ssh-ed25519 " + base64.b64encode(blob).decode()
