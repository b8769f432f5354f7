"""Promotions, rollbacks and software updates under steady load, with every answer held against the history.

`make swaps PROMOTIONS=1000 UPDATES=10`, or `python -m tests.load.swaps --rate 500`: a controller, two targets
behind an sshd each, and a process that asks both for moves all the time; all real, on this machine. Without
`--rate` it is the highest rate at which services and asker together use 60 % of the processors. Exit status 1
when a request failed or was answered by another model than the champion.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from statistics import median
from typing import Any

from sqlmodel import Session, col, select

from ringrift.control.store.tables import Operation
from tests.load.history import Order, wrong
from tests.load.shooter import Shot
from tests.load.stand import CONFIG, ENDED, REPOSITORY, Stand, standing

TARGETS = 2
_SETTINGS = "[rollouts]\nbake_seconds = 0.0\n"
"""Each target is asked for moves; nothing is waited for beyond, so that a thousand changes come soon."""
_BUSY = 0.6
_RATES = (25, 50, 75, 100, 150, 200, 250, 300, 400, 500)
_TRY_SECONDS = 5.0
_BEFORE_GROWTH = 10
"""Promotions after which memory is compared."""
_LOOK_SECONDS = 0.05
_TICKS = os.sysconf("SC_CLK_TCK")


@asynccontextmanager
async def shooting(stand: Stand, file: Path, rate: float) -> AsyncIterator[int]:
    """Ask all services for moves meanwhile, by a process; the file holds the shots afterwards."""
    command = [sys.executable, "-m", "tests.load.shooter", str(file), str(rate)]
    ports = [str(port) for port in stand.ports.values()]
    process = subprocess.Popen([*command, *ports], cwd=REPOSITORY, stdin=subprocess.PIPE)
    try:
        yield process.pid
    finally:
        await asyncio.to_thread(process.communicate)
    assert process.returncode == 0, f"the asker ended with {process.returncode}"


def shots(file: Path) -> list[Shot]:
    with file.open() as lines:
        return [Shot.read(line) for line in lines]


async def services(stand: Stand) -> list[int]:
    """Return the processes that serve now."""
    return [(await stand.health(name))["pid"] for name in stand.ports]


def cpu(pids: Sequence[int]) -> float:
    """Return the CPU seconds that processes used so far."""
    return sum(
        sum(map(int, Path(f"/proc/{pid}/stat").read_text().rsplit(")")[1].split()[11:13])) for pid in pids
    ) / float(_TICKS)


def resident(pid: int) -> float:
    """Return the resident memory of a process in MiB."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


async def highest_rate(stand: Stand) -> float:
    """Return the highest rate at which services and asker use at most 60 % of the processors."""
    best = _RATES[0]
    for rate in _RATES:
        async with shooting(stand, stand.folder / "trial", rate) as asker:
            await asyncio.sleep(2)
            pids = [*await services(stand), asker]
            before = cpu(pids)
            await asyncio.sleep(_TRY_SECONDS)
            busy = (cpu(pids) - before) / _TRY_SECONDS / (os.cpu_count() or 1)
        print(f"  {rate} requests/s: {busy:.0%} of the processors", flush=True)
        if busy > _BUSY:
            break
        best = rate
    return best


def quantile(times: Sequence[float], share: float) -> float:
    """Return a quantile of waiting times in milliseconds."""
    ordered = sorted(times)
    return 1000 * ordered[min(int(len(ordered) * share), len(ordered) - 1)] if ordered else 0.0


def told(session: Session, stand: Stand) -> dict[int, list[Order]]:
    """Return by port what each target was told to serve, and when."""
    query = select(Operation).where(Operation.kind == "deploy").order_by(col(Operation.began_at))
    found: dict[int, list[Order]] = {port: [] for port in stand.ports.values()}
    for operation in session.exec(query).all():
        models = {entry["config"]: entry["sha256"] for entry in operation.order["models"]}
        ended = operation.ended_at or float("inf")
        found[stand.ports[operation.subject]].append(Order(operation.began_at, ended, models[CONFIG]))
    return found


async def ended(stand: Stand, deployment: str) -> Any:
    """Wait for the end of a deployment."""
    while (view := await stand.get(f"/deployments/{deployment}"))["state"] not in ENDED:
        await asyncio.sleep(_LOOK_SECONDS)
    return view


class Changes:
    """What the operator does meanwhile: a promotion, then its rollback, and so on; software in between.

    Where a model waits to be proven, as after new software, that is waited for first.
    """

    def __init__(self, stand: Stand, champion: str, challenger: str) -> None:
        self.stand, self.models = stand, (challenger, champion)
        self.took: list[float] = []
        self.updates: list[float] = []

    async def swap(self) -> None:
        """Promote a model and deploy it, or take it back."""
        began = time.monotonic()
        if len(self.took) % 2 == 0:
            await self.stand.promote(self.models[0])
            view = await self.stand.deploy()
        else:
            rollback = await self.stand.post(f"/rollback/{CONFIG}")
            view = await ended(self.stand, rollback["deployment"])
        assert view["state"] == "succeeded", view["reason"]
        self.took.append(time.monotonic() - began)
        if len(self.took) == 1:
            await self._prove()

    async def update(self) -> None:
        """Install another release of the software on both targets."""
        began = time.monotonic()
        with (self.stand.folder / "source" / "ringrift" / "__init__.py").open("a") as file:
            file.write(f"# release {len(self.updates)}\n")
        view = await self.stand.deploy(software=True)
        assert view["state"] == "succeeded", view["reason"]
        self.updates.append(time.monotonic() - began)
        await self._prove()

    async def _prove(self) -> None:
        await self.stand.staged(self.models[len(self.took) % 2])


async def measure(
    folder: Path, promotions: int, updates: int, rate: float, calm: float, engine: str
) -> bool:
    """Print what came of it; return whether every request was answered, and by the right model."""
    async with standing(folder, TARGETS, _SETTINGS, engine) as stand:
        champion = await stand.model(0)
        await stand.promote(champion)
        await stand.deploy()
        challenger = await stand.model(1)
        await stand.staged(challenger)
        rate = rate or await highest_rate(stand)
        print(f"{rate:.0f} requests/s over {TARGETS} targets", flush=True)
        changes = Changes(stand, champion, challenger)
        file = folder / "shots"
        async with shooting(stand, file, rate):
            await asyncio.sleep(calm)
            quiet = time.time()
            grown = await _swap(changes, promotions // 2)
            await _update_between(changes, promotions - promotions // 2, updates)
            stirred = time.time()
            await asyncio.sleep(calm)
        orders = await stand.store.read(lambda s: told(s, stand))
    found = shots(file)
    failed = [shot for shot in found if shot.status != 200]
    mistaken = wrong(found, orders)
    waits = {"calm": [0.0], "changing": [0.0]}
    for shot in found:
        waits["changing" if quiet < shot.due < stirred else "calm"].append(shot.answered - shot.due)
    named = sum(shot.model != "-" for shot in found)
    print(f"{len(changes.took)} promotions and rollbacks, {median(changes.took):.1f} s each (median)")
    if changes.updates:
        print(f"{len(changes.updates)} software updates, {median(changes.updates):.1f} s each (median)")
    print(f"{len(found)} requests, {len(failed)} failed, {sum(shot.tries > 1 for shot in found)} sent again")
    print(f"{named} answers name a model, {len(mistaken)} another than the champion's")
    for name, times in waits.items():
        print(f"  {name}: p50 {quantile(times, 0.5):.1f} ms, p99 {quantile(times, 0.99):.1f} ms")
    print(f"memory after {_BEFORE_GROWTH} promotions and at the last before software changed: {grown}")
    for shot in [*failed, *mistaken][:5]:
        print(f"  {shot}")
    return not failed and not mistaken


async def _swap(changes: Changes, count: int) -> str:
    """Let promotions and rollbacks happen in one process of each service; return how its memory grew."""
    first: list[float] = []
    pids = await services(changes.stand)
    for number in range(count):
        if number == min(_BEFORE_GROWTH, count - 1):
            first = [resident(pid) for pid in pids]
        await changes.swap()
    last = [resident(pid) for pid in pids]
    return ", ".join(f"{a:.0f} -> {b:.0f} MiB ({b / a - 1:+.1%})" for a, b in zip(first, last, strict=True))


async def _update_between(changes: Changes, count: int, updates: int) -> None:
    for number in range(max(count, updates)):
        if updates and number % max(1, count // updates) == 0 and len(changes.updates) < updates:
            await changes.update()
        if number < count:
            await changes.swap()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--promotions", type=int, default=1000, help="promotions and rollbacks together")
    parser.add_argument("--updates", type=int, default=10)
    parser.add_argument("--rate", type=float, default=0.0, help="requests a second; 0: at 60 %% busy")
    parser.add_argument("--engine", choices=("torch", "onnx"), default="torch", help="of the services")
    parser.add_argument("--calm", type=float, default=30.0, help="seconds without changes, before and after")
    options = parser.parse_args()
    logging.disable(logging.WARNING)
    with tempfile.TemporaryDirectory() as folder:
        good = asyncio.run(
            measure(
                Path(folder),
                options.promotions,
                options.updates,
                options.rate,
                options.calm,
                options.engine,
            )
        )
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
