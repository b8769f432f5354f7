"""Executing what steps ask for, and reporting each step."""

from __future__ import annotations

import posixpath
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from hosts.facts import Facts, Question, gather
from hosts.remote import Remote
from hosts.steps.commands import Command, Link, Mkdir, PutFile, Remove, Rename, Run, Upload
from ringrift.control.domain.ports import StepEvent, StepReport
from ringrift.errors import EnvironmentProblem, RingRiftError

Plan = Callable[[Facts], list[Command]]
Explain = Callable[[], Awaitable[RingRiftError]]
_VERBS = {Mkdir: "make", PutFile: "write", Upload: "copy", Rename: "name", Link: "point", Remove: "remove"}


async def execute(remote: Remote, command: Command) -> None:
    """Do one command on a host. Each is atomic or harmless to repeat."""
    match command:
        case Mkdir(path, mode):
            await remote.files.mkdir(path, mode)
        case PutFile(path, content, mode):
            await remote.files.put(path, content.encode(), mode)
        case Upload(source, path, sha256):
            await remote.files.upload(Path(source), path, sha256)
        case Rename(source, path):
            await remote.files.rename(source, path)
        case Link(path, target):
            await remote.files.link(path, target)
        case Remove(path):
            await remote.files.remove(path)
        case Run(argv, env, seconds):
            await remote.check(argv, env=dict(env), seconds=seconds)


class StepRunner:
    """Takes a host through steps; one that changed something looks at the host anew."""

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

    async def step(self, name: str, plan: Plan, explain: Explain | None = None) -> None:
        """Plan a step from the facts, do it, and look whether it now has nothing left to do.

        When its result does not stand although every command succeeded, raises what `explain` makes of
        that, by default an EnvironmentProblem that says what is still to do.
        """

        async def performed() -> tuple[str, str]:
            commands = plan(self.facts)
            for command in commands:
                await execute(self.remote, command)
            if not commands:
                return "unchanged", ""
            if all(isinstance(command, Mkdir) for command in commands):
                return "done", summary(commands)  # each proves itself, and no later step looks at modes
            left = plan(await self.gather())
            if left:
                raise await explain() if explain else self._not_standing(name, left)
            return "done", summary(commands)

        await self.stage(name, performed)

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

    def _not_standing(self, name: str, left: list[Command]) -> EnvironmentProblem:
        return EnvironmentProblem(
            f"{self.remote.name}: step {name} ran, but its result does not stand: {summary(left)}",
            hint="run it again; if it stays, look at the host",
        )


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
