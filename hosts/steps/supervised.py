"""A program kept running by `agents.supervisor`, where the host has no service manager that we can use.

A reboot ends it. Where there is a crontab a line of it starts the program again; nothing else of the login
user's is touched.
"""

from __future__ import annotations

import posixpath
import shlex

from hosts import layout
from hosts.facts import Facts
from hosts.steps.commands import Command, PutFile, Run
from hosts.steps.program import Program

SECONDS = 120.0
"""`start` may first have to stop another program: 15 s for a competing start, 40 s grace, a slow host."""
SCHEDULE = '{ crontab -l 2>/dev/null | grep -vF -- "$1"; printf "%s\\n" "$2"; } | crontab -'


def plan(facts: Facts, program: Program, release: str, *, hook: bool) -> list[Command]:
    """Have exactly this program running and, with `hook`, started after a reboot where there is a crontab."""
    grace = ("--grace", f"{program.stop_seconds:.0f}")
    rest = ("start", program.name, *grace, "--", *program.argv)
    start = _supervise(facts, program.command[0], release, *rest)
    running = facts.supervised
    stands = running is not None and (running.state, running.argv) == ("running", program.argv)
    commands: list[Command] = [] if stands else [start]
    if hook and facts.cron is not None:
        commands += _after_reboot(facts, program, start)
    return commands


def restart(facts: Facts, name: str) -> list[Command]:
    """Start a program that was set up before anew, as it was; nothing when there is none."""
    if facts.supervised is None or not facts.supervised.argv or not facts.releases:
        return []
    return [_again(facts, "stop", name), _again(facts, "start", name, "--", *facts.supervised.argv)]


def stop(facts: Facts, name: str, python: str, release: str) -> list[Command]:
    """End the program by the supervisor of a release; nothing where it does not run."""
    if facts.supervised is None or facts.supervised.state == "stopped":
        return []
    return [_supervise(facts, python, release, "stop", name)]


def put_back(facts: Facts, before: Facts, name: str) -> list[Command]:
    """Have the program running again that ran `before`; nothing when it is what runs, or none ran."""
    ran = before.supervised
    if ran is None or ran.state == "stopped" or not ran.argv:
        return []
    if facts.supervised is not None and facts.supervised.argv == ran.argv:
        return []
    return [_again(facts, "start", name, "--", *ran.argv)]


def mark(unit: str) -> str:
    """Return the end of our line in a crontab, by which it is found again."""
    return _escaped(f"# ringrift {unit} #")


def _after_reboot(facts: Facts, program: Program, start: Run) -> list[Command]:
    """Have a script that starts the program, and a crontab line that runs it at a reboot."""
    path = posixpath.join(layout.services(facts.root), f"{program.name}.boot")
    words = shlex.join(["env", *(f"{key}={value}" for key, value in start.env), *start.argv])
    script, ours = f"exec {words}\n", mark(program.unit)
    line = f"{_escaped(f'@reboot /bin/sh {shlex.quote(path)}')} {ours}"
    commands: list[Command] = []
    if facts.boot_script != script:
        commands.append(PutFile(path, script, 0o700))
    if [known for known in facts.cron or () if known.endswith(ours)] != [line]:
        commands.append(Run(("sh", "-c", SCHEDULE, "sh", ours, line)))
    return commands


def _escaped(text: str) -> str:
    """Return text for a crontab: there % means the end of the line, quoted or not."""
    return text.replace("%", "\\%")


def _again(facts: Facts, verb: str, name: str, *rest: str) -> Run:
    """Call the supervisor of the newest release that stands on the host."""
    assert facts.interpreter is not None, "what runs there was started by a Python"
    return _supervise(facts, facts.interpreter.python, facts.releases[-1], verb, name, *rest)


def _supervise(facts: Facts, python: str, release: str, verb: str, name: str, *rest: str) -> Run:
    place = ("--dir", layout.services(facts.root), "--name", name)
    program = (python, "-m", "agents.supervisor", verb, *place, *rest)
    return Run(program, (("PYTHONPATH", layout.release(facts.root, release)),), SECONDS)
