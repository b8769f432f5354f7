"""A program of ours kept running: by systemd where it is usable, else by our small supervisor."""

from __future__ import annotations

import hashlib
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
    if facts.supervised is None or not facts.supervised.argv or facts.interpreter is None:
        return []
    program = (facts.interpreter.python, "-m", "agents.supervisor")
    place = ("--dir", layout.services(facts.root), "--name", name)
    env = (("PYTHONPATH", layout.release(facts.root, release)),)
    return [
        Run((*program, "stop", *place), env, SUPERVISE_SECONDS),
        Run((*program, "start", *place, "--", *facts.supervised.argv), env, SUPERVISE_SECONDS),
    ]


def argv(facts: Facts, wish: Wish, service: Service) -> tuple[str, ...]:
    """Return the whole command, environment included, so that its text tells everything that matters."""
    pairs = sorted((*program_environment(facts, wish), *service.environment))
    assignments = tuple(f"{key}={value}" for key, value in pairs)
    return ("/usr/bin/env", *assignments, interpreter(facts, wish), *service.arguments)


def unit_path(facts: Facts, service: Service) -> str:
    """Return where the unit file belongs."""
    if facts.systemd == "system":
        return f"/etc/systemd/system/{service.unit}.service"
    return posixpath.join(facts.home, ".config/systemd/user", f"{service.unit}.service")


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
    same = facts.unit is not None and facts.unit.sha256 == hashlib.sha256(text.encode()).hexdigest()
    if same and facts.unit is not None and facts.unit.state == "active":
        return []
    unit = f"{service.unit}.service"
    path = unit_path(facts, service)
    return [
        Mkdir(posixpath.dirname(path)),
        PutFile(path, text),
        Run((*_systemctl(facts), "daemon-reload")),
        Run((*_systemctl(facts), "enable", unit)),
        Run((*_systemctl(facts), "restart", unit)),
    ]


def _supervised(facts: Facts, wish: Wish, service: Service) -> list[Command]:
    running = facts.supervised
    if running and running.state == "running" and running.argv == argv(facts, wish, service):
        return []
    place = ("--dir", layout.services(facts.root), "--name", service.name)
    program = (interpreter(facts, wish), "-m", "agents.supervisor", "start", *place)
    grace = ("--grace", f"{service.stop_seconds:.0f}")
    environment = (("PYTHONPATH", layout.release(facts.root, wish.release)),)
    return [Run((*program, *grace, "--", *argv(facts, wish, service)), environment, SUPERVISE_SECONDS)]


def _systemctl(facts: Facts) -> tuple[str, ...]:
    if facts.systemd == "system":
        return ("systemctl",)
    return ("env", f"XDG_RUNTIME_DIR=/run/user/{facts.uid}", "systemctl", "--user")


def _unit_quote(word: str) -> str:
    """Quote one word of ExecStart: systemd expands % and $ and understands backslashes inside quotes."""
    escaped = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", "$$")
    return f'"{escaped}"'
