"""One assignment from its lease to its end: fetch, compute, deliver, finish.

Two threads meet here: the slot thread runs `Work.run`; the beat thread may call `supersede` and `stop`, and
reads what the outbox holds. While the controller is away the job goes on, until too much waits for it.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

from agents.cache import Cache
from agents.child import end_predecessor
from agents.clock import MONOTONIC, Clock, Outage
from agents.connection import Backoff
from agents.controller import AWAY, Controller
from agents.files import is_disk_full, tail
from agents.job import DISK_FULL, OUT_OF_MEMORY
from agents.limits import Breach, WatchedJob
from agents.outbox import Outbox, Superseded
from agents.rates import Rates
from agents.spool import Spool
from ringrift.errors import CorruptData, RingRiftError
from ringrift.protocol.agent import FinishRequest
from ringrift.protocol.jobs import JobSpec, parse_spec, required_artifacts, sequences

log = logging.getLogger("agents")

_POLL_SECONDS = 0.25
_LOG_TAIL_BYTES = 8192
_REASON_LENGTH = 500
_Answer = TypeVar("_Answer")


class Stopping(Exception):
    """The agent stops; the spool stays for its successor."""


class Job(Protocol):
    """A running job. `breach` is the limit for which it was ended, if any."""

    @property
    def breach(self) -> Breach | None: ...
    def wait(self, seconds: float) -> int | None: ...
    def kill(self) -> None: ...
    def end(self) -> None: ...


@dataclass(frozen=True)
class Surroundings:
    """What every assignment of an agent shares. `hold` tells why jobs have to pause, if they have to."""

    host: str
    controller: Controller
    cache: Cache
    runner: str
    hold: Callable[[], str] = str
    clock: Clock = MONOTONIC
    outage: Outage = field(default_factory=Outage)
    rates: Rates = field(default_factory=Rates)
    start: Callable[[Spool, Outbox, Surroundings], Job] = lambda spool, outbox, around: WatchedJob(
        spool, around.runner, around.hold, lambda: outbox.waiting_bytes
    )


@dataclass(frozen=True)
class Failure:
    """Why an assignment failed, in one line, with the job's exit status if it got that far.

    `crashed`: the job died instead of saying what is wrong.
    """

    reason: str
    exit_code: int | None = None
    crashed: bool = False


class Work:
    """One assignment in the hands of this agent."""

    def __init__(self, spool: Spool, around: Surroundings) -> None:
        self.spool = spool
        self.outbox = Outbox(spool, around.controller, around.outage, around.rates, around.clock, self._check)
        self._around = around
        self._end: type[Exception] | None = None
        self._wake = threading.Event()
        self._job: Job | None = None

    def supersede(self) -> None:
        """Stop at once and deliver nothing more."""
        self._interrupt(Superseded)

    def stop(self) -> None:
        """Stop at once and leave the spool for the next agent."""
        self._interrupt(self._end or Stopping)

    def run(self) -> None:
        """Bring the assignment to its end; its folder is deleted unless the agent stops before."""
        try:
            failure = self._guarded(self._compute_what_is_missing)
            failure = self._guarded(self._deliver_everything) or failure
            self._finish(failure or self._guarded(self._verify_complete))
        except Superseded:
            log.info("%s was superseded and is dropped", self.spool.assignment.assignment)
        except Stopping:
            return
        finally:
            if self._job is not None:
                self._job.end()
        self.spool.drop()

    def _guarded(self, step: Callable[[], Failure | None]) -> Failure | None:
        """Run a step; whatever goes wrong in it becomes the reason of a failed assignment."""
        try:
            return step()
        except RingRiftError as error:
            return Failure(error.line())
        except OSError as error:
            if is_disk_full(error):
                return self._disk_full(str(error))
            return Failure(f"the agent on {self._around.host} failed: {error}")
        except (Superseded, Stopping):
            raise
        except Exception as error:
            # A defect of the agent's own must cost one assignment, and be seen where the work is seen.
            log.exception("%s met a defect", self.spool.assignment.assignment)
            return Failure(f"the agent on {self._around.host} has a defect: {type(error).__name__}: {error}")

    def _compute_what_is_missing(self) -> Failure | None:
        end_predecessor(self.spool)
        self.outbox.open()
        if self._wanted() <= self.spool.done():
            return None
        for sha256 in required_artifacts(self._spec()):
            self._fetch(sha256)
        return self._compute()

    def _fetch(self, sha256: str) -> None:
        cache, files = self._around.cache, self._around.controller.files(self.spool.assignment)
        self._patiently(lambda: cache.provide(sha256, files, self.spool.inputs, self._check))

    def _compute(self) -> Failure | None:
        """Run the job process to its end while its results are delivered."""
        self._job = job = self._around.start(self.spool, self.outbox, self._around)
        while (status := job.wait(_POLL_SECONDS)) is None:
            self._check()
            self.outbox.collect()
            self.outbox.deliver_some()
        self._check()
        self.outbox.collect()
        return None if status == 0 else self._explain(status, job.breach)

    def _deliver_everything(self) -> None:
        while self.outbox.waiting:
            self._patiently(self.outbox.deliver_next)

    def _verify_complete(self) -> Failure | None:
        """A job that ends well without all its results has failed."""
        missing = sorted(self._wanted() - self.spool.done())
        return Failure(f"the job ended without its sequences {missing[:5]}", 0) if missing else None

    def _explain(self, status: int, breach: Breach | None) -> Failure:
        lines = [line for line in tail(self.spool.log, _LOG_TAIL_BYTES).splitlines() if line.strip()]
        last = lines[-1] if lines else ""
        if breach is not None:
            return Failure(breach.reason, status, breach.crash)
        if status == DISK_FULL:
            return self._disk_full(last, status)
        if status < 0:
            reason = f"the job was killed by signal {-status}; last output: {last or 'none'}"
            return Failure(reason, status, crashed=True)
        if not last:
            return Failure(f"the job ended with exit status {status} and said nothing", status, crashed=True)
        return Failure(last, status, crashed=status == OUT_OF_MEMORY)

    def _disk_full(self, detail: str, status: int | None = None) -> Failure:
        return Failure(f"disk full on {self._around.host}: {detail or self.spool.folder}", status)

    def _finish(self, failure: Failure | None) -> None:
        assignment = self.spool.assignment
        request = FinishRequest(
            assignment=assignment.assignment,
            epoch=assignment.epoch,
            outcome="failed" if failure else "succeeded",
            exit_code=failure.exit_code if failure else 0,
            reason=failure.reason[:_REASON_LENGTH] if failure else "",
            log_tail=tail(self.spool.log, _LOG_TAIL_BYTES) if failure else "",
            crashed=failure is not None and failure.crashed,
            credential=assignment.credential,
        )
        try:
            self._patiently(lambda: self._around.controller.finish(request))
        except RingRiftError as error:
            # An answer that no repetition changes; the lease expires at the controller.
            log.error("%s: the controller refused its end: %s", assignment.assignment, error.line())
        log.info("%s %s %s", assignment.assignment, request.outcome, request.reason)

    def _wanted(self) -> set[int]:
        return set(sequences(self._spec()))

    def _spec(self) -> JobSpec:
        try:
            return parse_spec(self.spool.assignment.spec)
        except ValueError as error:
            raise CorruptData(f"the job's spec cannot be read: {error}") from None

    def _patiently(self, call: Callable[[], _Answer]) -> _Answer:
        """Repeat a call until the controller answers it."""
        backoff, outage = Backoff(), self._around.outage
        while True:
            self._check()
            pause = outage.pause()
            if not pause:
                try:
                    return call()
                except AWAY as error:
                    log.info("waiting for the controller: %s", error.line())
                    outage.begin()
                    pause = backoff.next()
            self._around.controller.connection.wait_for_change(pause, self._wake)

    def _check(self) -> None:
        if self._end is not None:
            raise self._end

    def _interrupt(self, end: type[Exception]) -> None:
        self._end = end
        self._wake.set()
        if self._job is not None:
            self._job.kill()
