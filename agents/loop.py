"""The agent: one beat loop, and one thread per slot that leases and works.

The beat tells what the host looks like and what runs, and learns which assignments are still wanted. After a
start, assignments found in the spool are taken up again before anything new is leased.
"""

from __future__ import annotations

import logging
import queue
import threading
from pathlib import Path

import ringrift
from agents.cache import Cache
from agents.connection import Backoff
from agents.controller import AWAY, Controller
from agents.disk import Ballast, Disk, Level, disk_rule
from agents.numerics import numeric_class
from agents.settings import AgentFile, Layout
from agents.spool import Spool, found_spools
from agents.telemetry import measure
from agents.work import Surroundings, Work
from ringrift.errors import CorruptData, Replaced, RingRiftError
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
        around: Surroundings | None = None,
    ) -> None:
        self._layout = layout
        self._settings = settings
        self._controller = controller
        self._slots = slots
        self._rule = disk_rule(settings)
        self._ballast = Ballast(layout.ballast)
        cache = Cache(layout.cache, settings.cache_bytes)
        self._around = around or Surroundings(settings.host, controller, cache, runner, self._hold)
        self._outage = self._around.outage
        self._incarnation = controller.incarnation
        self._stopping = stopping
        self._draining = False
        self._guard = threading.Lock()
        self._works: dict[Path, Work] = {}
        self._found: queue.SimpleQueue[Work] = queue.SimpleQueue()

    def run(self) -> None:
        """Work until `stopping` is set; then running jobs are killed and their spools stay.

        Raises `Replaced` when a later start of the same agent took its place.
        """
        self._take_up_spools()
        backoff = Backoff()
        pause = self._beat(backoff)
        slots = [threading.Thread(target=self._slot, name=f"slot-{n}") for n in range(self._slots)]
        for slot in slots:
            slot.start()
        try:
            while not self._stopping.is_set():
                self._controller.connection.wait_for_change(pause, self._stopping)
                if not self._stopping.is_set():
                    pause = self._beat(backoff)
        finally:
            # Also after a defect: slots without beats would work on unseen, and nobody would start us anew.
            self._stopping.set()
            for work in self._present():
                work.stop()
            for slot in slots:
                slot.join(_JOIN_SECONDS)

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
        try:
            reply = self._controller.beat(self._report(works))
        except Replaced:
            raise
        except RingRiftError as error:
            log.info("no beat: %s", error.line())
            if isinstance(error, AWAY):
                self._outage.begin()
            return min(backoff.next(), _FIRST_BEAT_SECONDS)
        backoff.reset()
        self._outage.end()
        self._obey(reply, works)
        return max(_SHORTEST_BEAT_SECONDS, reply.next_beat_seconds)

    def _report(self, works: list[Work]) -> BeatRequest:
        disk = self._disk()
        return BeatRequest(
            version=ringrift.__version__,
            release=self._settings.release,
            incarnation=self._incarnation,
            telemetry=measure(self._layout.root),
            running=[work.outbox.progress for work in works],
            spooled=sum(work.outbox.waiting for work in works),
            config_hash=self._settings.config_hash,
            numeric_class=numeric_class(),
            rates=self._around.rates.told(),
            idle=disk.words if disk.level >= Level.PAUSE else "",
        )

    def _disk(self) -> Disk:
        disk = self._rule.look(self._layout.root)
        self._ballast.keep(disk.level)
        return disk

    def _hold(self) -> str:
        """Return why running jobs have to pause; empty when they may go on."""
        disk = self._disk()
        if disk.level >= Level.STOP:
            return disk.words
        waiting = sum(work.outbox.waiting_bytes for work in self._present())
        if waiting > self._settings.spool_bytes:
            return f"{waiting} bytes wait for the controller, {self._settings.spool_bytes} may"
        return ""

    def _obey(self, reply: BeatReply, works: list[Work]) -> None:
        self._draining = reply.stop
        dead = {(standing.assignment, standing.epoch) for standing in reply.standing if not standing.alive}
        for work in works:
            assignment = work.spool.assignment
            if (assignment.assignment, assignment.epoch) in dead:
                work.supersede()

    def _slot(self) -> None:
        """Work until the agent stops; no defect ends a slot without ending the agent."""
        backoff = Backoff()
        while not self._stopping.is_set():
            try:
                work = self._next_work(backoff)
                if work is not None:
                    self._carry_out(work)
            except Exception:
                log.exception("a slot met a defect and goes on")
                self._controller.connection.wait_for_change(backoff.next(), self._stopping)

    def _next_work(self, backoff: Backoff) -> Work | None:
        """Return what was found in the spool, else what the controller gives; None after a pause."""
        try:
            return self._found.get_nowait()
        except queue.Empty:
            pass
        pause = self._outage.pause() or (_TICK_SECONDS if self._draining else self._pause_for_disk())
        try:
            if not pause:
                work, pause = self._lease()
                backoff.reset()
                if work is not None:
                    return work
        except (RingRiftError, OSError) as error:
            log.info("no lease: %s", error)
            if isinstance(error, AWAY):
                self._outage.begin()
            pause = backoff.next()
        self._controller.connection.wait_for_change(pause, self._stopping)
        return None

    def _pause_for_disk(self) -> float:
        """Return how long to take nothing new because the disk is too full; 0 when it is not."""
        if self._disk().level < Level.PAUSE:
            return 0.0
        self._around.cache.shrink(0)
        disk = self._disk()
        if disk.level < Level.PAUSE:
            return 0.0
        log.warning("taking no new work: %s", disk.words)
        return _FULL_DISK_PAUSE

    def _lease(self) -> tuple[Work | None, float]:
        reply = self._controller.lease(LeaseRequest(kinds=list(self._settings.kinds), credentials=True))
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
        finally:
            with self._guard:
                self._works.pop(work.spool.folder, None)
