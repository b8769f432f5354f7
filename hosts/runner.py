"""Taking a host through steps: planned together, carried out at once, looked at afterwards."""

from __future__ import annotations

import posixpath
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from itertools import groupby
from pathlib import Path

from hosts.apply import Stale, StepFailed, Told, apply
from hosts.facts import Facts, Question, gather
from hosts.remote import Remote
from hosts.steps.commands import (
    Check,
    Command,
    Link,
    Merge,
    Mkdir,
    PutFile,
    Remove,
    Rename,
    Run,
    Unpack,
    Upload,
)
from ringrift.control.domain.ports import StepEvent, StepReport
from ringrift.errors import Conflict, EnvironmentProblem, RingRiftError
from ringrift.failpoints import side_effect

Plan = Callable[[Facts], list[Command]]
Explain = Callable[[], Awaitable[RingRiftError]]
Asked = list[tuple[str, list[Command]]]
ATTEMPTS = 5
"""How often a plan is made anew because somebody else changed the host meanwhile."""
_VERBS = {Mkdir: "make", PutFile: "write", Merge: "write", Upload: "copy", Unpack: "unpack"}
_VERBS |= {Rename: "name", Link: "point", Remove: "remove", Check: "check"}


async def perform(remote: Remote, facts: Facts, commands: list[Command]) -> None:
    """Do commands that belong to no reported step."""

    async def told(_step: str, _seconds: float | None) -> None:
        return

    try:
        await execute(remote, facts, [("restart", commands)], told)
    except StepFailed as failed:
        raise failed.error from None
    except Stale:
        raise Conflict(f"{remote.name} is being changed by somebody else", hint="try again") from None


async def execute(remote: Remote, facts: Facts, asked: Asked, told: Told) -> None:
    """Do every step's commands in order: files of the controller over SFTP, all else by `apply`.

    Raises Stale, StepFailed, or Unreachable when the connection is cut.
    """
    for copied, parts in _parts(asked):
        if not copied:
            facts = facts.model_copy(update={"applied": await apply(remote, facts, parts, told)})
            continue
        for name, commands in parts:
            begun = time.monotonic()
            await told(name, None)
            await _upload(remote, name, commands)
            await told(name, time.monotonic() - begun)


async def _upload(remote: Remote, step: str, commands: list[Command]) -> None:
    for command in commands:
        assert isinstance(command, Upload)
        try:
            with side_effect("host.upload"):
                await remote.files.upload(Path(command.source), command.path, command.sha256)
        except RingRiftError as error:
            raise StepFailed(step, error) from error


def _parts(asked: Asked) -> Iterator[tuple[bool, Asked]]:
    """Split steps where a file has to be copied in between; the flag says that a part only copies."""
    flat = [(name, command) for name, commands in asked for command in commands]
    for copied, group in groupby(flat, key=lambda item: isinstance(item[1], Upload)):
        by_step = groupby(group, key=lambda item: item[0])
        yield copied, [(name, [command for _, command in items]) for name, items in by_step]


class StepRunner:
    """Takes a host through steps and reports each."""

    def __init__(self, remote: Remote, question: Question, report: StepReport) -> None:
        self.remote = remote
        self._question = question
        self._report = report
        self._facts: Facts | None = None

    @property
    def facts(self) -> Facts:
        """What the last look found."""
        assert self._facts is not None, "look() comes first"
        return self._facts

    async def gather(self) -> Facts:
        """Look at the host again, silently."""
        self._facts = await gather(self.remote, self._question)
        return self._facts

    async def look(self) -> Facts:
        """Gather the facts, as a step of its own."""

        async def gathered() -> tuple[str, str]:
            facts = await self.gather()
            python = facts.interpreter.version if facts.interpreter else "none"
            space = f"{facts.disk_free_kib / 2**20:.1f} GiB free"
            return "unchanged", f"{facts.os} {facts.arch}, Python {python}, {space}, systemd: {facts.systemd}"

        await self.stage("facts", gathered)
        return self.facts

    async def carry_out(
        self,
        plans: Mapping[str, Plan],
        explain: Mapping[str, Explain] | None = None,
        check: Callable[[Facts], None] | None = None,
        *,
        look: bool = True,
    ) -> None:
        """Plan the steps from the last look, do them, and look whether they now have nothing left to do.

        `check` sees the facts before anything is done and may raise. A step whose result does not stand
        although every command succeeded has failed: the error is what `explain` makes of that, by default an
        EnvironmentProblem that says what is still to do. Without `look` the commands' own success is enough,
        and the facts are old afterwards.
        """
        for _ in range(ATTEMPTS):
            if check is not None:
                check(self.facts)
            asked = {name: await self._planned(name, plan) for name, plan in plans.items()}
            try:
                await self._perform(asked)
            except Stale:
                await self.gather()
                continue
            if look and any(asked.values()):
                await self._verify(plans, asked, explain or {})
            return
        raise Conflict(f"{self.remote.name} is being changed by somebody else", hint="try again")

    async def stage(self, name: str, work: Callable[[], Awaitable[tuple[str, str]]]) -> None:
        """Report a piece of work from `running` to the state and detail that it returns, or to `failed`."""
        begun = time.monotonic()
        await self._report(StepEvent(name, "running"))
        try:
            state, detail = await work()
        except RingRiftError as error:
            await self._report(StepEvent(name, "failed", error.line(), time.monotonic() - begun))
            raise
        await self._report(StepEvent(name, state, detail, time.monotonic() - begun))

    async def _planned(self, name: str, plan: Plan) -> list[Command]:
        try:
            return plan(self.facts)
        except RingRiftError as error:
            await self._report(StepEvent(name, "failed", error.line(), 0.0))
            raise

    async def _perform(self, asked: Mapping[str, list[Command]]) -> None:
        """Do what is asked and report every step in its turn."""
        progress = _Progress(asked, self._report)
        wanted = [(name, commands) for name, commands in asked.items() if commands]
        try:
            await execute(self.remote, self.facts, wanted, progress.told)
        except StepFailed as failed:
            await progress.failed(failed.step, failed.error)
            raise failed.error from failed.error.__cause__
        except RingRiftError as error:
            await progress.failed(None, error)
            raise
        await progress.finish()

    async def _verify(
        self,
        plans: Mapping[str, Plan],
        asked: Mapping[str, list[Command]],
        explain: Mapping[str, Explain],
    ) -> None:
        await self.gather()
        for name, plan in plans.items():
            left = await self._planned(name, plan) if asked[name] else []
            if left:
                error = await explain[name]() if name in explain else self._not_standing(name, left)
                await self._report(StepEvent(name, "failed", error.line(), 0.0))
                raise error

    def _not_standing(self, name: str, left: list[Command]) -> EnvironmentProblem:
        return EnvironmentProblem(
            f"{self.remote.name}: step {name} ran, but its result does not stand: {summary(left)}",
            hint="run it again; if it stays, look at the host",
        )


class _Progress:
    """Reports steps in their order: running when their first command begins, done after their last."""

    def __init__(self, asked: Mapping[str, list[Command]], report: StepReport) -> None:
        self._asked = asked
        self._report = report
        self._waiting = list(asked)
        self._running: str | None = None
        self._seconds = 0.0

    async def told(self, name: str, seconds: float | None) -> None:
        """Note that commands of a step begin or, with `seconds`, that they have run."""
        if seconds is not None:
            self._seconds += seconds
        elif name != self._running:
            await self._end()
            await self._pass_over(name)
            self._running, self._seconds = name, 0.0
            await self._report(StepEvent(name, "running"))

    async def finish(self) -> None:
        """Everything has run."""
        await self._end()
        await self._pass_over(None)

    async def failed(self, step: str | None, error: RingRiftError) -> None:
        """The step that runs failed; without a name, whichever that is."""
        name = step or self._running or next(name for name in self._waiting if self._asked[name])
        seconds, self._running = self._seconds, None
        await self._report(StepEvent(name, "failed", error.line(), seconds))

    async def _end(self) -> None:
        if self._running is not None:
            detail = summary(self._asked[self._running])
            await self._report(StepEvent(self._running, "done", detail, self._seconds))
            self._running = None

    async def _pass_over(self, until: str | None) -> None:
        """Report the steps before `until` that had nothing to do."""
        while self._waiting and (name := self._waiting.pop(0)) != until:
            await self._report(StepEvent(name, "unchanged", "", 0.0))


def summary(commands: list[Command]) -> str:
    """Say in a few words what commands do; contents of files do not appear."""
    return ", ".join(_words(command) for command in commands)


def _words(command: Command) -> str:
    if isinstance(command, Run):
        return f"run {_program(command.argv)}"
    return f"{_VERBS[type(command)]} {posixpath.basename(command.path)}"


def _program(argv: tuple[str, ...]) -> str:
    """Name a program: `-m MODULE VERB` where there is a module, else its name and first argument."""
    if "-m" in argv[:-1]:
        return " ".join(argv[argv.index("-m") + 1 :][:2])
    return " ".join([posixpath.basename(argv[0]), *argv[1:2]])
