"""How much one controller bears: many agents, many results, and a kill in between."""

from __future__ import annotations

import asyncio
import json
import os
import platform
import sys
import time
from asyncio.subprocess import PIPE, Process
from collections.abc import Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

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

T = TypeVar("T")
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
    result_cpu: float
    """CPU seconds of the controller for one result of a batch, those of the heartbeats meanwhile left out."""
    single_results_per_second: float
    first_answer: float
    """From the start of the new process, after `kill -9`, to its first answered beat."""
    everyone_back: float
    back_cpu: float
    """CPU seconds of the new process until then."""
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
        steady, batched, single = await needing(
            home, _first_life(load, controller.pid, seconds), load=load, server=controller
        )
        controller.kill()
        await controller.wait()
        await needing(home, _ask(load, "forget"), load=load)
        begun = time.time()
        controller = await _start(home, "server", str(home))
        back = await needing(home, _ask(load, "heard"), load=load, server=controller)
        process = psutil.Process(controller.pid)
        memory, back_cpu = max(steady["memory"], process.memory_info().rss), _used(process)
    finally:
        for child in (load, controller):
            if child.returncode is None:
                child.terminate()
                await child.wait()
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
        result_cpu=(batched["cpu"] - steady["cores"] * batched["seconds"]) / batched["results"],
        single_results_per_second=single["results"] / single["seconds"],
        first_answer=back["first"] - begun,
        everyone_back=back["all"] - begun,
        back_cpu=back_cpu,
        false_alarms=alarms,
    )


async def _with_store(home: Path, work: Any) -> Any:
    store = Store(database_url(home, os.environ.get(DATABASE_URL)))
    try:
        await asyncio.to_thread(migrate.upgrade, store.engines.writer)
        return await work(store)
    finally:
        await asyncio.to_thread(store.close)


async def _start(home: Path, module: str, *arguments: str) -> Process:
    command = [sys.executable, "-m", f"ringrift.control.bench.{module}", *arguments]
    with (home / f"{module}.err").open("ab") as log:
        return await asyncio.create_subprocess_exec(
            *command, stdin=PIPE, stdout=PIPE, stderr=log, limit=1 << 26
        )


async def needing(home: Path, work: Coroutine[Any, Any, T], **processes: Process) -> T:
    """Return what `work` gives; raise `EnvironmentProblem` once one of the processes that it needs ends."""
    task = asyncio.create_task(work)
    ends = {asyncio.create_task(process.wait()): name for name, process in processes.items()}
    try:
        done, _ = await asyncio.wait({task, *ends}, return_when=asyncio.FIRST_COMPLETED)
        for end in ends.keys() & done:
            raise EnvironmentProblem(
                f"the {ends[end]}'s process ended with status {end.result()}: {_last_line(home, ends[end])}",
                hint="nothing was measured; try again, with fewer --agents if memory is short",
            )
        return task.result()
    finally:
        for waiting in (task, *ends):
            waiting.cancel()
        await asyncio.gather(task, *ends, return_exceptions=True)


def _last_line(home: Path, name: str) -> str:
    lines = (home / f"{name}.err").read_text(errors="replace").split("\n")
    return next((line.strip() for line in reversed(lines) if line.strip()), "it said nothing")


async def _ask(load: Process, do: str, **details: Any) -> dict[str, Any]:
    """Give the load a command and return its answer."""
    assert load.stdin is not None and load.stdout is not None
    load.stdin.write(json.dumps({"do": do, **details}).encode() + b"\n")
    try:
        async with asyncio.timeout(_WAIT):
            line = await load.stdout.readline()
    except TimeoutError:
        raise EnvironmentProblem(f"the agents were not answered within {_WAIT:.0f} s") from None
    if not line:
        await load.wait()
        raise EnvironmentProblem("the load's process ended")
    answer: dict[str, Any] = json.loads(line)
    return answer


async def _first_life(
    load: Process, pid: int, seconds: float
) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """Measure heartbeats, then results in batches and one by one beside them."""
    process = psutil.Process(pid)
    await _ask(load, "heard")
    await asyncio.sleep(SETTLE_SECONDS)
    steady = await _steady(load, process, seconds)
    before = _used(process)
    batched = await _ask(load, "results", seconds=10, start=0, stop=_UNITS - _SINGLE, single=False)
    batched["cpu"] = _used(process) - before
    single = await _ask(load, "results", seconds=5, start=_UNITS - _SINGLE, stop=_UNITS, single=True)
    return steady, batched, single


def _used(process: psutil.Process) -> float:
    """Return the CPU seconds of a process since its start."""
    times = process.cpu_times()
    return float(times.user + times.system)


async def _steady(load: Process, process: psutil.Process, seconds: float) -> dict[str, Any]:
    """Measure the controller while its agents only beat."""
    await _ask(load, "window")
    before, begun, memory = _used(process), time.monotonic(), 0
    while (passed := time.monotonic() - begun) < seconds:
        await asyncio.sleep(min(1.0, seconds - passed))
        memory = max(memory, process.memory_info().rss)
    used, passed = _used(process) - before, time.monotonic() - begun
    return {**await _ask(load, "beats"), "cores": used / passed, "memory": memory, "seconds": passed}


def _alarms(session: Session) -> tuple[int, int]:
    """Return how often a host's state was changed or an agent taken for gone, and the number of results."""
    states = len(session.exec(select(HostStateRow.id)).all())
    told = select(Event.id).where(col(Event.action).in_(_FALSE_ALARMS))
    return states + len(session.exec(told).all()), len(session.exec(select(Result.id)).all())
