"""The Python part of looking at a host. It is sent there as text and prints one line `probe=` with JSON.

Standard library only and few modules of it, since this is what a look costs; no backslash in its text (it
travels through a login shell); it changes nothing. Arguments: a JSON object with what to look at
(`hosts.facts.Question`), the absolute root folder, and which interpreter this is: named, own (of `env/`) or
base (found on the PATH). It ends with 1, silently, where Python is older than 3.11.
"""

from __future__ import annotations

import binascii
import fcntl
import hashlib
import json
import math
import os
import pwd
import sys
from typing import Any

MACOS = sys.platform == "darwin"


def read(*parts: Any) -> bytes | None:
    """Return the beginning of a file below the root, or of an absolute path."""
    try:
        with open(os.path.join(root, *parts), "rb") as file:
            return file.read(1 << 20)
    except OSError:
        return None


def words(path: str) -> list[str]:
    return (read(path) or b"").decode(errors="replace").split()


def document(*parts: Any) -> dict[str, Any] | None:
    try:
        value = json.loads((read(*parts) or b"null").decode())
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def text(*parts: Any) -> str | None:
    data = read(*parts)
    return None if data is None else data.decode(errors="replace")


def digest(*parts: Any) -> str | None:
    try:
        with open(os.path.join(root, *parts), "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return None


def mode(*parts: Any) -> int | None:
    try:
        return os.stat(os.path.join(root, *parts)).st_mode & 0o777
    except OSError:
        return None


def names(*parts: Any) -> list[str]:
    try:
        return sorted(os.listdir(os.path.join(root, *parts)))
    except OSError:
        return []


def folders(*parts: Any) -> list[str]:
    """Return the folders in a folder, the one that was made last at the end."""
    try:
        with os.scandir(os.path.join(root, *parts)) as entries:
            found = [entry for entry in entries if entry.is_dir(follow_symlinks=False)]
            return [entry.name for entry in sorted(found, key=lambda one: (one.stat().st_mtime_ns, one.name))]
    except OSError:
        return []


def pointed(*parts: Any) -> str | None:
    try:
        return os.readlink(os.path.join(root, *parts))
    except OSError:
        return None


def program(name: str) -> bool:
    return any(os.access(os.path.join(place, name), os.X_OK) for place in os.get_exec_path())


def output(*argv: str, fails: bool = True) -> str | None:
    """Return what a program prints; None when it cannot run or, where `fails` is false, when it fails."""
    from subprocess import DEVNULL, SubprocessError, run

    try:
        done = run(argv, stdin=DEVNULL, capture_output=True, timeout=20, check=not fails)
    except (OSError, SubprocessError):
        return None
    return done.stdout.decode(errors="replace").strip()


def versions() -> dict[str, str | None]:
    """Return the installed version of every package that was asked for, by the names of their metadata."""
    found: dict[str, str] = {}
    for place in sys.path:
        for name in names(place):
            stem, _, kind = name.rpartition(".")
            if kind in ("dist-info", "egg-info"):
                title, _, version = stem.partition("-")
                found.setdefault(plain(title), version.partition("-py")[0])
    return {name: found.get(plain(name)) for name in wish["packages"]}


def plain(name: str) -> str:
    return name.lower().replace("_", "-").replace(".", "-")


def intact() -> bool:
    """Tell whether every file of the release has the hash that its RECORD gives."""
    rows = (read(release, wish["record"]) or b"").decode().splitlines() if wish["record"] else []
    for row in rows:
        path, expected, _ = row.rsplit(",", 2)
        found = bytes.fromhex(digest(release, path) or "") if expected else b""
        text = binascii.b2a_base64(found, newline=False).decode().rstrip("=").translate({43: "-", 47: "_"})
        if expected and expected != "sha256=" + text:
            return False
    return bool(rows)


def markers() -> dict[str, str]:
    seen = os.uname()
    version = sys.version.split()[0]
    implementation = sys.implementation.name
    return {
        "implementation_name": implementation,
        "implementation_version": version,
        "os_name": os.name,
        "platform_machine": seen.machine,
        "platform_python_implementation": {"cpython": "CPython", "pypy": "PyPy"}.get(implementation, ""),
        "platform_release": seen.release,
        "platform_system": seen.sysname,
        "platform_version": seen.version,
        "python_full_version": version,
        "python_version": ".".join(version.split(".")[:2]),
        "sys_platform": sys.platform,
    }


def existing(path: str) -> str:
    """Return the path, or the nearest folder above it that exists."""
    while not os.path.isdir(path):
        path = os.path.dirname(path)
    return path


def machine() -> dict[str, Any]:
    """Tell what the machine has; None for what cannot be known."""
    above = existing(root)
    disk = os.statvfs(above)
    affinity = getattr(os, "sched_getaffinity", None)
    cpus = len(affinity(0)) if affinity else os.cpu_count() or 1
    ram = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    quota, limit = words("/sys/fs/cgroup/cpu.max"), words("/sys/fs/cgroup/memory.max")
    if quota and quota[0].isdecimal():
        cpus = min(cpus, math.ceil(int(quota[0]) / int(quota[1])))
    if limit and limit[0].isdecimal():
        ram = min(ram, int(limit[0]))
    return {
        "disk_free_kib": disk.f_bavail * disk.f_frsize >> 10,
        "disk_total_bytes": disk.f_blocks * disk.f_frsize,
        "writable": os.access(above, os.W_OK),
        "cpus": cpus,
        "ram_bytes": ram,
        "gpus": gpus(),
        "boot": boot(),
    }


def gpus() -> list[dict[str, Any]] | None:
    """Return what NVIDIA's driver lists; None where there is a driver that does not tell, and on a Mac."""
    if MACOS:
        return None
    if not program("nvidia-smi"):
        return None if os.path.exists("/dev/nvidiactl") else []
    query = "--query-gpu=name,memory.total"
    told = output("nvidia-smi", query, "--format=csv,noheader,nounits", fails=False)
    rows = [line.rpartition(",") for line in (told or "").splitlines()]
    found = []
    for name, _, size in rows:
        mib = size.strip()
        found.append({"name": name.strip(), "vram_bytes": int(mib) << 20 if mib.isdecimal() else None})
    return found or None


def boot() -> str | None:
    """Identify this start of the machine, or of the container: a container's first process starts with it."""
    if MACOS:
        return output("sysctl", "-n", "kern.bootsessionuuid", fails=False)
    first = (read("/proc/1/stat") or b"").rpartition(b")")[2].split()
    kernel = words("/proc/sys/kernel/random/boot_id")
    return kernel[0] + "-" + first[19].decode() if kernel and len(first) > 19 else None


def systemd() -> str:
    if not os.path.isdir("/run/systemd/system") or not program("systemctl"):
        return "none"
    if os.getuid() == 0:
        return "system"
    lingers = os.path.exists(os.path.join("/var/lib/systemd/linger", user))
    return "user" if lingers and os.path.exists(runtime + "/systemd/private") else "none"


def agent() -> dict[str, Any]:
    """Tell how the agent stands; a secret leaves the host only as its SHA-256."""
    config = document("agent", "agent.json") or {}
    identity = document("agent", "identity.json") or {}
    token = config.get("token")
    return {
        "enrolled": "agent" in identity and read("agent", "key") is not None,
        "identity_token": identity.get("token"),
        "host": config.get("host"),
        "release": config.get("release"),
        "python": config.get("python"),
        "token": hashlib.sha256(token.encode()).hexdigest() if isinstance(token, str) else None,
        "mode": mode("agent", "agent.json"),
        "settings": settings_hash(config) if config else None,
    }


def settings_hash(config: dict[str, Any]) -> str:
    """Tell settings apart without telling them; `agents/settings.py` computes the same when it starts."""
    counted = {name: value for name, value in config.items() if name != "token"}
    text = json.dumps(counted, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def units() -> tuple[str, str]:
    """Return the folder of the service manager's units, and the ending of their names."""
    if MACOS:
        above = "/Library/LaunchDaemons" if os.getuid() == 0 else os.path.join(home, "Library/LaunchAgents")
        return above, ".plist"
    above = "/etc/systemd/system" if manager == "system" else os.path.join(home, ".config/systemd/user")
    return above, ".service"


def unit() -> dict[str, str] | None:
    if not wish["unit"] or (manager == "none" and not MACOS):
        return None
    folder, ending = units()
    content = read(folder, wish["unit"] + ending)
    if content is None:
        return None
    return {"text": content.decode(errors="replace"), "state": state_of(wish["unit"])}


def state_of(name: str) -> str:
    """Return what `systemctl is-active` says, and the same word for a job that launchd runs."""
    if MACOS:
        domain = "system/" if os.getuid() == 0 else "user/" + str(os.getuid()) + "/"
        return (
            "active"
            if "state = running" in (output("launchctl", "print", domain + name) or "")
            else "inactive"
        )
    os.environ.setdefault("XDG_RUNTIME_DIR", runtime)
    scope = ["--user"] if manager == "user" else list[str]()
    return output("systemctl", *scope, "is-active", name + ".service") or "unknown"


def supervised() -> dict[str, Any] | None:
    """Tell what our supervisor recorded; it holds its lock for as long as it lives."""
    base = os.path.join(root, "run", "services", wish["service"])
    state = document(base + ".json") if wish["service"] else None
    if state is None:
        return None
    runs = False
    try:
        with open(base + ".lock") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        runs = True
    except OSError:
        pass
    found = state.get("state", "stopped") if runs else "stopped"
    return {"state": found, "argv": state.get("argv", []), "last_exit": state.get("last_exit")}


def cron() -> list[str] | None:
    """Return our lines of the login user's crontab; None where there is no crontab, or systemd is used."""
    if MACOS or manager != "none" or not program("crontab"):
        return None
    return [line for line in (output("crontab", "-l") or "").splitlines() if "# ringrift " in line]


def used() -> list[tuple[str, str]]:
    """Return every service or unit of ours and the release that it runs."""
    folder, ending = units()
    found = []
    services = os.path.join(root, "run", "services")
    for place, beginning, suffix in ((services, "", ".json"), (folder, "ringrift-", ending)):
        for name in names(place):
            if name.startswith(beginning) and name.endswith(suffix):
                text = (read(place, name) or b"").decode(errors="replace")
                found.append((name.removesuffix(suffix), text.partition("/releases/")[2][:12]))
    for name in folders("inference"):
        for number in folders("inference", name, "models"):
            link = pointed("inference", name, "models", number, "software")
            if link:
                found.append(("inference-" + name, os.path.basename(link)))
    return found


def target() -> dict[str, Any] | None:
    if not wish["target"]:
        return None
    base = os.path.join("inference", wish["target"])
    generation = os.path.join(base, "models", str(wish["generation"]))
    return {
        "generations": sorted(folders(base, "models")),
        "current": pointed(base, "current"),
        "previous": pointed(base, "previous"),
        "served": document(base, "current", "manifest.json"),
        "serving": checkpoints(base, "current"),
        "manifest": text(generation, "manifest.json"),
        "signature": text(generation, "manifest.sig"),
        "software": pointed(generation, "software"),
        "front": document(base, "front.json"),
        "trusted": text(base, "trusted_keys"),
        "files": {name: digest(generation, name) for name in wish["model_files"]},
        "staged": {name: staged(base, "staged", name) for name in folders(base, "staged")},
    }


def staged(*parts: Any) -> dict[str, Any]:
    return {
        "manifest": text(*parts, "manifest.json"),
        "signature": text(*parts, "manifest.sig"),
        "proof": text(*parts, "proof.json"),
        "files": checkpoints(*parts),
    }


def checkpoints(*parts: Any) -> dict[str, str | None]:
    return {name: digest(*parts, name) for name in names(*parts) if name.endswith(".pth")}


def base_venv() -> bool:
    from importlib.util import find_spec

    return find_spec("venv") is not None and find_spec("ensurepip") is not None


def answer() -> dict[str, Any]:
    boot_script = read("run", "services", wish["service"] + ".boot") if wish["service"] else None
    return {
        "os": os.uname().sysname,
        "arch": os.uname().machine,
        "user": user,
        "uid": os.getuid(),
        "home": home,
        "root": root,
        "systemd": manager,
        "base_python": sys.executable if which == "base" else "",
        "base_venv": which == "base" and base_venv(),
        "own_python": which == "own",
        "named_python": which == "named",
        "python": sys.executable,
        "version": sys.version.split()[0],
        "markers": markers(),
        "packages": versions(),
        "releases": folders("releases"),
        "previous_release": pointed("releases", "previous"),
        "used": used(),
        "release_intact": intact(),
        "modes": {name: mode(name) for name in wish["folders"]},
        "warm": document("cache", "numba", "warm-" + wish["kernels"] + ".json"),
        "agent": agent(),
        "unit": unit(),
        "supervised": supervised(),
        "cron": cron(),
        "boot_script": boot_script and boot_script.decode(errors="replace"),
        "target": target(),
        "applied": (read(".apply.lock") or b"").decode(errors="replace"),
        **machine(),
    }


if __name__ == "__main__":
    if sys.version_info < (3, 11):  # noqa: UP036 - a host's Python may be any
        sys.exit(1)
    wish = json.loads(sys.argv[1])
    root, which = sys.argv[2], sys.argv[3]
    user = pwd.getpwuid(os.getuid()).pw_name
    home = os.environ.get("HOME") or os.path.expanduser("~")
    runtime = os.environ.get("XDG_RUNTIME_DIR") or "/run/user/" + str(os.getuid())
    manager = systemd()
    release = os.path.join("releases", wish["release"])
    sys.stdout.write("probe=" + json.dumps(answer()) + chr(10))
