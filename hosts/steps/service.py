"""A program of ours kept running: by the host's service manager if there is one, else by our supervisor."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from hosts.facts import Facts
from hosts.steps import launchd, supervised, systemd
from hosts.steps.commands import Command
from hosts.steps.program import Program
from hosts.steps.wish import Wish, interpreter, program_environment

Keeper = Literal["systemd", "launchd", "supervisor"]


@dataclass(frozen=True)
class Service:
    """A program to keep running. `name` is unique below a root, `unit` on a machine."""

    name: str
    unit: str
    arguments: tuple[str, ...]
    """What follows the interpreter."""
    environment: tuple[tuple[str, str], ...] = ()
    stop_seconds: float = 10.0
    """How long it may take to end when asked."""
    kill_mode: str = "control-group"
    """`mixed` where the program itself tells its processes to end; systemd's word."""


def keeper(facts: Facts, wish: Wish) -> Keeper:
    """Return who keeps programs running on this host."""
    if not wish.systemd:
        return "supervisor"
    if facts.os == "Darwin":
        return "launchd"
    return "supervisor" if facts.systemd == "none" else "systemd"


def survives_reboot(facts: Facts, wish: Wish) -> bool:
    """Tell whether what runs is started again after a reboot without the controller's help."""
    return keeper(facts, wish) != "supervisor" or (wish.systemd and facts.cron is not None)


def plan(facts: Facts, wish: Wish, service: Service) -> list[Command]:
    """Have exactly this program running; nothing when it does."""
    program = Program(
        host=wish.host,
        name=service.name,
        unit=service.unit,
        environment=tuple(sorted((*program_environment(facts, wish), *service.environment))),
        command=(interpreter(facts, wish), *service.arguments),
        stop_seconds=service.stop_seconds,
        kill_mode=service.kill_mode,
    )
    plans: dict[Keeper, Callable[[], list[Command]]] = {
        "systemd": lambda: systemd.plan(facts, program),
        "launchd": lambda: launchd.plan(facts, program),
        "supervisor": lambda: supervised.plan(facts, program, wish.release, hook=wish.systemd),
    }
    return [*_displaced(facts, wish, service), *plans[keeper(facts, wish)]()]


def _displaced(facts: Facts, wish: Wish, service: Service) -> list[Command]:
    """End the program where another keeper runs it, since two of them would fight over one folder."""
    if keeper(facts, wish) != "supervisor":
        return supervised.stop(facts, service.name, interpreter(facts, wish), wish.release)
    if facts.unit is None:
        return []
    remove = launchd.remove if facts.os == "Darwin" else systemd.remove
    return remove(facts, service.unit)


def restart(facts: Facts, name: str, unit: str) -> list[Command]:
    """Start a program that was set up before anew, as it was; nothing when there is none."""
    if facts.unit is not None:
        return launchd.restart(facts, unit) if facts.os == "Darwin" else systemd.restart(facts, unit)
    return supervised.restart(facts, name)


def put_back(facts: Facts, before: Facts, name: str, unit: str) -> list[Command]:
    """Have the program running again that ran `before`; nothing when it is what runs, or none ran."""
    if before.unit is not None and facts.unit is not None and facts.unit.text != before.unit.text:
        install = launchd.install if facts.os == "Darwin" else systemd.install
        return install(facts, unit, before.unit.text)
    return supervised.put_back(facts, before, name)
