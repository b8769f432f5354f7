"""The agent: one beat loop, and one thread per slot that leases and works.

The beat tells what the host looks like and what runs, and learns which assignments are still wanted. After a
start, assignments found in the spool are taken up again before anything new is leased.
"""

from __future__ import annotations

import logging
import queue
import secrets
import threading
import time
from pathlib import Path

import ringrift
from agents.cache import Cache
from agents.connection import Backoff
from agents.controller import Controller
from agents.settings import AgentFile, Layout, disk_floor, disk_shortage
from agents.spool import Spool, found_spools
from agents.telemetry import measure
from agents.work import Surroundings, Work
from ringrift.errors import CorruptData, RingRiftError
from ringrift.protocol.agent import Assignment, BeatReply, BeatRequest, LeaseRequest

log = logging.getLogger("agents")

_FIRST_BEAT_SECONDS = 15.0
_SHORTEST_BEAT_SECONDS = 0.2
_TICK_SECONDS = 1.0
_FULL_DISK_PAUSE = 30.0
_JOIN_SECONDS = 15.0


class Agent:
    """Works for one controller on one host until it is stopped."""

    def __init__(
        self,
        layout: Layout,
        settings: AgentFile,
        controller: Controller,
        slots: int,
        runner: str,
        stopping: threading.Event,
    ) -> None:
        self._layout = layout
        self._settings = settings
        self._controller = controller
        self._slots = slots
        cache = Cache(layout.cache, settings.cache_bytes)
        self._around = Surroundings(settings.host, controller, cache, runner)
        self._floor = disk_floor(settings)
        self._incarnation = secrets.token_hex(8)
        self._stopping = stopping
        self._draining = False
        self._guard = threading.Lock()
        self._works: dict[Path, Work] = {}
        self._found: queue.SimpleQueue[Work] = queue.SimpleQueue()

    def run(self) -> None:
        """Work until `stopping` is set; then running jobs are killed and their spools stay."""
        self._take_up_spools()
        next_beat = time.monotonic() + self._beat(Backoff())
        slots = [threading.Thread(target=self._slot, name=f"slot-{n}") for n in range(self._slots)]
        for slot in slots:
            slot.start()
        try:
            self._beat_until_stopped(next_beat)
        finally:
            # Also after a defect: slots without beats would work on unseen, and nobody would start us anew.
            self._stopping.set()
            for work in self._present():
                work.stop()
            for slot in slots:
                slot.join(_JOIN_SECONDS)

    def _beat_until_stopped(self, next_beat: float) -> None:
        backoff = Backoff()
        while not self._stopping.wait(min(_TICK_SECONDS, max(0.0, next_beat - time.monotonic()))):
            for work in self._present():
                work.enforce_deadline()
            if time.monotonic() >= next_beat:
                next_beat = time.monotonic() + self._beat(backoff)

    def _take_up_spools(self) -> None:
        for folder in found_spools(self._layout.spool):
            try:
                work = Work(Spool.load(folder), self._around)
            except CorruptData as error:
                log.warning("%s; it is left aside", error.line())
                continue
            log.info("found %s in the spool", folder.name)
            self._works[folder] = work
            self._found.put(work)

    def _present(self) -> list[Work]:
        with self._guard:
            return list(self._works.values())

    def _beat(self, backoff: Backoff) -> float:
        """Tell how it stands and obey the answer; return the seconds until the next beat."""
        works = self._present()
        request = BeatRequest(
            version=ringrift.__version__,
            release=self._settings.release,
            incarnation=self._incarnation,
            telemetry=measure(self._layout.root),
            running=[work.outbox.progress for work in works],
            spooled=sum(work.outbox.waiting for work in works),
        )
        try:
            reply = self._controller.beat(request)
        except RingRiftError as error:
            log.info("no beat: %s", error.line())
            return min(backoff.next(), _FIRST_BEAT_SECONDS)
        backoff.reset()
        self._obey(reply, works)
        return max(_SHORTEST_BEAT_SECONDS, reply.next_beat_seconds)

    def _obey(self, reply: BeatReply, works: list[Work]) -> None:
        self._draining = reply.stop
        dead = {(standing.assignment, standing.epoch) for standing in reply.standing if not standing.alive}
        for work in works:
            assignment = work.spool.assignment
            if (assignment.assignment, assignment.epoch) in dead:
                work.supersede()

    def _slot(self) -> None:
        backoff = Backoff()
        while not self._stopping.is_set():
            work = self._next_work(backoff)
            if work is not None:
                self._carry_out(work)

    def _next_work(self, backoff: Backoff) -> Work | None:
        """Return what was found in the spool, else what the controller gives; None after a pause."""
        try:
            return self._found.get_nowait()
        except queue.Empty:
            pass
        pause: float = _TICK_SECONDS
        try:
            if not self._draining and not (pause := self._pause_for_disk()):
                work, pause = self._lease()
                backoff.reset()
                if work is not None:
                    return work
        except (RingRiftError, OSError) as error:
            log.info("no lease: %s", error)
            pause = backoff.next()
        self._controller.connection.wait_for_change(pause, self._stopping)
        return None

    def _pause_for_disk(self) -> float:
        """Return how long to take nothing new because the disk is too full; 0 when it is not."""
        if not disk_shortage(self._layout.root, self._floor):
            return 0.0
        self._around.cache.shrink(0)
        shortage = disk_shortage(self._layout.root, self._floor)
        if shortage:
            log.warning("taking no new work: %s", shortage)
        return _FULL_DISK_PAUSE if shortage else 0.0

    def _lease(self) -> tuple[Work | None, float]:
        reply = self._controller.lease(LeaseRequest(kinds=list(self._settings.kinds)))
        if reply.assignment is None:
            return None, reply.retry_seconds
        if self._holds(reply.assignment):
            return None, reply.retry_seconds
        log.info("leased %s (%s)", reply.assignment.assignment, reply.assignment.spec.get("kind"))
        work = Work(Spool.create(self._layout.spool, reply.assignment), self._around)
        with self._guard:
            self._works[work.spool.folder] = work
            if self._stopping.is_set():
                work.stop()
        return work, 0.0

    def _holds(self, assignment: Assignment) -> bool:
        """Tell whether it is in our hands already: an answer to a lease that came twice."""
        return any(work.spool.assignment.assignment == assignment.assignment for work in self._present())

    def _carry_out(self, work: Work) -> None:
        try:
            work.run()
        except Exception:
            # A slot must outlive a defect in one assignment; its lease expires at the controller.
            log.exception("%s could not be carried out", work.spool.assignment.assignment)
        finally:
            with self._guard:
                self._works.pop(work.spool.folder, None)
