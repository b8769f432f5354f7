"""How much one controller bears: many agents, many results, and a kill in between."""

from __future__ import annotations

import asyncio
import json
import os
import platform
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
from sqlmodel import Session, col, select

from ringrift.control.bench.load import BATCH, SENDERS
from ringrift.control.bench.seed import seed
from ringrift.control.home import prepare_home
from ringrift.control.store import migrate
from ringrift.control.store.engine import DATABASE_URL, database_url
from ringrift.control.store.store import Store
from ringrift.control.store.tables import Event, HostStateRow, Result
from ringrift.errors import EnvironmentProblem

_UNITS = 8000
_SINGLE = 1000
"""Units of each reporting agent that are sent one by one, after the others."""
_WAIT = 400.0
SETTLE_SECONDS = 30.0
"""After the last agent was heard: what waited while all came at once is answered meanwhile."""
_SETTINGS = "[hosts]\ndrift_seconds = 86400\n"
"""Hosts that do not exist cannot be looked at."""
_FALSE_ALARMS = ("agent.restart", "agent.started")


@dataclass(frozen=True)
class ControlFigures:
    """What was measured. Times are in seconds, memory in bytes; the load's own process is not counted."""

    machine: str
    database: str
    agents: int
    connections: int
    seconds: float
    beats: int
    failed: int
    cores: float
    """CPU seconds of the controller's process for each second."""
    memory: int
    """Most resident memory."""
    beat_p50: float
    beat_p99: float
    batch: int
    results_per_second: float
    single_results_per_second: float
    first_answer: float
    """From the start of the new process, after `kill -9`, to its first answered beat."""
    everyone_back: float
    false_alarms: int
    """Changes of hosts' states, restarts and restarted agents in the whole time: none is called for."""


async def measure(home: Path, agents: int, connections: int, seconds: float) -> ControlFigures:
    """Measure a controller in the empty folder `home`, on the database of `RINGRIFT_DATABASE_URL` if set."""
    prepare_home(home)
    await asyncio.to_thread((home / "config.toml").write_text, _SETTINGS)
    url = database_url(home, os.environ.get(DATABASE_URL))
    keys = await _with_store(home, lambda store: seed(store, agents, _UNITS, min(SENDERS, agents)))
    file = home / "keys.json"
    await asyncio.to_thread(file.write_text, json.dumps(keys))
    load = await _start(home, "load", str(home / "run" / "agents.sock"), str(file), str(connections))
    controller = await _start(home, "server", str(home))
    try:
        await _ask(load, "heard")
        await asyncio.sleep(SETTLE_SECONDS)
        steady = await _steady(load, controller.pid, seconds)
        batched = await _ask(load, "results", seconds=10, start=0, stop=_UNITS - _SINGLE, single=False)
        single = await _ask(load, "results", seconds=5, start=_UNITS - _SINGLE, stop=_UNITS, single=True)
        controller.kill()
        await controller.wait()
        await _ask(load, "forget")
        begun = time.time()
        controller = await _start(home, "server", str(home))
        back = await _ask(load, "heard")
        memory = max(steady["memory"], psutil.Process(controller.pid).memory_info().rss)
    finally:
        for process in (load, controller):
            if process.returncode is None:
                process.terminate()
                await process.wait()
    alarms, stored = await _with_store(home, lambda store: store.read(_alarms))
    if stored != batched["results"] + single["results"]:
        raise EnvironmentProblem(
            f"{stored} results are stored, but others were acknowledged: {batched}, {single}"
        )
    took = steady["took"]
    return ControlFigures(
        machine=f"{platform.machine()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}",
        database=url.get_backend_name(),
        agents=agents,
        connections=steady["connections"],
        seconds=steady["seconds"],
        beats=len(took),
        failed=steady["failed"],
        cores=steady["cores"],
        memory=memory,
        beat_p50=took[len(took) // 2],
        beat_p99=took[len(took) * 99 // 100],
        batch=BATCH,
        results_per_second=batched["results"] / batched["seconds"],
        single_results_per_second=single["results"] / single["seconds"],
        first_answer=back["first"] - begun,
        everyone_back=back["all"] - begun,
        false_alarms=alarms,
    )


async def _with_store(home: Path, work: Any) -> Any:
    store = Store(database_url(home, os.environ.get(DATABASE_URL)))
    try:
        await asyncio.to_thread(migrate.upgrade, store.engines.writer)
        return await work(store)
    finally:
        await asyncio.to_thread(store.close)


async def _start(home: Path, module: str, *arguments: str) -> asyncio.subprocess.Process:
    command = [sys.executable, "-m", f"ringrift.control.bench.{module}", *arguments]
    with (home / f"{module}.err").open("ab") as log:
        return await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=log,
            limit=1 << 26,
        )


async def _ask(load: asyncio.subprocess.Process, do: str, **details: Any) -> dict[str, Any]:
    """Give the load a command and return its answer."""
    assert load.stdin is not None and load.stdout is not None
    load.stdin.write(json.dumps({"do": do, **details}).encode() + b"\n")
    try:
        line = await asyncio.wait_for(load.stdout.readline(), _WAIT)
    except TimeoutError:
        raise EnvironmentProblem(f"the agents were not answered within {_WAIT:.0f} s") from None
    if not line:
        raise EnvironmentProblem("the load's process ended")
    answer: dict[str, Any] = json.loads(line)
    return answer


async def _steady(load: asyncio.subprocess.Process, pid: int, seconds: float) -> dict[str, Any]:
    """Measure the controller while its agents only beat."""
    process = psutil.Process(pid)
    await _ask(load, "window")
    before, begun, memory = process.cpu_times(), time.monotonic(), 0
    while (passed := time.monotonic() - begun) < seconds:
        await asyncio.sleep(min(1.0, seconds - passed))
        memory = max(memory, process.memory_info().rss)
    after, passed = process.cpu_times(), time.monotonic() - begun
    used = after.user + after.system - before.user - before.system
    return {**await _ask(load, "beats"), "cores": used / passed, "memory": memory, "seconds": passed}


def _alarms(session: Session) -> tuple[int, int]:
    """Return how often a host's state was changed or an agent taken for gone, and the number of results."""
    states = len(session.exec(select(HostStateRow.id)).all())
    told = select(Event.id).where(col(Event.action).in_(_FALSE_ALARMS))
    return states + len(session.exec(told).all()), len(session.exec(select(Result.id)).all())
