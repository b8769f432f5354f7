"""Asks services for moves at a steady rate, whatever they do, and writes down every answer.

`python -m tests.load.shooter FILE RATE PORT...`: until stdin ends, a line of FILE for each request (`Shot`).
Half of the requests are for levels 1 and 2, half for the net's own move with their budgets, whose answers
name the model. The games have no id, so that none keeps its model.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Iterator
from itertools import cycle
from pathlib import Path
from typing import NamedTuple, TextIO

from inference.bench.load import bodies
from ringrift.control.bench.wire import Closed, Pool
from ringrift.game.config import GameConfig

CONNECTIONS = 32
"""To each service."""
_LEVELS = (1, 2)
_TIMEOUT = 30.0


class Shot(NamedTuple):
    """One request. Times are seconds since 1970; `due` is when it was to be sent."""

    due: float
    sent: float
    answered: float
    port: int
    status: int
    """0: it was not answered."""
    tries: int
    """More than one: the connection had been closed before the service read the request."""
    model: str

    @classmethod
    def read(cls, line: str) -> Shot:
        """Read a line of the file."""
        due, sent, answered, port, status, tries, model = line.rstrip("\n").split(" ")
        return cls(float(due), float(sent), float(answered), int(port), int(status), int(tries), model)


def questions(config: GameConfig) -> Iterator[bytes]:
    """Return bodies for ever: of each level its own player, then the net."""
    made = []
    for difficulty in _LEVELS:
        for body in map(json.loads, bodies(config, difficulty)):
            body["game_state"].pop("id", None)
            made += [json.dumps(asked).encode() for asked in (body, {**body, "ai_type": "policy_only"})]
    return cycle(made)


async def shoot(pool: Pool, port: int, body: bytes, due: float, out: TextIO) -> None:
    """Send one request and write down what came of it."""
    sent, status, model, tries = time.time(), 0, "-", 0
    while not status and tries < 2:
        tries += 1
        try:
            async with asyncio.timeout(_TIMEOUT):
                status, _, answer = await pool.post("/ai/move", body, "content-type: application/json\r\n")
        except (Closed, TimeoutError):
            continue
        if status == 200:
            said = json.loads(answer)
            model = said["nn_model_id"] or "-"
            status = 200 if said["move"] is not None else 599
    out.write(f"{due:.4f} {sent:.4f} {time.time():.4f} {port} {status} {tries} {model}\n")


async def main(out: TextIO, rate: float, ports: list[int]) -> None:
    """Shoot until stdin ends."""
    ended = asyncio.create_task(asyncio.to_thread(sys.stdin.read))
    pools = cycle([(port, Pool(("127.0.0.1", port), CONNECTIONS)) for port in ports])
    made, due, flying = questions(GameConfig.parse("hex8_2p")), time.time(), set[asyncio.Task[None]]()
    while not ended.done():
        while due <= time.time():
            port, pool = next(pools)
            task = asyncio.create_task(shoot(pool, port, next(made), due, out))
            flying.add(task)
            task.add_done_callback(flying.discard)
            due += 1 / rate
        await asyncio.sleep(0.001)
    await asyncio.gather(*flying)


if __name__ == "__main__":
    with Path(sys.argv[1]).open("w", buffering=1 << 16) as file:
        asyncio.run(main(file, float(sys.argv[2]), [int(port) for port in sys.argv[3:]]))
