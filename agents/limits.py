"""Limits of one job: memory, disk and time, measured while it runs; a job beyond one is ended.

Memory is what the job's whole process group holds, looked at twice a second. The address space is not limited
(`RLIMIT_AS`): compiled code and GPU drivers reserve far more of it than they ever use. What grows beyond the
host within half a second is the kernel's to stop, which takes a job before anything else (`agents.job`).

Time is the time that the job ran, held apart from pauses. It is kept on disk, ahead of what has passed, so
that an agent that is started again and again brings no job past its deadline.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import psutil  # type: ignore[import-untyped]

from agents.child import Child
from agents.clock import MONOTONIC, Clock
from agents.files import write_json
from agents.spool import Spool
from ringrift.protocol.agent import Assignment

log = logging.getLogger("agents")

_POLL_SECONDS = 0.5
_FOLDER_SECONDS = 5.0
_AHEAD_SECONDS = 10.0


@dataclass(frozen=True)
class Usage:
    """What a job has used: seconds of running, bytes of memory, bytes of its folder that are its own."""

    seconds: float = 0.0
    memory: int = 0
    disk: int = 0


@dataclass(frozen=True)
class Breach:
    """A limit that a job broke, in words with its value. `crash`: it ran out of what it needed."""

    reason: str
    crash: bool = False


def find_breach(assignment: Assignment, usage: Usage) -> Breach | None:
    """Return the limit of the assignment that is broken, if any."""
    if usage.seconds > assignment.deadline_seconds:
        return Breach(f"stopped at its deadline of {assignment.deadline_seconds:g} s")
    if assignment.memory_limit is not None and usage.memory > assignment.memory_limit:
        return Breach(f"out of memory: it held {usage.memory} of {assignment.memory_limit} bytes", crash=True)
    if assignment.disk_limit is not None and usage.disk > assignment.disk_limit:
        return Breach(f"its files took {usage.disk} of {assignment.disk_limit} bytes of disk")
    return None


class Running:
    """The time that an assignment's job has run, over all agents that carried it out."""

    def __init__(self, path: Path, deadline: float) -> None:
        self._path = path
        self._ahead = min(_AHEAD_SECONDS, deadline / 20)
        self.seconds = 0.0
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            self.seconds = max(0.0, float(json.loads(path.read_bytes())["seconds"]))
        self._kept = self.seconds

    def add(self, seconds: float) -> None:
        """Count time, and keep the sum on disk before the job may reach it."""
        self.seconds += seconds
        if self.seconds + self._ahead / 2 > self._kept:
            self._keep(self.seconds + self._ahead)

    def close(self) -> None:
        """Keep the exact sum when the job ends in order."""
        self._keep(self.seconds)

    def _keep(self, seconds: float) -> None:
        with contextlib.suppress(OSError):
            write_json(self._path, {"seconds": seconds})
            self._kept = seconds


class WatchedJob:
    """A job's process and the thread that holds it to its limits. `hold` tells why it has to pause, if so."""

    def __init__(
        self,
        spool: Spool,
        runner: str,
        hold: Callable[[], str],
        unsent: Callable[[], int],
        clock: Clock = MONOTONIC,
    ) -> None:
        self.breach: Breach | None = None
        self._spool, self._hold, self._unsent, self._clock = spool, hold, unsent, clock
        self._running = Running(spool.running, spool.assignment.deadline_seconds)
        self._held = ""
        self._disk, self._disk_at = 0, clock() - _FOLDER_SECONDS
        self._ended = threading.Event()
        self._running.add(0.0)
        self._child = Child(spool, runner)
        self._thread = threading.Thread(target=self._watch, name=f"watch-{spool.folder.name}", daemon=True)
        self._thread.start()

    def wait(self, seconds: float) -> int | None:
        """Return the exit status, negative for a signal, or None if it still runs after `seconds`."""
        return self._child.wait(seconds)

    def kill(self) -> None:
        """End the job and whatever it started, at once."""
        self._child.kill()

    def end(self) -> None:
        """Kill what still runs of the job, reap it, and stop watching."""
        self._ended.set()
        self._child.end()
        self._thread.join()
        self._running.close()

    def _watch(self) -> None:
        before = self._clock()
        while not self._ended.wait(_POLL_SECONDS):
            now = self._clock()
            try:
                self._look(0.0 if self._held else now - before)
            except Exception:
                # A job that nobody watches must not run on.
                log.exception("the limits of %s cannot be watched", self._spool.folder.name)
                self.breach = Breach("the agent could not watch its limits; its log tells why")
            if self.breach is not None:
                self._child.kill()
                return
            before = now

    def _look(self, passed: float) -> None:
        self._running.add(passed)
        self._spool.bound_log()
        self.breach = find_breach(self._spool.assignment, self._usage())
        reason = self._hold()
        if reason and not self._held:
            log.warning("%s pauses: %s", self._spool.folder.name, reason)
        if bool(reason) != bool(self._held):
            self._child.pause(bool(reason))
        self._held = reason

    def _usage(self) -> Usage:
        limited = self._spool.assignment
        memory = 0 if limited.memory_limit is None else group_memory(self._child.pid, limited.memory_limit)
        now = self._clock()
        if limited.disk_limit is not None and now - self._disk_at >= _FOLDER_SECONDS:
            self._disk_at = now
            self._disk = max(0, folder_bytes(self._spool) - self._unsent())
        return Usage(self._running.seconds, memory, self._disk)


def group_memory(group: int, enough: int) -> int:
    """Return the resident bytes of a process group.

    Pages that its processes share are counted once each time only while the sum stays within `enough`; above
    it, where the platform tells, each page is divided among those who hold it.
    """
    members = [process for pid in psutil.pids() if _group_of(pid) == group and (process := _process(pid))]
    total = sum(_memory(process, "rss") for process in members)
    return total if total <= enough else sum(_memory(process, "pss") for process in members)


def folder_bytes(spool: Spool) -> int:
    """Return the bytes on disk of what the job made; inputs belong to the cache."""
    total = 0
    for place, folders, names in os.walk(spool.folder):
        if place == str(spool.folder) and spool.inputs.name in folders:
            folders.remove(spool.inputs.name)
        for name in names:
            with contextlib.suppress(OSError):
                total += Path(place, name).lstat().st_blocks * 512
    return total


def _group_of(pid: int) -> int | None:
    with contextlib.suppress(OSError):
        return os.getpgid(pid)
    return None


def _process(pid: int) -> psutil.Process | None:
    with contextlib.suppress(psutil.Error):
        return psutil.Process(pid)
    return None


def _memory(process: psutil.Process, field: str) -> int:
    with contextlib.suppress(psutil.Error, OSError):
        if field == "pss":
            full = process.memory_full_info()
            return int(getattr(full, "pss", full.rss))
        return int(process.memory_info().rss)
    return 0
