"""An SSH server on a loopback address, for the demo and the tests: a host without a second machine.

OpenSSH's sshd where it is installed, else `ringrift.cli.demo.sshd_double`, a process of its own with the same
face. Each has its own folder with host key, authorized keys, configuration, log, a home for who logs in, and
`sshd.json`, which records the process id and its birth; only that process is ever signalled. Root is not
needed: an ordinary user's server lets exactly this user in.
"""

from __future__ import annotations

import contextlib
import getpass
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import psutil

from ringrift.errors import CorruptData, EnvironmentProblem

Kind = Literal["openssh", "double"]
START_SECONDS = 15.0
_STATE = "sshd.json"


@dataclass(frozen=True)
class Sshd:
    """A server that was started: where it listens and the public key that it shows, in OpenSSH form."""

    kind: Kind
    address: str
    port: int
    user: str
    host_key: str
    fingerprint: str
    pid: int
    born: float
    """Unix seconds of the process's birth, as psutil tells it."""


def openssh_path() -> str | None:
    """Return the absolute path of sshd, which it needs to execute itself again; None when not installed."""
    folders = [os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"]
    found = shutil.which("sshd", path=os.pathsep.join(folders))
    return str(Path(found).resolve()) if found else None


def start(
    folder: Path,
    address: str,
    port: int,
    authorized: str,
    *,
    kind: Kind | None = None,
    socket_forwarding: bool = True,
    port_forwarding: bool = True,
    settings: Sequence[str] = (),
) -> Sshd:
    """Start a server, or return the one that this folder's record names if it still runs.

    `port` 0 takes a free one; `authorized` is a public key line; `kind` None takes OpenSSH where installed;
    `settings` are further lines of sshd_config. A `host_key` that lies in the folder is used.
    Raises EnvironmentProblem when the port is in use or the server does not come up.
    """
    running = status(folder)
    if running is not None:
        return running
    folder = folder.absolute()
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    (folder / "home").mkdir(exist_ok=True, mode=0o700)
    kind = kind or ("openssh" if openssh_path() else "double")
    port = _free_port(address, port)
    public, fingerprint = _host_key(folder)
    _write(folder / "authorized_keys", authorized.strip() + "\n")
    place = _Place(folder, address, port, socket_forwarding, port_forwarding, tuple(settings))
    process = _spawn(_openssh_argv(place) if kind == "openssh" else _double_argv(place), place)
    born = psutil.Process(process.pid).create_time()
    server = Sshd(kind, address, port, getpass.getuser(), public, fingerprint, process.pid, born)
    # Recorded before it is known to work, so that a killed starter leaves nothing that cannot be stopped.
    _write(folder / _STATE, json.dumps(asdict(server)))
    _await_greeting(process, place)
    return server


def status(folder: Path) -> Sshd | None:
    """Return the folder's server if exactly the recorded process still runs."""
    try:
        server = Sshd(**json.loads((folder / _STATE).read_text()))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError) as error:
        raise CorruptData(f"{folder / _STATE} cannot be read: {error}", hint="remove the folder") from None
    try:
        process = psutil.Process(server.pid)
        same = abs(process.create_time() - server.born) < 0.05
    except psutil.NoSuchProcess:
        return None
    return server if same and not _ended(process) else None


def stop(folder: Path, *, sessions: bool = True) -> bool:
    """Stop the folder's server and, with `sessions`, the connections it serves; tell whether it ran."""
    server = status(folder)
    if server is None:
        return False
    try:
        listener = psutil.Process(server.pid)
        # sshd's children are its connections; what they started in the background is no longer a child.
        _end([listener, *(listener.children(recursive=True) if sessions else [])])
    except psutil.NoSuchProcess:
        pass
    (folder / _STATE).unlink(missing_ok=True)
    return True


def cut(folder: Path) -> None:
    """End the connections that the folder's server serves, but not the server."""
    server = status(folder)
    if server is None:
        return
    if server.kind == "double":
        psutil.Process(server.pid).send_signal(signal.SIGUSR1)
        return
    _end(psutil.Process(server.pid).children())


def _end(processes: list[psutil.Process]) -> None:
    """End processes: asked first, killed after 3 s."""
    for signal_one in (psutil.Process.terminate, psutil.Process.kill):
        for process in processes:
            with contextlib.suppress(psutil.NoSuchProcess):
                signal_one(process)
        until = time.monotonic() + 3.0
        while time.monotonic() < until:
            processes = [process for process in processes if not _ended(process)]
            if not processes:
                return
            time.sleep(0.01)


def _ended(process: psutil.Process) -> bool:
    """Tell whether a process is gone, or only waits for its parent to notice."""
    try:
        return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


@dataclass(frozen=True)
class _Place:
    """Where a server listens and what it forwards."""

    folder: Path
    address: str
    port: int
    sockets: bool
    ports: bool
    settings: tuple[str, ...]


def _free_port(address: str, port: int) -> int:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except OSError as error:
            raise EnvironmentProblem(
                f"cannot listen on {address}:{port}: {error.strerror}",
                hint="name another port, or stop what uses it",
            ) from None
        return int(probe.getsockname()[1])


def _host_key(folder: Path) -> tuple[str, str]:
    """Return public key line and fingerprint of the folder's host key, made on the first call."""
    import asyncssh

    private = folder / "host_key"
    if not private.exists():
        _write(private, asyncssh.generate_private_key("ssh-ed25519").export_private_key().decode())
    key = asyncssh.read_private_key(private)
    return " ".join(key.export_public_key().decode().split()[:2]), key.get_fingerprint()


def _openssh_argv(place: _Place) -> list[str]:
    program = openssh_path()
    if program is None:
        raise EnvironmentProblem("sshd is not installed", hint="apt-get install openssh-server")
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # sshd's privilege separation insists on it
    _write(place.folder / "sshd_config", _configuration(place))
    return [program, "-D", "-e", "-f", str(place.folder / "sshd_config")]


def _configuration(place: _Place) -> str:
    lines = [
        f"ListenAddress {place.address}:{place.port}",
        f'HostKey "{place.folder / "host_key"}"',
        f'AuthorizedKeysFile "{place.folder / "authorized_keys"}"',
        "PidFile none",
        "UsePAM no",
        "StrictModes no",
        "PasswordAuthentication no",
        "KbdInteractiveAuthentication no",
        "PermitRootLogin prohibit-password",
        "PrintMotd no",
        f"AllowStreamLocalForwarding {'yes' if place.sockets else 'no'}",
        f"AllowTcpForwarding {'yes' if place.ports else 'no'}",
        "Subsystem sftp internal-sftp",
        f'SetEnv "HOME={place.folder / "home"}"',
        *place.settings,
    ]
    return "\n".join(lines) + "\n"


def _double_argv(place: _Place) -> list[str]:
    argv = [sys.executable, "-m", "ringrift.cli.demo.sshd_double"]
    argv += [str(place.folder), place.address, str(place.port)]
    argv += [] if place.sockets else ["--no-sockets"]
    return argv + ([] if place.ports else ["--no-ports"])


def _spawn(argv: list[str], place: _Place) -> subprocess.Popen[bytes]:
    with (place.folder / "sshd.log").open("ab") as log:
        return subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
        )


def _await_greeting(process: subprocess.Popen[bytes], place: _Place) -> None:
    """Return when the server greets; end it and raise when it does not."""
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until and process.poll() is None:
        if _greets(place.address, place.port):
            return
        time.sleep(0.05)
    if process.poll() is None:
        process.kill()
        process.wait()
    log = place.folder / "sshd.log"
    words = log.read_text(errors="replace").strip().splitlines()[-1:] or ["it printed nothing"]
    raise EnvironmentProblem(
        f"the SSH server on {place.address}:{place.port} did not start: {words[0]}", hint=f"see {log}"
    )


def _greets(address: str, port: int) -> bool:
    try:
        with socket.create_connection((address, port), timeout=2.0) as connection:
            return connection.recv(4) == b"SSH-"
    except OSError:
        return False


def _write(path: Path, text: str) -> None:
    """Replace a small file; nobody else may read it at any moment."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.new")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
    temporary.replace(path)
