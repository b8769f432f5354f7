"""The one program that changes a host. It is sent there as text and carries out commands in order.

`python -I -c BOOTSTRAP LENGTH NONCE`, with this text, one line of JSON and the archives on stdin. The line:
`root`, `applied` (what the facts said), `wait` (seconds), `sent` (SHA-256 and size of every archive) and
`steps`, each a list of commands (`hosts.steps.commands.wire`). Everything is read and checked before anything
is done. It prints lines `ringrift-apply NONCE JSON`:

    {"step": 0, "state": "running"}    {"step": 0, "state": "ran", "seconds": 1.2}
    {"step": 1, "state": "failed", "what": ..., "status": 1, "output": ...}
    {"state": "stale"}                 another change came between; nothing was done
    {"state": "finished"}

A lock below the root keeps two of them apart. It goes on when the connection is cut; twice is safe.
Standard library only.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path
from typing import Any

POLL_SECONDS = 0.1
OUTPUT_BYTES = 4000
HEADROOM = 256 << 10
"""Bytes left free beyond what an archive needs, for folders, logs and journals."""


class Failure(Exception):
    """A program that did not succeed: what it was, its exit status, and the end of what it printed."""

    def __init__(self, what: str, status: int | None, output: bytes) -> None:
        super().__init__(what)
        self.told = {
            "what": what,
            "status": status,
            "output": output[-OUTPUT_BYTES:].decode(errors="replace"),
        }


def say(**told: Any) -> None:
    line = f"ringrift-apply {sys.argv[2]} {json.dumps(told)}\n"
    with contextlib.suppress(OSError):  # the controller is gone; what was begun is finished all the same
        os.write(1, line.encode())


def received(size: int) -> bytes:
    data = sys.stdin.buffer.read(size)
    if len(data) != size:
        sys.exit("the connection was cut before everything was here; nothing was done")
    return data


def archives(sent: list[dict[str, Any]]) -> dict[str, bytes]:
    found = {}
    for one in sent:
        data = received(one["size"])
        if hashlib.sha256(data).hexdigest() != one["sha256"]:
            sys.exit("an archive arrived with another hash; nothing was done")
        found[one["sha256"]] = data
    return found


def taken(root: Path, expected: str, seconds: float) -> bool:
    """Take the lock for as long as this process lives; tell whether nothing came between look and lock."""
    root.mkdir(parents=True, exist_ok=True)
    lock = os.open(root / ".apply.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    until = time.monotonic() + seconds
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            break
        except BlockingIOError:
            if time.monotonic() > until:
                sys.exit("another change of this host does not come to an end")
            time.sleep(POLL_SECONDS)
    if os.read(lock, 100).decode(errors="replace") != expected:
        return False
    os.ftruncate(lock, 0)
    os.pwrite(lock, sys.argv[2].encode(), 0)
    return True


def beside(path: Path) -> Path:
    return path.with_name(f".{path.name}.new")


def put(path: Path, content: bytes, mode: int) -> None:
    temporary = beside(path)
    temporary.unlink(missing_ok=True)
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, mode)
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(descriptor, mode)
            file.write(content)
            file.flush()
            os.fsync(descriptor)
        temporary.replace(path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise


def merge(path: Path, values: list[list[str]], mode: int) -> None:
    try:
        known = json.loads(path.read_bytes())
    except (FileNotFoundError, ValueError):
        known = None
    content = {**(known if isinstance(known, dict) else {}), **dict(values)}
    put(path, (json.dumps(content, indent=1, sort_keys=True) + "\n").encode(), mode)


def remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def unpack(path: Path, archive: bytes) -> None:
    fresh = beside(path)
    remove(fresh)
    try:
        with zipfile.ZipFile(io.BytesIO(archive)) as content:
            size = sum(entry.file_size for entry in content.infolist())
            if shutil.disk_usage(path.parent).free < size + HEADROOM:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path.parent))
            content.extractall(fresh)
        remove(path)
        fresh.rename(path)
    except OSError:
        shutil.rmtree(fresh, ignore_errors=True)
        raise


def link(path: Path, target: str) -> None:
    temporary = beside(path)
    remove(temporary)
    temporary.symlink_to(target)
    temporary.replace(path)


def check(path: Path, sha256: str) -> None:
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != sha256:
        told = f"it has SHA-256 {found[:12]}, expected {sha256[:12]}"
        raise Failure(f"checking {path.name}", None, told.encode())


def run(argv: list[str], env: list[tuple[str, str]], seconds: float) -> None:
    process = subprocess.Popen(
        argv,
        env={**os.environ, **dict(env)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        output, _ = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        output, _ = process.communicate()
        raise Failure(" ".join(argv[:4]), None, output) from None
    if process.returncode:
        raise Failure(" ".join(argv[:4]), process.returncode, output)


def do(command: dict[str, Any], sent: dict[str, bytes]) -> None:
    path = Path(command.get("path", "/"))
    match command["do"]:
        case "Mkdir":
            path.mkdir(parents=True, exist_ok=True)
            path.chmod(command["mode"])
        case "PutFile":
            put(path, command["content"].encode(), command["mode"])
        case "Merge":
            merge(path, command["values"], command["mode"])
        case "Unpack":
            unpack(path, sent[command["sha256"]])
        case "Rename":
            Path(command["source"]).replace(path)
        case "Link":
            link(path, command["target"])
        case "Remove":
            remove(path)
        case "Check":
            check(path, command["sha256"])
        case "Run":
            run(command["argv"], command["env"], command["seconds"])
        case other:
            raise Failure(f"unknown command {other}", None, b"")


def carry_out(steps: list[list[dict[str, Any]]], sent: dict[str, bytes]) -> None:
    for number, commands in enumerate(steps):
        say(step=number, state="running")
        begun = time.monotonic()
        try:
            for command in commands:
                do(command, sent)
        except Failure as failure:
            say(step=number, state="failed", **failure.told)
            sys.exit(1)
        except OSError as error:
            say(step=number, state="failed", what=command["do"], status=None, output=str(error))
            sys.exit(1)
        say(step=number, state="ran", seconds=round(time.monotonic() - begun, 3))
    say(state="finished")


def main() -> None:
    signal.signal(signal.SIGHUP, lambda *_: None)
    order = json.loads(sys.stdin.buffer.readline())
    sent = archives(order["sent"])
    try:
        free = taken(Path(order["root"]), order["applied"], order["wait"])
    except OSError as error:
        say(step=0, state="failed", what="taking the lock", status=None, output=str(error))
        sys.exit(1)
    if free:
        carry_out(order["steps"], sent)
    else:
        say(state="stale")


if __name__ == "__main__":
    main()
