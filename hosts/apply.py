"""Carrying out commands on a host: one program there does them all and tells how far it is."""

from __future__ import annotations

import asyncio
import hashlib
import json
import secrets
from collections.abc import Awaitable, Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from hosts.facts import Facts
from hosts.remote import Remote
from hosts.steps.commands import Command, Run, Unpack, wire
from ringrift.errors import AccessRefused, CorruptData, EnvironmentProblem, NotFound, RingRiftError
from ringrift.failpoints import side_effect

Told = Callable[[str, float | None], Awaitable[None]]
"""Is told the name of a step that begins, and again, with its seconds, when its commands have run."""
BOOTSTRAP = "import sys;exec(sys.stdin.buffer.read(int(sys.argv[1])))"
WAIT_SECONDS = 600.0
"""How long another change of the host may still go on: one whose connection was cut, say."""
_MARGIN = 60.0


class Stale(Exception):
    """The host was changed by somebody else since it was looked at; nothing was done."""


class StepFailed(Exception):
    """A step's command failed; `error` says which and how."""

    def __init__(self, step: str, error: RingRiftError) -> None:
        super().__init__(step)
        self.step, self.error = step, error


async def apply(remote: Remote, facts: Facts, steps: Sequence[tuple[str, list[Command]]], told: Told) -> str:
    """Carry out the steps' commands in one program on the host; return what `facts.applied` will say.

    Raises Stale, StepFailed, or Unreachable when the connection is cut, in which case the program may go on.
    """
    assert facts.interpreter is not None, "no step asks for anything on a host without Python"
    nonce = secrets.token_hex(8)
    commands = [command for _, asked in steps for command in asked]
    archives = await asyncio.to_thread(_archives, commands)
    text = _script()
    stdin = text + _order(facts, steps, archives) + b"".join(archives.values())
    listening = _Listening(remote.name, nonce, [name for name, _ in steps], told)
    argv = [facts.interpreter.python, "-I", "-c", BOOTSTRAP, str(len(text)), nonce]
    seconds = WAIT_SECONDS + _MARGIN + sum(one.seconds for one in commands if isinstance(one, Run))
    with side_effect("host.apply"):
        done = await remote.run(argv, stdin=stdin, seconds=seconds, heard=listening.hear)
        if listening.end == "stale":
            raise Stale
        if listening.end != "finished":
            words = done.last_words() or "it printed nothing"
            raise EnvironmentProblem(f"{remote.name}: changing the host failed: {words}", hint="run it again")
    return nonce


class _Listening:
    """Reads the lines of the program; `end` is its last state."""

    def __init__(self, host: str, nonce: str, names: list[str], told: Told) -> None:
        self._host, self._mark, self._names, self._told = host, f"ringrift-apply {nonce} ", names, told
        self.end = ""

    async def hear(self, line: str) -> None:
        if not line.startswith(self._mark):
            return
        try:
            said = json.loads(line.removeprefix(self._mark))
            self.end = said["state"]
            name = self._names[said["step"]] if "step" in said else None
            error = _failure(self._host, str(name), said) if self.end == "failed" else None
            seconds = float(said["seconds"]) if "seconds" in said else None
        except (ValueError, TypeError, KeyError, IndexError, RecursionError):
            raise CorruptData(f"{self._host}: what it says about its change makes no sense") from None
        if error is not None:
            raise StepFailed(name or self._names[0], error)
        if name is not None:
            await self._told(name, seconds)


def _failure(host: str, step: str, said: dict[str, Any]) -> RingRiftError:
    """Return the error for what the program said of a step that failed."""
    output, status = str(said["output"]).strip(), said["status"]
    words = " | ".join(line.strip() for line in output.splitlines()[-3:] if line.strip())[-600:]
    if "No space left on device" in output:
        return EnvironmentProblem(
            f"disk full on {host}: step {step}: {words}", hint="free space there and run it again"
        )
    if status is None and "Permission denied" in output:
        return AccessRefused(
            f"{host}: step {step}: {words}", hint="the login user must own the host's root folder"
        )
    ended = f"ended with {status}" if status is not None else "did not succeed"
    return EnvironmentProblem(f"{host}: step {step}: {said['what']} {ended}: {words or 'it printed nothing'}")


def _order(facts: Facts, steps: Sequence[tuple[str, list[Command]]], archives: dict[str, bytes]) -> bytes:
    order = {
        "root": facts.root,
        "applied": facts.applied,
        "wait": WAIT_SECONDS,
        "sent": [{"sha256": sha256, "size": len(data)} for sha256, data in archives.items()],
        "steps": [[wire(command) for command in asked] for _, asked in steps],
    }
    return json.dumps(order).encode() + b"\n"


def _archives(commands: list[Command]) -> dict[str, bytes]:
    """Return the archives to send, by SHA-256; CorruptData for one that is not what it should be."""
    found: dict[str, bytes] = {}
    for command in commands:
        if isinstance(command, Unpack):
            try:
                data = Path(command.source).read_bytes()
            except OSError as error:
                raise NotFound(f"cannot read {command.source}: {error.strerror}") from None
            if hashlib.sha256(data).hexdigest() != command.sha256:
                raise CorruptData(f"{command.source} is not {command.sha256[:12]}; it was not sent")
            found[command.sha256] = data
    return found


@cache
def _script() -> bytes:
    return Path(__file__).with_name("apply_script.py").read_bytes()
