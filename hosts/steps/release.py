"""The release: the wheel, unpacked into `releases/<sha12>/`, every file with its recorded hash."""

from __future__ import annotations

from hosts import layout
from hosts.facts import Facts
from hosts.steps.commands import Command, Unpack
from hosts.steps.wish import Wish
from ringrift.errors import EnvironmentProblem


def plan(facts: Facts, wish: Wish) -> list[Command]:
    """Send and unpack the wheel where its release is missing or damaged."""
    if facts.release_intact:
        return []
    if facts.interpreter is None:
        raise EnvironmentProblem(f"{wish.host} has no Python >= 3.11", hint=_hint(wish))
    return [Unpack(wish.wheel, layout.release(facts.root, wish.release), wish.wheel_sha256)]


def _hint(wish: Wish) -> str:
    if wish.python:
        return f"{wish.python} does not run there, or is older"
    return "install python3.11 there, or name an interpreter"
