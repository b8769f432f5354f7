"""Who keeps programs running on a host: chosen from facts; launchd's property lists; cron's line for real."""

from __future__ import annotations

import json
import os
import plistlib
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from test_steps import BASE, CASES, Case, merged

from hosts.apply_script import do
from hosts.facts import Facts
from hosts.steps import launchd, service, supervised
from hosts.steps.commands import PutFile, Run, wire
from hosts.steps.program import Program
from hosts.steps.wish import Wish

REPOSITORY = Path(__file__).resolve().parents[2]
CHOICES = {
    "root with systemd": ({"systemd": "system", "uid": 0}, True, "systemd", True),
    "user with linger": ({"systemd": "user"}, True, "systemd", True),
    "user without linger": ({"systemd": "none"}, True, "supervisor", False),
    "root in a container": ({"uid": 0}, True, "supervisor", False),
    "container with a crontab": ({"uid": 0, "cron": []}, True, "supervisor", True),
    "Mac": ({"os": "Darwin", "arch": "arm64"}, True, "launchd", True),
    "switched off": ({"systemd": "system", "uid": 0, "cron": []}, False, "supervisor", False),
    "switched off on a Mac": ({"os": "Darwin"}, False, "supervisor", False),
}


def facts_with(**changes: object) -> Facts:
    return Facts.model_validate(merged(BASE["facts"], changes))


@pytest.mark.parametrize("name", CHOICES)
def test_the_keeper_and_whether_a_reboot_is_survived_follow_from_the_facts(name):
    changes, allowed, keeper, survives = CHOICES[name]
    wish = Wish(**{**BASE["wish"], "requirements": (), "systemd": allowed})
    facts = facts_with(**changes)
    assert (service.keeper(facts, wish), service.survives_reboot(facts, wish)) == (keeper, survives)


PLISTS = [
    path.relative_to(CASES).with_suffix("").as_posix() for path in sorted(CASES.glob("*_service/mac_*.json"))
]
KEYS: dict[str, type] = {
    "Label": str,
    "ProgramArguments": list,
    "EnvironmentVariables": dict,
    "WorkingDirectory": str,
    "RunAtLoad": bool,
    "KeepAlive": bool,
    "ThrottleInterval": int,
    "ExitTimeOut": int,
    "StandardOutPath": str,
    "StandardErrorPath": str,
}
"""launchd.plist(5): every key that we use, and its type."""


def written(name: str) -> list[dict[str, str]]:
    return [command for command in Case(name).content["commands"] if command["do"] == "PutFile"]


@pytest.mark.parametrize("name", [name for name in PLISTS if written(name)])
def test_every_property_list_holds_exactly_what_launchd_knows(name):
    [command] = written(name)
    content = plistlib.loads(command["content"].encode(), fmt=plistlib.FMT_XML)
    assert plistlib.dumps(content, sort_keys=True).decode() == command["content"]
    session = content.pop("LimitLoadToSessionType", None)
    assert {key: type(value) for key, value in content.items()} == KEYS
    assert command["path"].endswith(f"/{content['Label']}.plist")
    daemon = command["path"].startswith("/Library/LaunchDaemons/")
    assert session == (None if daemon else "Background")
    texts = [*content["ProgramArguments"], *content["EnvironmentVariables"].values()]
    assert all(isinstance(text, str) and text for text in texts)
    assert content["ProgramArguments"][0].startswith("/")
    assert all(
        content[key].startswith("/") for key in ("WorkingDirectory", "StandardOutPath", "StandardErrorPath")
    )


@pytest.mark.parametrize("odd", ["<key>&\"'", "$(id) `id` %d", "a b\tc", "é☃"])
def test_odd_characters_reach_launchd_as_they_are(odd):
    program = Program("alpha", "agent", "ringrift-agent-alpha", (("ODD", odd),), ("/py", odd), 10.0)
    content = plistlib.loads(launchd.plist(facts_with(os="Darwin"), program).encode())
    assert (content["ProgramArguments"], content["EnvironmentVariables"]) == (["/py", odd], {"ODD": odd})


CRONTAB = """#!/bin/sh
# A stand-in for crontab(1) with its table in a file.
case $1 in
  -l) if [ -e "$0.table" ]; then cat "$0.table"; else echo "no crontab for you" >&2; exit 1; fi ;;
  -) cat > "$0.new" && mv "$0.new" "$0.table" ;;
esac
"""


@pytest.fixture
def crontab(tmp_path, monkeypatch) -> Path:
    """Put a stand-in for crontab on the PATH; return the file of its table."""
    program = tmp_path / "bin" / "crontab"
    program.parent.mkdir()
    program.write_text(CRONTAB)
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    return program.with_name("crontab.table")


def as_cron_would(line: str) -> list[str]:
    """Return the command of a line: cron cuts it at % unless that is escaped."""
    when, _, command = line.partition(" ")
    assert when == "@reboot"
    assert "%" not in command.replace("\\%", "")
    return ["/bin/sh", "-c", command.replace("\\%", "%")]


def supervisor(root: Path, verb: str) -> dict:
    place = ["--dir", str(root / "run" / "services"), "--name", "agent"]
    command = [sys.executable, "-m", "agents.supervisor", verb, "--grace", "3", *place]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def test_after_a_reboot_cron_starts_the_program_and_other_lines_of_the_table_stay(tmp_path, crontab):
    root = tmp_path / "50% of 'it'; $(touch owned)"
    (root / "run" / "services").mkdir(parents=True)
    (root / "releases").mkdir()
    (root / "releases" / "r1").symlink_to(REPOSITORY)
    crontab.write_text("@daily backup\n@reboot /bin/sh /old/agent.boot # ringrift ringrift-agent-alpha #\n")
    facts = facts_with(root=str(root), cron=crontab.read_text().splitlines()[1:])
    sleep = (sys.executable, "-c", "import time; time.sleep(3600)")
    program = Program("alpha", "agent", "ringrift-agent-alpha", (("ODD", "a % b"),), sleep, 3.0)
    commands = supervised.plan(facts, program, "r1", hook=True)
    assert [type(command) for command in commands] == [Run, PutFile, Run]
    for command in commands:
        do(json.loads(json.dumps(wire(command))), {})
    lines = crontab.read_text().splitlines()
    assert (lines[0], len(lines)) == ("@daily backup", 2)
    try:
        assert supervisor(root, "stop")["state"] == "stopped"
        bare = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path)}
        subprocess.run(as_cron_would(lines[1]), env=bare, cwd=tmp_path, check=True, stdout=subprocess.DEVNULL)
        status = supervisor(root, "status")
        assert (status["state"], tuple(status["argv"])) == ("running", program.argv)
    finally:
        supervisor(root, "stop")
    assert not (tmp_path / "owned").exists()
    boot = (root / "run" / "services" / "agent.boot").read_text()
    running = {"state": "running", "argv": program.argv}
    again = facts_with(root=str(root), cron=[lines[1]], boot_script=boot, supervised=running)
    assert supervised.plan(again, program, "r1", hook=True) == []
    assert shlex.split(boot)[0] == "exec"
