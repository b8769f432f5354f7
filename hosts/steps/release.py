"""The release: the wheel, unpacked into `releases/<sha12>/`, every file with its recorded hash."""

from __future__ import annotations

import posixpath

from hosts import layout
from hosts.facts import Facts
from hosts.steps.commands import Command, Remove, Rename, Run, Upload
from hosts.steps.wish import Wish
from ringrift.errors import EnvironmentProblem

UNPACK_SECONDS = 300.0


def plan(facts: Facts, wish: Wish) -> list[Command]:
    """Copy and unpack the wheel where its release is missing or damaged.

    The folder gets its name only when it is complete, so that a copy that was interrupted is never run.
    """
    if facts.release_intact:
        return []
    if facts.interpreter is None:
        raise EnvironmentProblem(f"{wish.host} has no Python >= 3.11", hint=_hint(wish))
    place = layout.release(facts.root, wish.release)
    wheel = f"{place}.whl"
    fresh = posixpath.join(posixpath.dirname(place), f".{wish.release}.new")
    commands: list[Command] = [
        Upload(wish.wheel, wheel, wish.wheel_sha256),
        Remove(fresh),
        Run((facts.interpreter.python, "-I", "-m", "zipfile", "-e", wheel, fresh), seconds=UNPACK_SECONDS),
    ]
    if wish.release in facts.releases:
        commands.append(Remove(place))
    return [*commands, Rename(fresh, place), Remove(wheel)]


def _hint(wish: Wish) -> str:
    if wish.python:
        return f"{wish.python} does not run there, or is older"
    return "install python3.11 there, or name an interpreter"
