"""A program kept running by launchd on a Mac: a LaunchDaemon for root, else a LaunchAgent of the user.

A LaunchAgent here is of the session type `Background`, so that it needs nobody at the screen: launchd loads
it in the domain `user/UID` when that user first logs in after a start of the machine, over SSH too.
"""

from __future__ import annotations

import plistlib
import posixpath
from typing import Any

from hosts import layout
from hosts.facts import Facts
from hosts.steps.commands import Command, Mkdir, PutFile, Remove, Run
from hosts.steps.program import Program

SECONDS = 120.0
UNLOAD = 'launchctl bootout "$1/$2" 2>/dev/null; true'
"""It fails where the job is not loaded."""
LOAD = """
launchctl enable "$1/$2"
for attempt in 1 2 3 4 5 6 7 8 9 10; do
  launchctl bootstrap "$1" "$3" && exit 0
  sleep 2
done
exit 1
"""
"""`bootout` returns before the old program has ended, and until then `bootstrap` fails."""


def plan(facts: Facts, program: Program) -> list[Command]:
    """Have the property list installed and its program running."""
    text = plist(facts, program)
    if facts.unit is not None and (facts.unit.text, facts.unit.state) == (text, "active"):
        return []
    return install(facts, program.unit, text)


def install(facts: Facts, unit: str, text: str) -> list[Command]:
    """Write the property list and start its program anew.

    The old program is ended first: one that goes on under a new text could not be told from the new one.
    """
    path = plist_path(facts, unit)
    load = ("sh", "-c", LOAD, "sh", domain(facts), unit, path)
    return [
        _unload(facts, unit),
        Mkdir(posixpath.dirname(path)),
        PutFile(path, text),
        Run(load, seconds=SECONDS),
    ]


def restart(facts: Facts, unit: str) -> list[Command]:
    """Start the program anew."""
    return [Run(("launchctl", "kickstart", "-k", f"{domain(facts)}/{unit}"), seconds=SECONDS)]


def remove(facts: Facts, unit: str) -> list[Command]:
    """End the program and forget it."""
    return [_unload(facts, unit), Remove(plist_path(facts, unit))]


def domain(facts: Facts) -> str:
    """Return the launchd domain of the login user's programs."""
    return "system" if facts.uid == 0 else f"user/{facts.uid}"


def plist_path(facts: Facts, unit: str) -> str:
    """Return where the property list belongs."""
    folder = (
        "/Library/LaunchDaemons" if facts.uid == 0 else posixpath.join(facts.home, "Library/LaunchAgents")
    )
    return posixpath.join(folder, f"{unit}.plist")


def plist(facts: Facts, program: Program) -> str:
    """Return the property list. `ExitTimeOut` counts seconds from SIGTERM to SIGKILL."""
    log = posixpath.join(layout.services(facts.root), f"{program.name}.log")
    content: dict[str, Any] = {
        "Label": program.unit,
        "ProgramArguments": list(program.command),
        "EnvironmentVariables": dict(program.environment),
        "WorkingDirectory": facts.root,
        "RunAtLoad": True,
        "KeepAlive": True,
        "ThrottleInterval": 10,
        "ExitTimeOut": int(program.stop_seconds + 10),
        "StandardOutPath": log,
        "StandardErrorPath": log,
    }
    if facts.uid != 0:
        content["LimitLoadToSessionType"] = "Background"
    return plistlib.dumps(content, sort_keys=True).decode()


def _unload(facts: Facts, unit: str) -> Run:
    return Run(("sh", "-c", UNLOAD, "sh", domain(facts), unit))
