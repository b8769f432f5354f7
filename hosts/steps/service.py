"""A program of ours kept running: by systemd where it is usable, else by our small supervisor."""

from __future__ import annotations

import posixpath
from dataclasses import dataclass

from hosts import layout
from hosts.facts import Facts
from hosts.steps.commands import Command, Mkdir, PutFile, Run
from hosts.steps.wish import Wish, interpreter, program_environment

SUPERVISE_SECONDS = 120.0
"""`start` may first have to stop another program: 15 s for a competing start, 40 s grace, a slow host."""


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


def plan(facts: Facts, wish: Wish, service: Service) -> list[Command]:
    """Have exactly this program running; nothing when it does."""
    if wish.systemd and facts.systemd != "none":
        return _systemd(facts, wish, service)
    return _supervised(facts, wish, service)


def restart(facts: Facts, name: str, unit: str, release: str) -> list[Command]:
    """Start a program that was set up before anew, as it was; nothing when there is none.

    `release` is one that stands on the host; its supervisor does it where systemd does not.
    """
    if facts.unit is not None:
        return [Run((*_systemctl(facts), "restart", f"{unit}.service"))]
    if facts.supervised is None or not facts.supervised.argv:
        return []
    return [
        _supervise(facts, release, "stop", name),
        _supervise(facts, release, "start", name, "--", *facts.supervised.argv),
    ]


def put_back(facts: Facts, before: Facts, name: str, unit: str) -> list[Command]:
    """Have the program running again that ran `before`; nothing when it is what runs, or none ran."""
    if before.unit is not None and facts.unit is not None and facts.unit.text != before.unit.text:
        return _install(facts, unit, before.unit.text)
    ran = before.supervised
    if ran is None or ran.state == "stopped" or not ran.argv:
        return []
    if facts.supervised is not None and facts.supervised.argv == ran.argv:
        return []
    return [_supervise(facts, facts.releases[-1], "start", name, "--", *ran.argv)]


def argv(facts: Facts, wish: Wish, service: Service) -> tuple[str, ...]:
    """Return the whole command, environment included, so that its text tells everything that matters."""
    pairs = sorted((*program_environment(facts, wish), *service.environment))
    assignments = tuple(f"{key}={value}" for key, value in pairs)
    return ("/usr/bin/env", *assignments, interpreter(facts, wish), *service.arguments)


def unit_path(facts: Facts, unit: str) -> str:
    """Return where the unit file belongs."""
    if facts.systemd == "system":
        return f"/etc/systemd/system/{unit}.service"
    return posixpath.join(facts.home, ".config/systemd/user", f"{unit}.service")


def unit_text(facts: Facts, wish: Wish, service: Service) -> str:
    """Return the unit file."""
    command = " ".join(_unit_quote(word) for word in argv(facts, wish, service))
    target = "multi-user.target" if facts.systemd == "system" else "default.target"
    return "\n".join(
        [
            "[Unit]",
            f"Description=RingRift {service.name} of {wish.host}",
            "StartLimitIntervalSec=0",
            "[Service]",
            f"ExecStart={command}",
            "Restart=always",
            "RestartSec=2",
            "KillMode=control-group",
            f"TimeoutStopSec={service.stop_seconds + 10:.0f}",
            "[Install]",
            f"WantedBy={target}",
            "",
        ]
    )


def _systemd(facts: Facts, wish: Wish, service: Service) -> list[Command]:
    text = unit_text(facts, wish, service)
    if facts.unit is not None and (facts.unit.text, facts.unit.state) == (text, "active"):
        return []
    return _install(facts, service.unit, text)


def _install(facts: Facts, unit: str, text: str) -> list[Command]:
    path = unit_path(facts, unit)
    return [
        Mkdir(posixpath.dirname(path)),
        PutFile(path, text),
        Run((*_systemctl(facts), "daemon-reload")),
        Run((*_systemctl(facts), "enable", f"{unit}.service")),
        Run((*_systemctl(facts), "restart", f"{unit}.service"), seconds=SUPERVISE_SECONDS),
    ]


def _supervised(facts: Facts, wish: Wish, service: Service) -> list[Command]:
    running, wanted = facts.supervised, argv(facts, wish, service)
    if running and running.state == "running" and running.argv == wanted:
        return []
    grace = ("--grace", f"{service.stop_seconds:.0f}")
    return [_supervise(facts, wish.release, "start", service.name, *grace, "--", *wanted)]


def _supervise(facts: Facts, release: str, verb: str, name: str, *rest: str) -> Run:
    """Call the supervisor of a release that stands on the host."""
    assert facts.interpreter is not None, "the release step refuses a host without Python"
    place = ("--dir", layout.services(facts.root), "--name", name)
    program = (facts.interpreter.python, "-m", "agents.supervisor", verb, *place, *rest)
    return Run(program, (("PYTHONPATH", layout.release(facts.root, release)),), SUPERVISE_SECONDS)


def _systemctl(facts: Facts) -> tuple[str, ...]:
    if facts.systemd == "system":
        return ("systemctl",)
    return ("env", f"XDG_RUNTIME_DIR=/run/user/{facts.uid}", "systemctl", "--user")


def _unit_quote(word: str) -> str:
    """Quote one word of ExecStart: systemd expands % and $ and understands backslashes inside quotes."""
    escaped = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", "$$")
    return f'"{escaped}"'
