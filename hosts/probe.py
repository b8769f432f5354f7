"""The Python part of looking at a host. It is sent there as text and prints one line of JSON.

Standard library only, no backslash in its text (it travels through a login shell), and it changes nothing.
Arguments: a JSON object with what to look at (`hosts.facts.Question`), the absolute root folder, and which
systemd can be used: system, user or none. It ends with 1 where Python is older than 3.11.
"""

from __future__ import annotations

import base64
import contextlib
import csv
import hashlib
import io
import json
import os
import platform
import runpy
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Any


def read(*parts: Any) -> bytes | None:
    try:
        with root.joinpath(*parts).open("rb") as file:
            return file.read(1 << 20)
    except OSError:
        return None


def document(*parts: Any) -> dict[str, Any] | None:
    try:
        value = json.loads((read(*parts) or b"null").decode())
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def digest(*parts: Any) -> str | None:
    total = hashlib.sha256()
    try:
        with root.joinpath(*parts).open("rb") as file:
            for block in iter(lambda: file.read(1 << 20), b""):
                total.update(block)
    except OSError:
        return None
    return total.hexdigest()


def mode(*parts: Any) -> int | None:
    try:
        return root.joinpath(*parts).stat().st_mode & 0o777
    except OSError:
        return None


def folders(*parts: Any) -> list[str]:
    try:
        with os.scandir(root.joinpath(*parts)) as entries:
            return sorted(entry.name for entry in entries if entry.is_dir(follow_symlinks=False))
    except OSError:
        return []


def version_of(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def intact() -> bool:
    """Tell whether every file of the release has the hash that its RECORD gives."""
    try:
        with (root / release / wish["record"]).open(newline="") as file:
            rows = [row for row in csv.reader(file) if row[1]]
    except OSError:
        return False
    for path, expected, _ in rows:
        found = bytes.fromhex(digest(release, path) or "")
        if expected != "sha256=" + base64.urlsafe_b64encode(found).decode().rstrip("="):
            return False
    return bool(rows)


def markers() -> dict[str, str]:
    return {
        "implementation_name": sys.implementation.name,
        "implementation_version": platform.python_version(),
        "os_name": os.name,
        "platform_machine": platform.machine(),
        "platform_python_implementation": platform.python_implementation(),
        "platform_release": platform.release(),
        "platform_system": platform.system(),
        "platform_version": platform.version(),
        "python_full_version": platform.python_version(),
        "python_version": ".".join(platform.python_version_tuple()[:2]),
        "sys_platform": sys.platform,
    }


def agent() -> dict[str, Any]:
    """Tell how the agent stands; a secret leaves the host only as its SHA-256."""
    config = document("agent", "agent.json") or {}
    identity = document("agent", "identity.json") or {}
    token = config.get("token")
    ours = ("host", "release", "python", "token")
    return {
        "enrolled": "agent" in identity and read("agent", "key") is not None,
        "identity_token": identity.get("token"),
        "host": config.get("host"),
        "release": config.get("release"),
        "python": config.get("python"),
        "kept": {key: value for key, value in config.items() if key not in ours},
        "token": hashlib.sha256(token.encode()).hexdigest() if isinstance(token, str) else None,
        "mode": mode("agent", "agent.json"),
    }


def unit() -> dict[str, str] | None:
    if not wish["unit"] or systemd == "none":
        return None
    name = wish["unit"] + ".service"
    if systemd == "user":
        path, scope = Path.home() / ".config/systemd/user" / name, ["--user"]
    else:
        path, scope = Path("/etc/systemd/system") / name, list[str]()
    content = read(path)
    if content is None:
        return None
    state = output(["systemctl", *scope, "is-active", name]) or "unknown"
    return {"text": content.decode(errors="replace"), "state": state}


def supervised() -> Any:
    """Return what the release's supervisor says of the service; it is run inside this process."""
    if not wish["service"] or not (root / release / "agents").is_dir():
        return None
    place = ["--dir", str(root / "run" / "services"), "--name", wish["service"]]
    sys.path.insert(0, str(root / release))
    sys.argv = ["supervisor", "status", *place]
    sys.dont_write_bytecode = True
    said = io.StringIO()
    # Its end is a SystemExit; what counts is what it printed.
    with contextlib.redirect_stdout(said), contextlib.suppress(Exception, SystemExit):
        runpy.run_module("agents.supervisor", run_name="__main__")
    try:
        return json.loads(said.getvalue())
    except ValueError:
        return None


def output(argv: list[str]) -> str:
    """Return what a program prints, whatever its exit status; nothing when it cannot run."""
    try:
        done = subprocess.run(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=20,
            check=False,
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.decode(errors="replace").strip()


def target() -> dict[str, Any] | None:
    if not wish["target"]:
        return None
    base = Path("inference", wish["target"])
    generation = base / "models" / str(wish["generation"])
    return {
        "generations": folders(base, "models"),
        "current": pointed(base, "current"),
        "previous": pointed(base, "previous"),
        "served": document(base, "current", "manifest.json"),
        "manifest": document(generation, "manifest.json"),
        "files": {name: digest(generation, name) for name in wish["model_files"]},
    }


def pointed(*parts: Any) -> str | None:
    try:
        return str(root.joinpath(*parts).readlink())
    except OSError:
        return None


def answer() -> dict[str, Any]:
    return {
        "python": sys.executable,
        "version": platform.python_version(),
        "markers": markers(),
        "packages": {name: version_of(name) for name in wish["packages"]},
        "releases": folders("releases"),
        "release_intact": intact(),
        "modes": {name: mode(name) for name in wish["folders"]},
        "warm": document("cache", "numba", "warm-" + wish["release"] + ".json"),
        "agent": agent(),
        "unit": unit(),
        "supervised": supervised(),
        "target": target(),
    }


if __name__ == "__main__":
    if sys.version_info < (3, 11):  # noqa: UP036 - a host's Python may be any
        sys.exit(1)
    wish = json.loads(sys.argv[1])
    root = Path(sys.argv[2])
    systemd = sys.argv[3]
    release = Path("releases", wish["release"])
    sys.stdout.write(json.dumps(answer()) + chr(10))
