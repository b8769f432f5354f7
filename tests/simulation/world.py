"""One seed: a controller, its machines and an operator, for a while of trouble and then one of peace."""

from __future__ import annotations

import asyncio
import random
import secrets
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from unittest import mock

from ringrift import failpoints
from ringrift.control.leadership import take_over
from ringrift.control.reconcile import provisioning
from ringrift.control.reconcile.context import Context
from ringrift.control.reconcile.table import RECONCILERS
from ringrift.control.settings import Settings
from ringrift.control.store import beats, fleet, leasing, operations
from ringrift.control.store.fence import leading
from ringrift.control.store.operations import Superseded, current_epoch
from ringrift.control.store.receipts import accept_result
from ringrift.control.store.tables import ConfigRow, Host
from ringrift.errors import RingRiftError, Unreachable
from ringrift.game.config import GameConfig
from tests.control.doubles import HOST_KEY, Fabrication
from tests.control.world import small_settings
from tests.simulation.agent import SimAgent
from tests.simulation.artifacts import SimArtifacts
from tests.simulation.checks import Checks, Violation
from tests.simulation.fleet import Machine, SimFleet
from tests.simulation.loop import VirtualLoop
from tests.simulation.network import Network, Weather
from tests.simulation.operator import Operator
from tests.simulation.store import EPOCH, Database, GoneError, SimStore

CONFIG = "hex8_2p"
TROUBLE_SECONDS = (60.0, 300.0)
PEACE_SECONDS = 2 * 3600.0
_PASS_SECONDS = 8.0
_LEARNS = 0.3
"""Share of seeds whose few games are enough to train, test and promote; the others only play."""


def _settings(learns: bool) -> Settings:
    return small_settings(
        agents={
            "heartbeat_wait_seconds": 120.0,
            "retry_seconds": 5.0,
            "patience_seconds": 20.0,
            "idle_seconds": 10.0,
            "spot_check_share": 0.2,
        },
        selfplay={"games_per_shard": 4, "shards_per_job": 2, "queued_per_config": 2},
        training={"min_positions": 300 if learns else 10**9},
        evaluation={"blocks_per_job": 10, "jobs_ahead": 2},
        limits={"pass_seconds": _PASS_SECONDS, "reconnect_seconds": 5.0},
    )


class World:
    """Everything of one seed. What is not in `database`, `artifacts` or a machine's disk dies in a crash."""

    def __init__(self, seed: int, loop: VirtualLoop) -> None:
        self.rng = random.Random(seed)
        self.loop, self.seed = loop, seed
        self.database = Database(loop.time)
        self.checks = Checks(self.database.raw)
        self.network = Network(self.rng, Weather(0.05, 0.05, 3.0))
        self.work = Fabrication(candidate_wins=self.rng.random() < 0.7)
        self.artifacts = SimArtifacts()
        self.settings = _settings(self.rng.random() < _LEARNS)
        names = [f"host-{number}" for number in range(self.rng.randint(2, 4))]
        self.machines = {name: Machine(name) for name in names}
        self.liar = self.rng.choice([*names, *[None] * len(names)])
        self.fleet = SimFleet(self.machines, self.network, self.rng, self.start_agent)
        self.broken: Violation | None = None
        self.context: Context | None = None
        self._controller: list[asyncio.Task[Any]] = []
        self._lesser: set[asyncio.Task[Any]] = set()
        self._armed = 0
        self.peace = False
        self.log: list[str] = []
        self.totals: dict[str, int] = {}
        """What came to pass, counted at the end."""

    # ---- the controller's process -------------------------------------------------------------------------

    async def start_controller(self) -> None:
        """Start a controller on what the last one left."""
        store = SimStore(self.database, self.rng, self._committed)
        self.context = Context(
            store,  # type: ignore[arg-type]
            self.artifacts,  # type: ignore[arg-type]
            self.fleet,
            self.settings,
            Path("/nowhere"),
            Path("/nowhere/agents.sock"),
            leading=False,
        )
        self.note("the controller starts")
        self._controller = [asyncio.ensure_future(self._controls(self.context))]

    async def _controls(self, context: Context) -> None:
        with suppress(GoneError, Superseded):
            seen = await context.store.read(current_epoch)
            await asyncio.sleep(self.rng.uniform(0.0, 2.0))
            await take_over(context, seen)
            context.leading = True
            with leading(context.epoch):
                await self._passes(context)

    async def _passes(self, context: Context) -> None:
        woken = asyncio.Event()
        context.wakers.append(woken)
        while True:
            chosen = list(RECONCILERS)
            self.rng.shuffle(chosen)
            for reconciler in chosen if self.peace else chosen[: len(chosen) // 2]:
                await self._pass(context, reconciler)
            with suppress(TimeoutError):
                async with asyncio.timeout(_PASS_SECONDS * self.rng.uniform(1.0, 3.0)):
                    await woken.wait()
            woken.clear()
            await asyncio.sleep(self.rng.uniform(0.1, 3.0))

    async def _pass(self, context: Context, reconciler: Any) -> bool:
        try:
            return bool(await reconciler.step(context))
        except (GoneError, Superseded):
            raise
        except RingRiftError as error:
            self.note(f"{reconciler.name}: {error.line()}")
        except Exception as error:
            self.fail(Violation(f"reconciler {reconciler.name} raised {type(error).__name__}: {error}"))
        return False

    async def suspend_controller(self) -> None:
        """Stop the controller's process for a while; another one takes the lead, then the first wakes up."""
        if self.context is None:
            return
        self.note("the controller is suspended, another one takes over")
        old, tasks = self.context, self._controller
        old.store.awake.clear()  # type: ignore[attr-defined]
        await self.start_controller()
        await asyncio.sleep(self.rng.uniform(5.0, 60.0))
        self.note("the suspended controller wakes up")
        old.store.awake.set()  # type: ignore[attr-defined]
        await asyncio.sleep(10.0)
        old.store.dead = True  # type: ignore[attr-defined]
        for task in tasks:
            task.cancel()
        await old.flights.close()

    def kill_controller(self, why: str) -> None:
        """Kill the controller's process now; nothing of it runs on."""
        if self.context is None:
            return
        self.note(f"the controller is killed {why}")
        context, self.context = self.context, None
        context.store.dead = True  # type: ignore[attr-defined]
        for task in self._controller:
            task.cancel()
        self.background(context.flights.close())
        self.checks.all_receipts()

    def arm(self, commits: int) -> None:
        """Let the controller die at a commit from now on: just before it or just after it."""
        self._armed = commits

    def _reached(self, name: str, moment: str) -> None:
        if self._armed and self.context is not None:
            self._armed -= 1
            if self._armed == 0:
                self.kill_controller(f"{moment} the commit of {name}")

    def _committed(self, name: str, _: Any) -> None:
        try:
            self.checks.committed(name)
            self.checks.silence(name, self._silent())
        except Violation as violation:
            self.fail(violation)

    def _silent(self) -> set[str]:
        """Return the hosts that nobody can have heard of for a while."""
        return {host for host, since in self.network.cut.items() if self.loop.time() - since > 40.0}

    def fail(self, violation: Violation) -> None:
        """Note the first broken promise."""
        self.broken = self.broken or violation

    def note(self, line: str) -> None:
        """Write a line of the story, for the one who replays a failing seed."""
        self.log.append(f"{self.loop.time():8.1f}  {line}")

    def background(self, action: Awaitable[Any]) -> None:
        """Let something run beside."""
        task = asyncio.ensure_future(action)
        self._lesser.add(task)
        task.add_done_callback(self._lesser.discard)

    # ---- the agents' API ----------------------------------------------------------------------------------

    async def ask(self, host: str, agent: str | None, verb: str, request: Any) -> Any:
        """Carry a question of an agent over its host's tunnel to the controller that is there, if one is."""
        return await self.network.call(host, lambda: self._answer(host, agent, verb, request))

    async def _answer(self, host: str, agent: str | None, verb: str, request: Any) -> Any:
        context = self.context
        if context is None or not any(key.startswith(f"tunnel:{host} ") for key in context.flights):
            raise Unreachable("nobody answers")
        try:
            return await self._handle(context, host, agent or "", verb, request)
        except GoneError:
            raise Unreachable("the controller died") from None
        except RingRiftError:
            raise
        except Exception as error:
            self.fail(Violation(f"{verb} raised {type(error).__name__}: {error}"))
            raise Unreachable("the controller failed") from error

    async def _handle(self, context: Context, host: str, agent: str, verb: str, request: Any) -> Any:
        settings, store = context.settings, context.store
        if verb == "enrol":
            return await store.write("agent.enrol", lambda s: fleet.enrol(s, request, host, f"key of {host}"))
        await store.read(lambda s: self._known(s, agent))
        if verb == "beat":
            return await store.write("agent.beat", lambda s: beats.beat(s, agent, request, settings.agents))
        if verb == "lease":
            return await store.write("agent.lease", lambda s: leasing.lease(s, agent, request, settings))
        if verb == "upload":
            return await self.artifacts.upload(store, agent, request)
        if verb == "finish":
            return await store.write(
                "agent.finish", lambda s: leasing.finish(s, agent, request, settings.agents)
            )
        reply = await store.write("agent.result", lambda s: accept_result(s, agent, request, settings.agents))
        if reply.accepted and not reply.duplicate:
            held = self.database.raw.execute(
                "SELECT job, epoch FROM assignment WHERE id = ?", (request.assignment,)
            ).fetchone()
            self.checks.accepted_new(*held, agent)
        return reply

    def _known(self, session: Any, agent: str) -> None:
        row = beats.get_agent(session, agent)
        if row.revoked_at is not None:
            raise Unreachable("this key is revoked")

    # ---- machines -----------------------------------------------------------------------------------------

    def start_agent(self, machine: Machine) -> None:
        """Start a machine's agent anew; what ran before is ended."""
        if machine.agent is not None:
            machine.agent.crash()
        lies = 0.3 if machine.name == self.liar and not self.peace else 0.0
        machine.agent = SimAgent(machine.name, machine.disk, self.ask, self.rng, self.work, lies, self._told)
        machine.held_up = False
        machine.agent.start()

    def _told(self, job: str, sequence: int) -> None:
        try:
            self.checks.told(job, sequence)
        except Violation as violation:
            self.fail(violation)

    # ---- the story ----------------------------------------------------------------------------------------

    async def play(self) -> None:
        """Add the machines, let trouble come, then let peace come and hold everything to its promises."""
        failpoints.watch(self._reached)
        await self.start_controller()
        await self._found()
        operator = Operator(self)
        end = self.loop.time() + self.rng.uniform(*TROUBLE_SECONDS)
        while self.loop.time() < end and self.broken is None:
            await operator.trouble()
            await asyncio.sleep(self.rng.uniform(1.0, 15.0))
        await operator.make_peace()
        await self._until_rest(operator)
        self.checks.all_receipts()
        self.checks.liars(self.liar)
        if self.broken is not None:
            raise self.broken
        self.totals = {what: self._one(query) for what, query in _TOTALS.items()}

    def _one(self, query: str) -> int:
        return int(self.database.raw.execute(query).fetchone()[0])

    async def _found(self) -> None:
        """Put the inventory's rows and the wish to train into the store."""

        def work(session: Any) -> None:
            at = EPOCH + self.loop.time()
            for name in self.machines:
                row = Host(
                    name=name,
                    state="new",
                    user="u",
                    address="a",
                    port=22,
                    host_key=HOST_KEY,
                    fingerprint="SHA256:x",
                    confirmed_by="fingerprint",
                    root="ringrift",
                    added_at=at,
                    changed_at=at,
                )
                session.add(row)
                fleet.record(session, "ann", "host.added", name)
                operations.start_operation(session, "provision", name, name, "ann", {})
            session.add(ConfigRow(key=GameConfig.parse(CONFIG).key, enabled=True, changed_at=at))

        assert self.context is not None
        await self.context.store.write("host.add", work)

    async def _until_rest(self, operator: Operator) -> None:
        """Wait until nothing is left to do; then another pass must change nothing (P6, P9).

        Between one step of a long chain and the next nothing waits either, so that it must stay so.
        """
        end = self.loop.time() + PEACE_SECONDS
        while self.broken is None:
            await operator.decide()
            await asyncio.sleep(15.0)
            left, before = self._left(), self._head()
            await asyncio.sleep(15.0)
            left = left or self._left()
            if left is None and self._head() == before:
                break
            if self.loop.time() > end:
                self.fail(Violation(f"P6: after {PEACE_SECONDS:.0f} s of peace {left or 'it changes still'}"))
        if self.broken is None:
            await self._another_pass()

    async def _another_pass(self) -> None:
        assert self.context is not None
        for task in self._controller:
            task.cancel()
        for _ in range(2):
            before = self._head()
            with leading(self.context.epoch):
                changed = [r.name for r in RECONCILERS if await self._pass(self.context, r)]
        if changed or self._head() != before:
            self.fail(Violation(f"P6: at rest, another pass changed something: {changed}"))

    def _head(self) -> int:
        return self._one("SELECT COUNT(*) FROM event")

    def unwell(self) -> bool:
        """Tell whether an operator sees a host that is not as it should be."""
        unwell = self.database.raw.execute(_UNFINISHED["a host is not well"]).fetchone()
        return bool(self._outdated()) or unwell is not None

    def _outdated(self) -> list[str]:
        """Return the machines in service that run another release than the wished one."""
        query = "SELECT name FROM host WHERE state != 'quarantined' ORDER BY name"
        serving = [self.machines[name] for (name,) in self.database.raw.execute(query)]
        return [machine.name for machine in serving if machine.disk.release != self.fleet.release]

    def _left(self) -> str | None:
        """Say what is not at its end yet."""
        if self.context is None or not self.context.leading:
            return "no controller leads"
        for what, query in _UNFINISHED.items():
            row = self.database.raw.execute(query).fetchone()
            if row:
                return f"{what}: {', '.join(map(str, row))}"
        if wrong := self._outdated():
            return f"P9: {wrong[0]} runs {self.machines[wrong[0]].disk.release}, not {self.fleet.release}"
        return None


_UNFINISHED = {
    "an operation is unfinished": "SELECT id, kind, host FROM operation WHERE state = 'running'",
    "a batch is unfinished": "SELECT id, kind FROM batch WHERE state = 'running'",
    # That of a quarantined host waits until a person has looked at the host.
    "a debt is unpaid": (
        "SELECT debt.id, debt.host, debt.kind FROM debt JOIN host ON host.name = debt.host "
        "WHERE paid_at IS NULL AND host.state != 'quarantined'"
    ),
    "an assignment runs": "SELECT id, agent FROM assignment WHERE state = 'running'",
    "a job waits": "SELECT id, kind, state, reason FROM job WHERE state IN ('queued', 'leased')",
    "a host is not well": (
        "SELECT name, state, reason FROM host WHERE state NOT IN ('ready', 'draining', 'quarantined')"
    ),
}


_TOTALS = {
    "commits audited": "SELECT COUNT(*) FROM event",
    "results receipted": "SELECT COUNT(*) FROM result",
    "games counted": "SELECT COUNT(*) FROM game",
    "assignments": "SELECT COUNT(*) FROM assignment",
    "leases lost": "SELECT COUNT(*) FROM assignment WHERE state = 'expired'",
    "jobs given up": "SELECT COUNT(*) FROM job WHERE state IN ('failed', 'quarantined')",
    "shards refused": "SELECT COUNT(*) FROM shard WHERE state = 'refused'",
    "models": "SELECT COUNT(*) FROM model",
    "promotions": "SELECT COUNT(*) FROM promotion WHERE kind = 'promote'",
    "rollbacks": "SELECT COUNT(*) FROM promotion WHERE kind = 'rollback'",
    "operations": "SELECT COUNT(*) FROM operation",
    "operations failed": "SELECT COUNT(*) FROM operation WHERE state = 'failed'",
    "agents restarted": "SELECT COUNT(*) FROM event WHERE action = 'agent.restart'",
    "quarantines": "SELECT COUNT(*) FROM host_state WHERE state = 'quarantined'",
    "batches": "SELECT COUNT(*) FROM batch",
    "debts paid": "SELECT COUNT(*) FROM debt WHERE paid_at IS NOT NULL",
    "spot checks closed": "SELECT COUNT(*) FROM spot_check WHERE closed_at IS NOT NULL",
}


def run_seed(seed: int) -> World:
    """Play one seed to its end and return its world; raises `Violation` when a promise was broken."""
    loop = VirtualLoop()
    asyncio.set_event_loop(loop)
    random.seed(seed)
    with _deterministic(seed, loop):
        world = World(seed, loop)
        try:
            loop.run_until_complete(world.play())
        except Violation as violation:
            violation.add_note("\n".join(world.log[-40:]))
            raise
        finally:
            failpoints.watch(None)
            _end(loop)
            world.database.close()
    return world


def _end(loop: VirtualLoop) -> None:
    tasks = asyncio.all_tasks(loop)
    for task in tasks:
        task.cancel()
    loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
    asyncio.set_event_loop(None)
    loop.close()


@contextmanager
def _deterministic(seed: int, loop: VirtualLoop) -> Iterator[None]:
    """Take away what a seed does not decide: clocks, secrets and threads."""
    chance = random.Random(f"secrets {seed}")

    async def inline(function: Callable[..., Any], *args: Any, **options: Any) -> Any:
        return function(*args, **options)

    with (
        mock.patch.object(time, "monotonic", loop.time),
        mock.patch.object(time, "time", lambda: EPOCH + loop.time()),
        mock.patch.object(
            secrets, "token_hex", lambda size=32: f"{chance.getrandbits(size * 8):0{size * 2}x}"
        ),
        mock.patch.object(secrets, "token_urlsafe", lambda size=32: f"{chance.getrandbits(size * 8):x}"),
        mock.patch.object(secrets, "randbits", chance.getrandbits),
        mock.patch.object(asyncio, "to_thread", inline),
        mock.patch.object(provisioning, "_POLL_SECONDS", 4.0),
    ):
        yield
