"""A host as a model: folders, files, links, packages, services. It carries out the commands of steps and
answers a look with facts, in memory and exactly, so that ten thousand hosts are provisioned in a minute.

`do` refuses a command that could not work on a real host, such as a program of a release that is not there.
"""

from __future__ import annotations

import copy
import json
import posixpath
from dataclasses import dataclass, field
from typing import Any

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from hosts import layout
from hosts.facts import Facts
from hosts.steps import agent_service, launchd, supervised, systemd, warmup
from hosts.steps.agent_config import token_digest
from hosts.steps.commands import Command, Link, Merge, Mkdir, PutFile, Remove, Run, Unpack
from hosts.steps.wish import Wish


@dataclass
class ModelHost:
    """What a look at a host can tell apart. `releases` is in the order of making; the value: intact."""

    root: str
    uid: int = 1000
    os: str = "Linux"
    arch: str = "x86_64"
    systemd: str = "none"
    cron: list[str] | None = None
    base_python: str = ""
    base_venv: bool = True
    environment: dict[str, str] | None = None
    """Packages of `env/`; None where it does not stand."""
    named: dict[str, dict[str, str]] = field(default_factory=dict)
    """Interpreters that somebody else made, and their packages."""
    folders: dict[str, int] = field(default_factory=dict)
    files: dict[str, tuple[str, int]] = field(default_factory=dict)
    links: dict[str, str] = field(default_factory=dict)
    releases: dict[str, bool] = field(default_factory=dict)
    supervised: dict[str, dict[str, Any]] = field(default_factory=dict)
    units: dict[str, tuple[str, bool]] = field(default_factory=dict)
    """Unit -> the text that its program was started with, and whether it runs."""
    identity: str | None = None
    """SHA-256 of the token by which the agent was enrolled."""
    compiled: int = 0

    @property
    def home(self) -> str:
        return "/root" if self.uid == 0 else "/home/ops"

    def copy(self) -> ModelHost:
        return copy.deepcopy(self)

    def enrol_if_possible(self) -> None:
        """Do what the agent does with a token that waits for it."""
        path = f"{self.root}/agent/agent.json"
        settings = self._document(path)
        if settings and "token" in settings:
            self.identity = token_digest(settings.pop("token"))
            self.files[path] = (json.dumps(settings), self.files[path][1])

    def look(self, wish: Wish) -> Facts:
        """Answer as `hosts/probe.py` does."""
        found = self._interpreter(wish)
        base: dict[str, Any] = {
            "os": self.os,
            "arch": self.arch,
            "user": "root" if self.uid == 0 else "ops",
            "uid": self.uid,
            "home": self.home,
            "root": self.root,
        }
        if found is None:
            return Facts.model_validate(base)
        which, python, packages = found
        settings = self._document(f"{self.root}/agent/agent.json") or {}
        token = settings.get("token")
        unit = agent_service.unit(wish.host)
        text = self.files.get(self._unit_path(unit))
        boot = self.files.get(f"{layout.services(self.root)}/{agent_service.NAME}.boot")
        asked = {Requirement(text).name for text in wish.requirements} | {"pip", "numba"}
        return Facts.model_validate(
            {
                **base,
                "systemd": self.systemd,
                "cron": self.cron if self.os == "Linux" and self.systemd == "none" else None,
                "base_python": python if which == "base" else "",
                "base_venv": which == "base" and self.base_venv,
                "own_python": which == "own",
                "named_python": which == "named",
                "interpreter": {
                    "python": python,
                    "version": "3.11.9",
                    "markers": {"sys_platform": "darwin" if self.os == "Darwin" else "linux"},
                    "packages": {name: packages.get(name) for name in asked},
                },
                "releases": tuple(self.releases),
                "previous_release": self.links.get(layout.previous_release(self.root)),
                "used": self._used(),
                "release_intact": self.releases.get(wish.release, False),
                "modes": {
                    name: self.folders.get(posixpath.join(self.root, name) if name else self.root)
                    for name in layout.FOLDERS
                },
                "warm": self._document(layout.warm_stamp(self.root, wish.kernels)),
                "agent": {
                    "enrolled": self.identity is not None,
                    "identity_token": self.identity,
                    "host": settings.get("host"),
                    "release": settings.get("release"),
                    "python": settings.get("python"),
                    "token": token_digest(token) if token else None,
                    "mode": self.files.get(f"{self.root}/agent/agent.json", ("", None))[1],
                },
                "unit": text and {"text": text[0], "state": self._state(unit)},
                "supervised": self.supervised.get(agent_service.NAME),
                "boot_script": boot and boot[0],
            }
        )

    def do(self, command: Command) -> None:
        """Carry a command out, or fail as a real host would."""
        match command:
            case Mkdir(path, mode):
                self.folders[path] = mode
            case PutFile(path, content, mode):
                self._write(path, content, mode)
            case Merge(path, values, mode):
                self._write(path, json.dumps({**(self._document(path) or {}), **dict(values)}), mode)
            case Unpack(_, path, _):
                self._require_folder(path)
                self.releases.pop(posixpath.basename(path), None)
                self.releases[posixpath.basename(path)] = True
            case Link(path, target):
                self._require_folder(path)
                self.links[path] = target
            case Remove(path):
                self.releases.pop(posixpath.basename(path), None)
                self.files.pop(path, None)
            case Run(argv, env):
                self._run(argv, dict(env))
            case _:
                raise AssertionError(f"provisioning does not ask for {command}")

    def half(self, command: Command) -> None:
        """Leave what a command leaves when the power fails in its middle."""
        if isinstance(command, Run) and "venv" in command.argv:
            self.environment = {}
        elif isinstance(command, Run) and "pip" in command.argv:
            self._run(command.argv[:-1], {})
        elif isinstance(command, Run) and "restart" in command.argv:
            unit = command.argv[-1].removesuffix(".service")
            self.units[unit] = ("", False)

    def _run(self, argv: tuple[str, ...], env: dict[str, str]) -> None:
        words = list(argv)
        if "systemctl" in words:
            self._systemctl(words[words.index("systemctl") + 1 :])
        elif words[:2] == ["sh", "-c"]:
            self._shell(words[2], words[4:])
        elif words[1:4] == ["-I", "-m", "venv"]:
            assert words[0] == self.base_python
            assert self.base_venv
            self.environment = {"pip": "25.0"}
        else:
            self._python(words, env)

    def _python(self, words: list[str], env: dict[str, str]) -> None:
        own = layout.environment_python(self.root)
        packages = self.environment if words[0] == own else self.named.get(words[0])
        assert packages is not None, f"there is no {words[0]}"
        if words[1:4] == ["-I", "-m", "ensurepip"]:
            packages["pip"] = "25.0"
        elif words[1:4] == ["-I", "-m", "pip"]:
            assert "pip" in packages, "pip is not there"
            for text in words[words.index("--") + 1 :]:
                packages[Requirement(text).name] = oldest(Requirement(text).specifier)
        elif words[1:4] == ["-I", "-c", warmup.STAMP]:
            stamp = {"python": words[5], "arch": words[6], "numba": packages.get("numba")}
            self._write(words[4], json.dumps(stamp), 0o644)
        else:
            release = posixpath.basename(env["PYTHONPATH"])
            assert self.releases.get(release), f"release {release} is not there as it should be"
            self._module(words[2], words[3:])

    def _module(self, module: str, words: list[str]) -> None:
        if module == warmup.MODULE:
            self.compiled += 1
            return
        assert module == "agents.supervisor"
        verb, name = words[0], words[4]
        assert words[1:4] == ["--dir", layout.services(self.root), "--name"]
        self._require_folder(layout.services(self.root) + "/x")
        if verb == "stop":
            self.supervised[name] = {**self.supervised[name], "state": "stopped"}
        else:
            self.supervised[name] = {"state": "running", "argv": words[words.index("--") + 1 :]}

    def _systemctl(self, words: list[str]) -> None:
        assert self.systemd != "none"
        assert ("--user" in words) == (self.systemd == "user")
        words = [word for word in words if word not in ("--user", "--now")]
        unit = words[-1].removesuffix(".service")
        if words[0] == "disable":
            self.units.pop(unit, None)
        elif words[0] == "stop":
            self.units[unit] = ("", False)
        elif words[0] == "restart":
            self.units[unit] = (self.files[self._unit_path(unit)][0], True)
        else:
            assert words[0] in ("daemon-reload", "enable")

    def _shell(self, script: str, words: list[str]) -> None:
        if script == supervised.SCHEDULE:
            assert self.cron is not None
            self.cron = [line for line in self.cron if words[0] not in line] + [words[1]]
        elif script == launchd.LOAD:
            self.units[words[1]] = (self.files[words[2]][0], True)
        else:
            assert script == launchd.UNLOAD
            self.units.pop(words[1], None)

    def _interpreter(self, wish: Wish) -> tuple[str, str, dict[str, str]] | None:
        if wish.python:
            packages = self.named.get(wish.python)
            return None if packages is None else ("named", wish.python, packages)
        if self.environment is not None:
            return "own", layout.environment_python(self.root), self.environment
        return ("base", self.base_python, {}) if self.base_python else None

    def _unit_path(self, unit: str) -> str:
        facts = Facts(
            os=self.os, arch="", user="", uid=self.uid, home=self.home, root=self.root, systemd=self.systemd
        )
        return launchd.plist_path(facts, unit) if self.os == "Darwin" else systemd.unit_path(facts, unit)

    def _state(self, unit: str) -> str:
        return "active" if self.units.get(unit, ("", False))[1] else "inactive"

    def _used(self) -> list[tuple[str, str]]:
        found = [(name, " ".join(state["argv"])) for name, state in self.supervised.items()]
        found += [
            (posixpath.basename(path).rpartition(".")[0], text) for path, (text, _) in self.files.items()
        ]
        return [(name, text.partition("/releases/")[2][:12]) for name, text in found if "/releases/" in text]

    def _document(self, path: str) -> dict[str, Any] | None:
        try:
            value = json.loads(self.files[path][0])
        except (KeyError, ValueError):
            return None
        return value if isinstance(value, dict) else None

    def _write(self, path: str, content: str, mode: int) -> None:
        self._require_folder(path)
        self.files[path] = (content, mode)

    def _require_folder(self, path: str) -> None:
        assert posixpath.dirname(path) in self.folders, f"there is no folder for {path}"


def oldest(specifier: SpecifierSet) -> str:
    """Return a version that the specifier allows."""
    bounds = [one.version for one in specifier if one.operator in (">=", "==")]
    return bounds[0] if bounds else "1.0"
