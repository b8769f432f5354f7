"""A program kept running by systemd: as root by the system's, else by the user's, which needs linger."""

from __future__ import annotations

import posixpath

from hosts.facts import Facts
from hosts.steps.commands import Command, Mkdir, PutFile, Remove, Run
from hosts.steps.program import Program

SECONDS = 120.0
"""A restart waits for the old program's end."""


def plan(facts: Facts, program: Program) -> list[Command]:
    """Have the unit installed and active."""
    text = unit_text(facts, program)
    if facts.unit is not None and (facts.unit.text, facts.unit.state) == (text, "active"):
        return []
    return install(facts, program.unit, text)


def install(facts: Facts, unit: str, text: str) -> list[Command]:
    """Write the unit and start it anew.

    The old program is ended first: one that goes on under a new text could not be told from the new one.
    """
    path = unit_path(facts, unit)
    stop = Run((*_systemctl(facts), "stop", f"{unit}.service"), seconds=SECONDS)
    return [
        *([stop] if facts.unit is not None else []),
        Mkdir(posixpath.dirname(path)),
        PutFile(path, text),
        Run((*_systemctl(facts), "daemon-reload")),
        Run((*_systemctl(facts), "enable", f"{unit}.service")),
        *restart(facts, unit),
    ]


def restart(facts: Facts, unit: str) -> list[Command]:
    """Start the unit anew."""
    return [Run((*_systemctl(facts), "restart", f"{unit}.service"), seconds=SECONDS)]


def remove(facts: Facts, unit: str) -> list[Command]:
    """End the unit and forget it."""
    return [
        Run((*_systemctl(facts), "disable", "--now", f"{unit}.service"), seconds=SECONDS),
        Remove(unit_path(facts, unit)),
        Run((*_systemctl(facts), "daemon-reload")),
    ]


def unit_path(facts: Facts, unit: str) -> str:
    """Return where the unit file belongs."""
    if facts.systemd == "system":
        return f"/etc/systemd/system/{unit}.service"
    return posixpath.join(facts.home, ".config/systemd/user", f"{unit}.service")


def unit_text(facts: Facts, program: Program) -> str:
    """Return the unit file."""
    command = " ".join(_quote(word) for word in program.argv)
    target = "multi-user.target" if facts.systemd == "system" else "default.target"
    return "\n".join(
        [
            "[Unit]",
            f"Description=RingRift {program.name} of {program.host}".replace("%", "%%"),
            "StartLimitIntervalSec=0",
            "[Service]",
            f"ExecStart={command}",
            "Restart=always",
            "RestartSec=2",
            f"KillMode={program.kill_mode}",
            f"TimeoutStopSec={program.stop_seconds + 10:.0f}",
            "[Install]",
            f"WantedBy={target}",
            "",
        ]
    )


def _systemctl(facts: Facts) -> tuple[str, ...]:
    if facts.systemd == "system":
        return ("systemctl",)
    return ("env", f"XDG_RUNTIME_DIR=/run/user/{facts.uid}", "systemctl", "--user")


def _quote(word: str) -> str:
    """Quote one word of ExecStart: systemd expands % and $ and understands backslashes inside quotes."""
    escaped = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", "$$")
    return f'"{escaped}"'
