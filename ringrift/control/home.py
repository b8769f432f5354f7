"""The controller's home folder: its lock, its token, its socket, and where it says that it runs."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import secrets
import socket
import stat
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from ringrift.errors import EnvironmentProblem
from ringrift.failpoints import side_effect

_SOCKET_PATH_LIMIT = 103
"""Bytes of a unix socket's path: 104 on macOS with its final zero, 108 on Linux."""


def prepare_home(home: Path) -> Path:
    """Make the home and its folders, readable by nobody else, and return it as an absolute path.

    Raises `EnvironmentProblem` when that fails.
    """
    home = home.expanduser().absolute()
    try:
        home.mkdir(parents=True, exist_ok=True, mode=0o700)
        if home.stat().st_mode & 0o077:
            home.chmod(0o700)
        for name in ("run", "logs", "artifacts", "ssh"):
            (home / name).mkdir(exist_ok=True, mode=0o700)
    except OSError as error:
        raise EnvironmentProblem(f"home {home} cannot be used: {error.strerror}") from error
    return home


@contextmanager
def home_lock(home: Path) -> Iterator[None]:
    """Hold the home for one controller; `EnvironmentProblem` naming the process that holds it."""
    path = home / "run" / "controller.lock"
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = os.read(descriptor, 32).decode(errors="replace").strip() or "unknown"
            raise EnvironmentProblem(
                f"a controller runs on {home} already (process {holder})",
                hint="use that one, or stop it with `ringrift-ctl down`",
            ) from error
        os.ftruncate(descriptor, 0)
        os.write(descriptor, f"{os.getpid()}\n".encode())
        yield
    finally:
        os.close(descriptor)


def operator_token(home: Path) -> str:
    """Return the operators' bearer token, made at the first start, in a file that only we can read."""
    path = home / "operator.token"
    token = private_text(path, lambda: secrets.token_urlsafe(32))
    if len(token) < 16 or not token.isascii():
        raise EnvironmentProblem(
            f"{path} holds no token", hint="remove the file; the controller makes a new one"
        )
    return token


def private_text(path: Path, make: Callable[[], str]) -> str:
    """Return the one line of a file that only we can read; `make` gives it where there is no file yet.

    Raises `EnvironmentProblem` when others may read it or it cannot be used.
    """
    try:
        if not path.exists():
            _write_private(path, make() + "\n")
        if path.stat().st_mode & 0o077:
            raise EnvironmentProblem(f"{path} can be read by others", hint=f"chmod 600 {path}")
        return path.read_bytes().decode("ascii", "replace").strip()
    except OSError as error:
        raise EnvironmentProblem(
            f"{path} cannot be used: {error.strerror}", hint="make it a file that only you can read and write"
        ) from error


def announce(home: Path, url: str) -> None:
    """Write `run/controller.json`, which tells the shell and the terminal where the controller is."""
    document = {"pid": os.getpid(), "started": time.time(), "url": url}
    _write_private(home / "run" / "controller.json", json.dumps(document) + "\n")


def withdraw(home: Path) -> None:
    """Remove the announcement, if it is ours."""
    path = home / "run" / "controller.json"
    try:
        ours = json.loads(path.read_text(encoding="utf-8"))["pid"] == os.getpid()
    except (OSError, ValueError, KeyError):
        return
    if ours:
        path.unlink(missing_ok=True)


def agents_socket(home: Path) -> tuple[Path, socket.socket]:
    """Return the path and the listening socket of the agents' API; a former controller's file is replaced.

    Only the holder of the home's lock may call this.
    """
    path = _socket_path(home)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        path.unlink(missing_ok=True)
        listener.bind(str(path))
        path.chmod(0o600)
    except OSError as error:
        listener.close()
        raise EnvironmentProblem(f"cannot listen on {path}: {error.strerror}") from error
    return path, listener


def _socket_path(home: Path) -> Path:
    """Return `run/agents.sock`, or a name in a private folder where that is too long for a unix socket."""
    path = home / "run" / "agents.sock"
    if len(os.fsencode(path)) <= _SOCKET_PATH_LIMIT:
        return path
    folder = Path(tempfile.gettempdir()) / f"ringrift-{os.getuid()}"
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        found = folder.lstat()
    except OSError as error:
        raise EnvironmentProblem(f"cannot make {folder}: {error.strerror}", hint="set TMPDIR") from error
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o077:
        raise EnvironmentProblem(
            f"{folder} is not a private folder of this user", hint="remove it, or shorten RINGRIFT_HOME"
        )
    return folder / f"{hashlib.sha256(os.fsencode(home)).hexdigest()[:16]}.sock"


def operators_socket(port: int) -> socket.socket:
    """Return a listening socket on loopback; `EnvironmentProblem` when the port is taken."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", port))
        listener.listen(128)
    except OSError as error:
        listener.close()
        raise EnvironmentProblem(
            f"port {port} cannot be used: {error.strerror}", hint="choose another with --port"
        ) from error
    return listener


def _write_private(path: Path, text: str) -> None:
    """Write a file that only we can read, all of it or nothing."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    with side_effect("home.write"):
        temporary.replace(path)
