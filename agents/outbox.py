"""Results on their way to the controller: read from the job's events, uploaded, reported, acknowledged."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from agents.clock import Clock, Outage
from agents.connection import Backoff
from agents.controller import AWAY, Controller
from agents.files import read_lines
from agents.rates import Rates
from agents.spool import Spool, UnitResult, parse_result
from ringrift.errors import CorruptData, NotFound, RingRiftError, error_classes
from ringrift.protocol.agent import Progress, ResultReply, ResultRequest

log = logging.getLogger("agents")
AT_ONCE = 32
"""Results of one request: a receipt is not kept waiting for the upload of many more."""


class Superseded(Exception):
    """The controller wants nothing more of this assignment."""


class Outbox:
    """What one assignment's job has told and the controller has not acknowledged yet.

    Only the slot thread calls its methods; `progress` and `waiting` may be read by others.
    """

    def __init__(
        self,
        spool: Spool,
        controller: Controller,
        outage: Outage,
        rates: Rates,
        clock: Clock,
        go_on: Callable[[], None],
    ) -> None:
        self.progress = Progress(assignment=spool.assignment.assignment, epoch=spool.assignment.epoch)
        self._spool = spool
        self._controller = controller
        self._outage = outage
        self._rates = rates
        self._told_at: float | None = None
        self._clock = clock
        self._go_on = go_on
        self._read = 0
        self._waiting: list[UnitResult] = []
        self._acknowledged: set[int] = set()
        self._backoff = Backoff()
        self._retry_at = 0.0
        self._together = True

    @property
    def waiting(self) -> int:
        return len(self._waiting)

    @property
    def waiting_bytes(self) -> int:
        """Return the size of the artifacts that wait for their receipt."""
        return sum(artifact.size for result in list(self._waiting) for artifact in result.artifacts)

    def open(self) -> None:
        """Mend what a crash left, and take up what waits from before."""
        self._spool.repair()
        self._acknowledged = self._spool.receipts()
        self.collect()

    def collect(self) -> None:
        """Read what the job told since the last time."""
        events, self._read = read_lines(self._spool.events, self._read)
        before = self.progress
        for event in events:
            if event.get("type") == "progress":
                self._note_progress(event)
            elif event["sequence"] not in self._acknowledged:
                self._waiting.append(parse_result(event))
        if self.progress is not before:
            self._note_rate(self.progress.done - before.done)

    def deliver_some(self) -> None:
        """Deliver one waiting result if the controller answers; after a failure pause ever longer."""
        if not self._waiting or self._outage.pause() or self._clock() < self._retry_at:
            return
        try:
            self.deliver_next()
            self._backoff.reset()
        except AWAY as error:
            self._outage.begin()
            self._retry_at = self._clock() + self._backoff.next()
            log.info("%d results wait for the controller: %s", self.waiting, error.line())

    def deliver_next(self) -> None:
        """Upload the oldest waiting results, report them together, and note their receipts.

        Raises `Superseded`, `CorruptData` when the controller refuses a result, or one of `AWAY`; what was
        acknowledged before that stays so.
        """
        batch = self._waiting[: AT_ONCE if self._together else 1]
        files = self._controller.files(self._spool.assignment)
        for result in batch:
            for artifact in result.artifacts:
                files.upload(artifact.sha256, self._spool.outputs / artifact.path, self._go_on)
        for result, reply in zip(batch, self._replies(batch), strict=False):
            self._note_receipt(result, reply)

    def _replies(self, batch: Sequence[UnitResult]) -> Iterator[ResultReply]:
        """Report results; a controller of the version before takes only one at a time."""
        if len(batch) > 1:
            try:
                answers = self._controller.results([self._report(result) for result in batch])
            except NotFound:
                self._together = False
            else:
                for answer in answers:
                    if answer.reply is None:
                        raise error_classes().get(answer.code, RingRiftError)(answer.message)
                    yield answer.reply
                return
        yield self._controller.result(self._report(batch[0]))

    def _note_receipt(self, result: UnitResult, reply: ResultReply) -> None:
        if not reply.accepted and reply.alive:
            raise CorruptData(f"the controller refused sequence {result.sequence}: {reply.reason}")
        if not reply.alive:
            raise Superseded
        if not self._spool.acknowledge(result):
            log.warning("no room to note the receipt of sequence %d", result.sequence)
        self._acknowledged.add(result.sequence)
        self._waiting.pop(0)

    def _note_progress(self, event: dict[str, Any]) -> None:
        told = {name: event[name] for name in ("done", "total", "unit", "rate") if name in event}
        self.progress = Progress.model_validate({**self.progress.model_dump(), **told})

    def _note_rate(self, units: float) -> None:
        """Add what was done since the last time to the figures of this host; the first time only begins."""
        now, before, spec = self._clock(), self._told_at, self._spool.assignment.spec
        if before is not None:
            self._rates.note(str(spec.get("kind")), str(spec.get("config")), units, now - before)
        self._told_at = now

    def _report(self, result: UnitResult) -> ResultRequest:
        return ResultRequest(
            assignment=self._spool.assignment.assignment,
            epoch=self._spool.assignment.epoch,
            sequence=result.sequence,
            payload=result.payload,
            artifacts=[artifact.sha256 for artifact in result.artifacts],
            credential=self._spool.assignment.credential,
        )
