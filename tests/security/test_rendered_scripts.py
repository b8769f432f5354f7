"""Hostile names, paths and log lines through every script and unit file that we render: no canary appears.

Each word would, in the hands of a careless shell, make the file CANARY in the current folder. The programs
that a host has (`systemctl`, `launchctl`, `crontab`, Python) are stand-ins that note their arguments.
"""

from __future__ import annotations

import json
import os
import plistlib
import re
import shlex
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from hosts import files, tunnel
from hosts.apply_script import do
from hosts.fact_script import SCRIPT
from hosts.facts import Facts
from hosts.layout import FOLDERS, check_root
from hosts.provision import STEPS
from hosts.remote import quote
from hosts.steps import launchd, service, supervised, systemd, target
from hosts.steps.commands import Command, Link, Merge, Mkdir, PutFile, Remove, Run, Unpack, wire
from hosts.steps.program import Program
from hosts.steps.wish import Wish
from ringrift.control.domain.ports import DeployOrder
from ringrift.errors import BadInput
from tests.hosts.test_steps import BASE, merged

WORDS = {
    "command": "a; touch CANARY",
    "and": "a && touch CANARY #",
    "substitution": "$(touch CANARY)",
    "backticks": "`touch CANARY`",
    "option": "-oProxyCommand=touch CANARY",
    "single quote": "it's'; touch CANARY; '",
    "double quotes": 'a"; touch CANARY; "',
    "backslash": "a\\'; touch CANARY; \\",
    "per cent": "100%n %h %% %",
    "variables": "$HOME ${IFS} $1 $$",
    "globs": "* ? [a] ~ {a,b}",
    "escapes": "\x1b]0;owned\x07\x1b[2J",
    "markup": "<key>&amp;]]>--",
    "letters": "é☃ \u202e",
    "newline": "a\ntouch CANARY\n",
    "carriage return": "a\r* * * * * touch CANARY\r",
}
STAND_IN = """#!/bin/sh
[ "$1" != -l ] || {{ cat {table} 2>/dev/null; exit; }}
[ "$1" != - ] || {{ cat > {table}.new; mv {table}.new {table}; exit; }}
for word; do printf '%s\\0' "$word"; done >> {log}
"""
KEEPERS = {
    "systemd of the user": {"systemd": "user"},
    "systemd of the system": {"systemd": "system", "uid": 0},
    "launchd": {"os": "Darwin"},
    "our own": {"cron": []},
}


class Scratch:
    """A folder with stand-ins; programs are run in it, and nowhere else does anything happen."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.log, self.table = folder, folder / "log", folder / "table"
        self.work = folder / "work"
        self.work.mkdir()
        for name in ("systemctl", "launchctl", "crontab"):
            self.stand_in(folder / "bin" / name)

    def stand_in(self, path: Path) -> Path:
        """Put a program there that notes its arguments and knows a crontab."""
        path.parent.mkdir(exist_ok=True, parents=True)
        places = {"log": shlex.quote(str(self.log)), "table": shlex.quote(str(self.table))}
        path.write_text(STAND_IN.format(**places))
        path.chmod(0o755)
        return path

    def python(self, word: str) -> Path:
        """Put an interpreter there; what has a = in its path is refused."""
        return self.stand_in(self.folder / "py" / word.replace("=", ":"))

    def noted(self) -> list[str]:
        """Return the arguments that stand-ins were given since the last time."""
        text = self.log.read_bytes().decode() if self.log.exists() else ""
        self.log.unlink(missing_ok=True)
        return text.split("\0")[:-1]

    def sh(self, script: str, *words: str, stdin: str = "") -> str:
        """Run a script here; return what it printed."""
        self.parses(script)
        done = subprocess.run(
            ["sh", "-c", script, "sh", *words], cwd=self.work, input=stdin, capture_output=True, text=True
        )
        return done.stdout

    def parses(self, script: str) -> None:
        subprocess.run(["sh", "-n"], input=script, text=True, check=True, capture_output=True)

    def clean(self) -> bool:
        """Tell whether no word was taken for a command."""
        return not [path for path in self.folder.rglob("*") if path.name.startswith("CANARY")]


@pytest.fixture
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Scratch:
    made = Scratch(tmp_path)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(made.work)
    return made


def facts_of(scratch: Scratch, word: str, **changes: object) -> Facts:
    """A host whose home and folder, and all that it tells of itself, have the word in them."""
    told = {"home": f"{scratch.folder}/{word}", "root": f"{scratch.folder}/{word}/root", "user": word}
    told["modes"] = dict.fromkeys(FOLDERS)
    told |= {"releases": [word, "r1"], "agent": {"release": word, "host": word}, "release_intact": False}
    return Facts.model_validate(merged(BASE["facts"], {**told, **changes}))


def wish_of(scratch: Scratch, word: str) -> Wish:
    wish = Wish(**{**BASE["wish"], "requirements": (), "host": word, "token": word, "release": word})
    return replace(wish, python=str(scratch.python(word)), kernels=word)


def planned(facts: Facts, wish: Wish) -> list[Command]:
    """Return what every step asks for, those of a target too."""
    order = DeployOrder(wish.host, 9000, wish.host, 1, (), "{}", "signed", "trusted")
    facts = facts.model_copy(update={"named_python": True})
    commands = [command for step in STEPS.values() for command in step(facts, wish)]
    commands += target.plan_models(facts, order) + target.plan_swap(facts, order)
    return commands + target.plan_service(facts, wish, order)


def controls(word: str) -> bool:
    return any(ord(char) < 32 for char in word)


@pytest.mark.parametrize("keeper", KEEPERS)
@pytest.mark.parametrize("what", WORDS)
def test_no_step_lets_a_word_become_a_command(what: str, keeper: str, scratch: Scratch) -> None:
    word = WORDS[what]
    facts, wish = facts_of(scratch, word, **KEEPERS[keeper]), wish_of(scratch, word)
    if controls(word):
        with pytest.raises(BadInput, match="control character"):
            planned(facts, wish)
        return
    commands = planned(facts, wish)
    assert {Mkdir, PutFile, Merge, Link, Run, Remove, Unpack} - {type(item) for item in commands} <= {Remove}
    for command in commands:
        inside = isinstance(command, Run) or str(getattr(command, "path", "")).startswith(str(scratch.folder))
        if isinstance(command, Run) and command.argv[:2] == ("sh", "-c"):
            scratch.parses(command.argv[2])
            assert word not in command.argv[2], "a script is one text, and words are its arguments"
        if inside and not isinstance(command, Unpack):
            do(json.loads(json.dumps(wire(command))), {})
    assert scratch.clean()


@pytest.mark.parametrize("what", [what for what, word in WORDS.items() if not controls(word)])
def test_what_runs_at_a_reboot_is_given_each_word_as_it_is(what: str, scratch: Scratch) -> None:
    word = WORDS[what]
    facts, python = facts_of(scratch, word, cron=[]), scratch.python(word)
    program = Program(word, word, f"u-{word}", (("ODD", word),), (str(python), word), 3.0)
    Path(facts.root, "run", "services").mkdir(parents=True)
    for command in supervised.plan(facts, program, word, hook=True):
        do(json.loads(json.dumps(wire(command))), {})
    started = scratch.noted()
    assert started[-1] == word and f"ODD={word}" in started and facts.root + "/run/services" in started
    [boot] = Path(facts.root, "run", "services").glob("*.boot")
    scratch.parses(boot.read_text())
    [line] = scratch.table.read_text().splitlines()
    when, _, command = line.partition(" ")
    assert when == "@reboot" and "%" not in command.replace("\\%", "")
    scratch.sh(command.replace("\\%", "%"))
    assert scratch.noted() == started and scratch.clean()


UNIT_LINES = re.compile(
    r"\[(Unit|Service|Install)\]|Description=RingRift .*|StartLimitIntervalSec=0|ExecStart=(\".*\")"
    r"|Restart=always|RestartSec=2|KillMode=control-group|TimeoutStopSec=\d+|WantedBy=[a-z-]+\.target"
)


@pytest.mark.parametrize("what", [what for what, word in WORDS.items() if not controls(word)])
def test_a_unit_has_our_lines_only_and_expands_nothing(what: str, scratch: Scratch) -> None:
    word = WORDS[what]
    facts = facts_of(scratch, word, systemd="user")
    program = Program(word, "agent", "u", (("ODD", word),), ("/py", word), 3.0)
    lines = systemd.unit_text(facts, program).split("\n")
    assert lines.pop() == "" and len(lines) == 11 and all(map(UNIT_LINES.fullmatch, lines)), lines
    assert "%" not in lines[1].replace("%%", "")
    [start] = [line.removeprefix("ExecStart=") for line in lines if line.startswith("ExecStart=")]
    read = [_unquoted(part) for part in re.findall(r'"((?:[^"\\]|\\.)*)"', start)]
    assert tuple(read) == program.argv
    held = plistlib.loads(launchd.plist(facts, program).encode())
    assert held["ProgramArguments"] == ["/py", word]


def _unquoted(text: str) -> str:
    """Read a quoted word as systemd does."""
    text = re.sub(r"\\(.)", r"\1", text)
    return text.replace("%%", "%").replace("$$", "$")


@pytest.mark.parametrize("what", WORDS)
def test_the_scripts_that_look_forward_and_hash_take_words_as_arguments(what: str, scratch: Scratch) -> None:
    word = WORDS[what]
    python = scratch.python(word)
    scratch.parses(SCRIPT)
    for root, named in ((f"~/{word}", str(python)), (word, ""), (f"{scratch.folder}/{word}", word)):
        line = quote(["sh", "-s", "--", "nonce", root, named, word, word])
        done = subprocess.run(["sh", "-c", line], input=SCRIPT, capture_output=True, text=True)
        lines = done.stdout.splitlines()
        assert "ringrift-facts-begin nonce" in lines and lines[-1] == "ringrift-facts-end nonce"
    root = Path(f"{scratch.folder}/{word}")
    told = scratch.sh(tunnel._PREPARE, "mark", str(root), f"t-{word}.sock")
    if not controls(word):
        assert f"mark {root}/run\n" in told and (root / "run").is_dir()
        record = json.dumps({"uds": f"{root}/run/t-{word}.sock"})
        scratch.sh(tunnel._PUBLISH, f"{root}/run", f"{root}/run/t-{word}.sock", record)
        assert (root / "run" / "controller.json").read_text() == record + "\n"
    (scratch.work / "file").write_text("x")
    scratch.sh(files._SHA256, word)
    for script in (launchd.UNLOAD, launchd.LOAD.replace("sleep 2", ":")):
        scratch.sh(script, f"user/{word}", word, word)
        assert word in " ".join(scratch.noted())
    assert scratch.clean()


@pytest.mark.parametrize("odd", ["/a=b/python", "/a\nb", "/a\x1b"])
def test_an_interpreter_that_env_or_a_unit_would_misread_is_refused(odd: str) -> None:
    with pytest.raises(BadInput):
        Program("alpha", "agent", "u", (), (odd,), 3.0)


@pytest.mark.parametrize(
    "root", ["a\nb", "/a\rb", "/a\x1b[2J", "/a/../etc", "/", "-oProxyCommand=x", "$(id)"]
)
def test_a_folder_that_no_script_could_use_is_refused(root: str) -> None:
    with pytest.raises(BadInput):
        check_root(root)


def test_the_canary_sings_where_a_shell_is_careless(scratch: Scratch) -> None:
    subprocess.run(f"echo {WORDS['substitution']}", shell=True, check=True)
    assert not scratch.clean()
    assert service.keeper(facts_of(scratch, "x"), wish_of(scratch, "x")) == "supervisor"
