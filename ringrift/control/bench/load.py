"""The agents of the measurement, in a process of their own.

`python -m ringrift.control.bench.load SOCKET KEYS CONNECTIONS`. Commands come by line on stdin, each is
answered with one line of JSON: `window` begins to measure beats, `beats` tells of them, `forget` and `heard`
wait until every agent was heard again, `results` sends results for some seconds.
"""

from __future__ import annotations

import asyncio
import base64
import heapq
import json
import os
import random
import sys
import time
import traceback
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from ringrift.control.bench.seed import result_of
from ringrift.control.bench.wire import Answer, Closed, Pool
from ringrift.protocol import agent as wire
from ringrift.protocol.sessions import CHALLENGE_HEADER, RESULTS_BATCH, SESSION, SESSION_HEADER, header

_FIRST_SECONDS = 15.0
"""Over so long the first beats are spread; then each answer says when the next one is wanted."""
_RETRY = (0.5, 5.0)
"""After so many seconds an agent whose beat was not answered tries again, as the real one does."""
SENDERS = 8
BATCH = 100
"""Results of one request."""


class Agent:
    """One agent: its key, its session, and the body of its beat."""

    __slots__ = ("beat", "counter", "heard", "key", "number", "secret", "session")

    def __init__(self, number: int, key: str) -> None:
        self.number, self.key = number, bytes.fromhex(key)
        self.session, self.secret, self.counter = "", b"", 0
        self.beat, self.heard = _beat(number), False

    async def post(self, pool: Pool, path: str, body: bytes) -> Answer:
        """Send a signed request; say hello first, or again, when the controller knows no session."""
        challenge = ""
        for _ in range(4):
            if not self.session:
                challenge = await self._hello(pool, challenge)
                if challenge:
                    continue
            self.counter += 1
            shown = header(self.session, self.secret, self.counter, "POST", path, body)
            answer = await pool.post(path, body, f"{self._named()}{SESSION_HEADER}: {shown}\r\n")
            if answer[0] != 401:
                return answer
            self.session, challenge = "", answer[1].get(CHALLENGE_HEADER, "")
        raise Closed("no session")

    async def _hello(self, pool: Pool, challenge: str) -> str:
        """Open a session; return a challenge to try again with, or nothing when it is open."""
        body = json.dumps({"challenge": challenge, "incarnation": "start"}).encode()
        key = Ed25519PrivateKey.from_private_bytes(self.key)
        signature = base64.b64encode(key.sign(wire.signing_text("POST", SESSION, body))).decode()
        status, headers, answer = await pool.post(
            SESSION, body, f"{self._named()}{wire.SIGNATURE_HEADER}: {signature}\r\n"
        )
        if status != 200:
            return headers.get(CHALLENGE_HEADER) or _give_up(status)
        opened = json.loads(answer)
        self.session, self.secret, self.counter = opened["session"], bytes.fromhex(opened["key"]), 0
        return ""

    def _named(self) -> str:
        return f"{wire.AGENT_HEADER}: agent_{self.number}\r\n"


def _give_up(status: int) -> str:
    raise Closed(f"hello was answered {status}")


def _beat(number: int) -> bytes:
    telemetry = wire.Telemetry(
        cpus=64,
        load=12.5,
        cpu_percent=61.0,
        memory_total=256 << 30,
        memory_used=77 << 30,
        disk_total=1 << 40,
        disk_used=300 << 30,
        gpu="NVIDIA GH200 480GB",
        gpu_percent=93.0,
        gpu_memory_used=40 << 30,
        gpu_memory_total=96 << 30,
    )
    progress = wire.Progress(assignment=f"try_{number}", epoch=1, done=12, total=128, unit="games", rate=0.5)
    request = wire.BeatRequest(
        version="0.1.0",
        release="0" * 12,
        incarnation="start",
        telemetry=telemetry,
        running=[progress],
        config_hash="0" * 16,
        numeric_class="x86_64 cuda torch-2.13",
    )
    return request.model_dump_json().encode()


class Load:
    """All agents and what was measured of them."""

    def __init__(self, socket: str, keys: list[str], connections: int) -> None:
        self.pool = Pool(socket, connections)
        self.agents = [Agent(number, key) for number, key in enumerate(keys)]
        self.took: list[float] = []
        self.failed = 0
        self.first: float | None = None
        self.everyone = asyncio.Event()
        self._unheard = len(keys)
        self._tasks: set[asyncio.Task[Any]] = set()

    def forget(self) -> None:
        """Begin to wait for every agent anew."""
        for agent in self.agents:
            agent.heard = False
        self._unheard, self.first = len(self.agents), None
        self.everyone.clear()

    async def beat_forever(self) -> None:
        """Let every agent beat at its pace, spread evenly."""
        start = time.monotonic()
        due = [(start + random.random() * _FIRST_SECONDS, agent.number) for agent in self.agents]
        heapq.heapify(due)
        while True:
            now = time.monotonic()
            while due and due[0][0] <= now:
                moment, number = heapq.heappop(due)
                task = asyncio.create_task(self._beat(self.agents[number], moment, due))
                self._tasks.add(task)
                task.add_done_callback(self.ended)
            await asyncio.sleep(0.002)

    def ended(self, task: asyncio.Task[None]) -> None:
        """Note the end of a task; a fault of the load itself ends the process: no agent falls silent."""
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            traceback.print_exception(task.exception())
            os._exit(1)

    async def _beat(self, agent: Agent, moment: float, due: list[tuple[float, int]]) -> None:
        try:
            status, _, answer = await agent.post(self.pool, wire.BEAT, agent.beat)
            good = status == 200
        except Closed:
            good = False
        now = time.monotonic()
        if not good:
            self.failed += 1
            heapq.heappush(due, (now + random.uniform(*_RETRY), agent.number))
            return
        self.took.append(now - moment)
        self.first = self.first or time.time()
        if not agent.heard:
            agent.heard = True
            self._unheard -= 1
            if not self._unheard:
                self.everyone.set()
        # From the answer on, as the real agent counts: nobody beats twice to make up for a late answer.
        pause = json.loads(answer)["next_beat_seconds"] * random.uniform(0.95, 1.05)
        heapq.heappush(due, (now + pause, agent.number))

    async def results(self, seconds: float, start: int, stop: int, *, single: bool) -> dict[str, Any]:
        """Send units of the first agents for some seconds, as agents with a full spool do."""
        begun = time.monotonic()
        units, until = range(start, stop), begun + seconds
        sent = await asyncio.gather(
            *(self._send(agent, units, until, single) for agent in self.agents[:SENDERS])
        )
        return {"results": sum(sent), "seconds": time.monotonic() - begun}

    async def _send(self, agent: Agent, units: range, until: float, single: bool) -> int:
        size, sent = 1 if single else BATCH, 0
        for start in range(units.start, units.stop, size):
            if time.monotonic() > until:
                break
            bodies = [result_of(agent.number, unit) for unit in range(start, min(start + size, units.stop))]
            body = bodies[0] if single else b'{"results":[%b]}' % b",".join(bodies)
            status, _, answer = await agent.post(self.pool, wire.RESULTS if single else RESULTS_BATCH, body)
            said = json.loads(answer)
            replies = [said] if single else [item["reply"] or item for item in said.get("answers", [said])]
            if status != 200 or not all(reply.get("accepted") for reply in replies):
                raise Closed(f"results were answered {status}: {replies[:1]}")
            sent += len(replies)
        return sent


async def main(load: Load) -> None:
    """Obey the commands on stdin until it ends."""
    beating = asyncio.create_task(load.beat_forever())
    beating.add_done_callback(load.ended)
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), sys.stdin
    )
    while line := await reader.readline():
        said = json.loads(line)
        answer: dict[str, Any] = {}
        if said["do"] == "heard":
            await load.everyone.wait()
            answer = {"first": load.first, "all": time.time()}
        elif said["do"] == "forget":
            load.forget()
        elif said["do"] == "window":
            load.took, load.failed = [], 0
        elif said["do"] == "beats":
            answer = {"took": sorted(load.took), "failed": load.failed, "connections": load.pool.opened}
        else:
            answer = await load.results(said["seconds"], said["start"], said["stop"], single=said["single"])
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()
    beating.cancel()


if __name__ == "__main__":
    asyncio.run(main(Load(sys.argv[1], json.loads(Path(sys.argv[2]).read_text()), int(sys.argv[3]))))
