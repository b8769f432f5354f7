"""A model of the agent: what is on its disk survives, what is in its memory does not."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import copy
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from ringrift.errors import RingRiftError, Unreachable
from ringrift.protocol import agent as wire
from ringrift.protocol.jobs import parse_spec, sequences
from tests.control.doubles import Fabrication

KINDS = ["selfplay", "ingest", "train", "evaluate", "repeat"]


@dataclass
class Spool:
    """One assignment on disk."""

    assignment: wire.Assignment
    results: dict[int, tuple[dict[str, Any], list[str]]] = field(default_factory=dict)
    receipts: set[int] = field(default_factory=set)

    @property
    def missing(self) -> list[int]:
        """Return the sequences that nobody has computed yet, as far as this disk knows."""
        known = set(self.assignment.done) | self.receipts | set(self.results)
        return [number for number in sequences(parse_spec(self.assignment.spec)) if number not in known]


@dataclass
class Disk:
    """Everything of an agent that a crash leaves."""

    token: str | None = None
    agent: str | None = None
    release: str = ""
    spools: dict[str, Spool] = field(default_factory=dict)


Ask = Callable[[str, str | None, str, Any], Awaitable[Any]]
"""(host, agent, verb, request) -> reply: the agents' API across the network."""


class SimAgent:
    """One process of the agent on a host. `lies` is the share of its results that are untrue."""

    def __init__(
        self,
        host: str,
        disk: Disk,
        ask: Ask,
        rng: random.Random,
        work: Fabrication,
        lies: float = 0.0,
        told: Callable[[str, int], None] = lambda job, sequence: None,
    ) -> None:
        self.host, self.disk, self.lies = host, disk, lies
        self._ask, self._rng, self._work, self._told = ask, rng, work, told
        self._incarnation = f"{rng.getrandbits(64):016x}"
        self._tasks: list[asyncio.Task[None]] = []
        self.computed = 0
        """Units of work finished by this process."""
        self.draining = False

    @property
    def running(self) -> bool:
        """Tell whether the process lives."""
        return any(not task.done() for task in self._tasks)

    def start(self) -> None:
        """Start the process."""
        # A process of its own: nothing of the one that started it, such as its right to lead, is inherited.
        loop = asyncio.get_running_loop()
        self._tasks = [
            loop.create_task(work, context=contextvars.Context()) for work in (self._beats(), self._slot())
        ]

    def crash(self) -> None:
        """Kill the process; a write under way tears."""
        for task in self._tasks:
            task.cancel()

    def clone(self) -> SimAgent:
        """Return a second process with a copy of the disk: a restored snapshot of the machine."""
        return SimAgent(self.host, copy.deepcopy(self.disk), self._ask, self._rng, self._work)

    async def _call(self, verb: str, request: Any) -> Any:
        return await self._ask(self.host, self.disk.agent, verb, request)

    async def _beats(self) -> None:
        while True:
            pause = 15.0
            with contextlib.suppress(RingRiftError):
                pause = await self._beat()
            await asyncio.sleep(pause * self._rng.uniform(0.9, 1.1))

    async def _beat(self) -> float:
        await self._enrolled()
        request = wire.BeatRequest(
            version="0.1.0",
            release=self.disk.release,
            incarnation=self._incarnation,
            numeric_class="all machines are alike",
            telemetry=wire.Telemetry(cpus=4, memory_total=64 << 30, memory_used=1 << 30),
            running=[
                wire.Progress(assignment=name, epoch=spool.assignment.epoch, done=len(spool.receipts))
                for name, spool in self.disk.spools.items()
            ],
            spooled=sum(len(spool.results) for spool in self.disk.spools.values()),
        )
        reply: wire.BeatReply = await self._call("beat", request)
        self.draining = reply.stop
        for standing in reply.standing:
            if not standing.alive:
                self.disk.spools.pop(standing.assignment, None)
        return reply.next_beat_seconds

    async def _enrolled(self) -> None:
        if self.disk.agent is None:
            if self.disk.token is None:
                raise Unreachable("no token yet")
            self.disk.agent = await self._call("enrol", self.disk.token)

    async def _slot(self) -> None:
        while True:
            try:
                await self._enrolled()
                if not self.disk.spools:
                    await self._lease()
                for name in list(self.disk.spools):
                    await self._carry_out(name)
            except RingRiftError:
                await asyncio.sleep(self._rng.uniform(1.0, 30.0))

    async def _lease(self) -> None:
        if self.draining:
            await asyncio.sleep(5.0)
            return
        reply: wire.LeaseReply = await self._call("lease", wire.LeaseRequest(kinds=KINDS, credentials=True))
        if reply.assignment is None:
            await asyncio.sleep(reply.retry_seconds)
        elif reply.assignment.assignment not in self.disk.spools:
            self.disk.spools[reply.assignment.assignment] = Spool(reply.assignment)

    async def _carry_out(self, name: str) -> None:
        """Compute what is missing, deliver, finish. The controller may be away all the while (P7)."""
        delivery = asyncio.ensure_future(self._deliver_while_there(name))
        try:
            while name in self.disk.spools and (missing := self.disk.spools[name].missing):
                await asyncio.sleep(self._seconds(self.disk.spools[name]))
                if name in self.disk.spools:
                    self._compute(self.disk.spools[name], missing[0])
            while name in self.disk.spools and self.disk.spools[name].results:
                await asyncio.sleep(1.0)
        finally:
            delivery.cancel()
        if name in self.disk.spools:
            await self._finish(self.disk.spools[name])

    def _seconds(self, spool: Spool) -> float:
        """Return how long one unit takes; the blocks of a test are short, so that tests come to their end."""
        return (
            self._rng.uniform(0.3, 2.0)
            if spool.assignment.spec["kind"] == "evaluate"
            else self._rng.uniform(2, 20)
        )

    def _compute(self, spool: Spool, sequence: int) -> None:
        if spool.assignment.spec["kind"] == "repeat":
            spool.results[sequence] = (self._repeat(spool.assignment.spec), [])
            self.computed += 1
            return
        payload, contents = self._work.unit(spool.assignment.spec, sequence)
        names = [payload[key] for key in ("shard", "model") if key in payload][: len(contents)]
        if self._rng.random() < self.lies:
            payload = self._untrue(payload)
            names = [payload["shard"]] if names and "shard" in payload else names
        if self._rng.random() < 0.02:
            return  # the machine wrote it, and the disk tore it: found damaged, computed again
        spool.results[sequence] = (payload, names)
        self.computed += 1

    def _untrue(self, payload: dict[str, Any]) -> dict[str, Any]:
        """Return a result that cannot be true, or that a replay finds out."""
        lie = copy.deepcopy(payload)
        games = lie.get("games") or []
        kind = self._rng.randrange(5)
        if kind == 0 and games:
            games[0]["winner"] = games[0]["winner"] % 2 + 1
        elif kind == 1 and len(games) > 1:
            games[1]["game_id"] = games[0]["game_id"]
        elif kind == 2 and games:
            games.pop()
        elif kind == 3 and lie["kind"] == "selfplay":
            self._invent(lie)
        else:
            lie["config"] = "square8_2p"
        return lie

    def _invent(self, lie: dict[str, Any]) -> None:
        """Make up legal games that the seed does not give: only playing them again finds that out."""
        name = f"{self._rng.getrandbits(256):064x}"
        for game in lie["games"]:
            game["game_id"] = f"{self._rng.getrandbits(256):064x}"
        lie["shard"], self._work.shards[name] = name, lie["games"]

    def _repeat(self, spec: dict[str, Any]) -> dict[str, Any]:
        """Play a shard's seed again and compare."""
        real, _ = self._work.unit(spec["origin"], spec["sequence"])
        same = real["shard"] == spec["shard"]
        reason = "" if same else "game 0 differs at decision 1"
        found = {"kind": "repeat", "config": spec["config"], "shard": spec["shard"]}
        return {**found, "same": same, "reason": reason, "games": len(real["games"])}

    async def _deliver_while_there(self, name: str) -> None:
        while True:
            spool = self.disk.spools.get(name)
            if spool is None:
                return
            if not spool.results:
                await asyncio.sleep(2.0)
                continue
            try:
                await self._deliver(spool)
            except Unreachable:
                await asyncio.sleep(self._rng.uniform(1.0, 30.0))
            except RingRiftError:
                # Refused as untrue: the assignment has failed, and says so when it finishes.
                spool.results.clear()
                spool.assignment = spool.assignment.model_copy(
                    update={"done": list(sequences(parse_spec(spool.assignment.spec)))}
                )
                return

    async def _deliver(self, spool: Spool) -> None:
        sequence = self._rng.choice(sorted(spool.results))
        payload, artifacts = spool.results[sequence]
        held = spool.assignment
        for sha256 in artifacts:
            await self._call("upload", sha256)
        request = wire.ResultRequest(
            assignment=held.assignment,
            epoch=held.epoch,
            sequence=sequence,
            payload=payload,
            artifacts=artifacts,
            credential=held.credential,
        )
        reply: wire.ResultReply = await self._call("result", request)
        if reply.accepted:
            self._told(held.job, sequence)
            spool.receipts.add(sequence)
            spool.results.pop(sequence, None)
        if not reply.alive:
            self.disk.spools.pop(held.assignment, None)

    async def _finish(self, spool: Spool) -> None:
        held = spool.assignment
        failed = self._rng.random() < 0.03
        request = wire.FinishRequest(
            assignment=held.assignment,
            epoch=held.epoch,
            outcome="failed" if failed else "succeeded",
            exit_code=-9 if failed else 0,
            reason="killed by signal 9" if failed else "",
            crashed=failed,
            credential=held.credential,
        )
        await self._call("finish", request)
        self.disk.spools.pop(held.assignment, None)
