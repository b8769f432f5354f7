"""The environment: `env/` made by us, or an existing interpreter that is checked and never changed."""

from __future__ import annotations

import posixpath

from packaging.requirements import Requirement
from packaging.version import InvalidVersion, Version

from hosts import layout
from hosts.facts import Facts, Interpreter
from hosts.steps.commands import Command, Run
from hosts.steps.wish import Wish
from ringrift.errors import EnvironmentProblem

VENV_SECONDS = 300.0
INSTALL_SECONDS = 3600.0
"""torch with CUDA is 2.7 GB."""


def plan(facts: Facts, wish: Wish) -> list[Command]:
    """Install what is missing into `env/`, or check the named interpreter.

    Raises EnvironmentProblem that names every package which a named interpreter lacks or has in another
    version, and when no Python >= 3.11 with venv is there to make `env/` with.
    """
    if wish.python:
        _check_named(facts, wish)
        return []
    if facts.interpreter is None or not facts.own_python:
        _check_base(facts, wish)
    assert facts.interpreter is not None
    if facts.own_python and not misses(wish, facts.interpreter):
        return []
    folder = posixpath.join(facts.root, "env")
    commands: list[Command] = []
    if not facts.own_python:
        commands.append(Run((facts.base_python, "-I", "-m", "venv", "--clear", folder), seconds=VENV_SECONDS))
    python = (layout.environment_python(facts.root), "-I", "-m")
    if facts.own_python and facts.interpreter.packages.get("pip") is None:
        commands.append(Run((*python, "ensurepip"), seconds=VENV_SECONDS))
    options = ("--quiet", "--disable-pip-version-check", "--no-input")
    wanted = needed(wish, facts.interpreter)
    return [*commands, Run((*python, "pip", "install", *options, "--", *wanted), seconds=INSTALL_SECONDS)]


def needed(wish: Wish, interpreter: Interpreter) -> list[str]:
    """Return the requirements that apply to this interpreter, without their markers."""
    return [_plain(requirement) for requirement in _applicable(wish, interpreter)]


def misses(wish: Wish, interpreter: Interpreter) -> list[str]:
    """Return, in words, every requirement that the interpreter does not meet."""
    found = []
    for requirement in _applicable(wish, interpreter):
        version = interpreter.packages.get(requirement.name)
        if version is None:
            found.append(f"{_plain(requirement)} (missing)")
        elif not _meets(requirement, version):
            found.append(f"{_plain(requirement)} (has {version})")
    return found


def package_names(requirements: tuple[str, ...]) -> tuple[str, ...]:
    """Return the names of the packages to look for on a host, each once."""
    return tuple(dict.fromkeys([*(Requirement(text).name for text in requirements), "pip", "numba"]))


def _check_named(facts: Facts, wish: Wish) -> None:
    if not facts.named_python or facts.interpreter is None:
        raise EnvironmentProblem(
            f"{wish.host}: {wish.python} does not run or is older than Python 3.11",
            hint="name another interpreter, or none to have an environment made",
        )
    lacking = misses(wish, facts.interpreter)
    if lacking:
        raise EnvironmentProblem(
            f"{wish.host}: {wish.python} lacks {', '.join(lacking)}",
            hint="install them there, or name no interpreter to have an environment made",
        )


def _check_base(facts: Facts, wish: Wish) -> None:
    if not facts.base_python or facts.interpreter is None:
        raise EnvironmentProblem(
            f"{wish.host} has no Python >= 3.11", hint="install python3.11 there or name an interpreter"
        )
    if not facts.base_venv:
        raise EnvironmentProblem(
            f"{wish.host}: {facts.base_python} cannot make environments",
            hint="install its venv module there (on Debian: python3-venv) or name an interpreter",
        )


def _applicable(wish: Wish, interpreter: Interpreter) -> list[Requirement]:
    requirements = [Requirement(text) for text in wish.requirements]
    environment = {**interpreter.markers, "extra": wish.extra}
    return [item for item in requirements if item.marker is None or item.marker.evaluate(environment)]


def _plain(requirement: Requirement) -> str:
    extras = f"[{','.join(sorted(requirement.extras))}]" if requirement.extras else ""
    return f"{requirement.name}{extras}{requirement.specifier}"


def _meets(requirement: Requirement, version: str) -> bool:
    try:
        return requirement.specifier.contains(Version(version), prereleases=True)
    except InvalidVersion:
        return False
