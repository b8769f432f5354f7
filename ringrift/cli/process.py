"""The controller as a process: start it in the background, find it, stop it. Never by name."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from ringrift.client.home import ControllerRecord, home, is_alive, read_record
from ringrift.errors import AccessRefused, EnvironmentProblem, RingRiftError, Unreachable

START_SECONDS = 60.0
"""A first start runs the migrations on a slow disk with busy cores: 5-10 s seen."""
STOP_SECONDS = 40.0
POLL_SECONDS = 0.1


def running_controller() -> ControllerRecord | None:
    """Return this home's controller if the recorded process is alive."""
    record = read_record()
    return record if record and is_alive(record) else None


def start_detached(port: int) -> ControllerRecord:
    """Start `ringrift-ctl up` in the background and wait until it answers."""
    log = home() / "logs" / "controller.log"
    try:
        home().mkdir(parents=True, exist_ok=True, mode=0o700)
        log.parent.mkdir(exist_ok=True, mode=0o700)
        offset = log.stat().st_size if log.exists() else 0
        child = _start([sys.executable, "-m", "ringrift.cli.main", "up", "--port", str(port)], log)
    except OSError as problem:
        raise EnvironmentProblem(f"cannot start a controller in {home()}: {problem}") from None
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        record = read_record()
        if record and record.pid == child.pid and _answers(record):
            return record
        status = child.poll()
        if status is not None:
            raise _failure(status)(_last_error(log, offset), hint=f"the whole log: {log}")
        time.sleep(POLL_SECONDS)
    raise Unreachable(
        f"the controller (pid {child.pid}) did not answer within {START_SECONDS:.0f} s", hint=f"see {log}"
    )


def stop() -> ControllerRecord | None:
    """Send SIGTERM to the recorded process, only if its start time fits, and wait until it is gone."""
    record = running_controller()
    if record is None:
        return None
    try:
        os.kill(record.pid, signal.SIGTERM)
    except ProcessLookupError:
        return record
    except PermissionError:
        raise AccessRefused(
            f"the controller (pid {record.pid}) belongs to another user",
            hint="run `ringrift-ctl down` as that user",
        ) from None
    deadline = time.monotonic() + STOP_SECONDS
    while is_alive(record):
        if time.monotonic() > deadline:
            raise Unreachable(
                f"the controller (pid {record.pid}) is still stopping after {STOP_SECONDS:.0f} s",
                hint=f"see {home() / 'logs' / 'controller.log'}",
            )
        time.sleep(POLL_SECONDS)
    return record


def _start(command: list[str], log: Path) -> subprocess.Popen[bytes]:
    """Start a command in a session of its own; it outlives us, and init inherits it."""
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=descriptor,
            stderr=descriptor,
            start_new_session=True,
        )
    finally:
        os.close(descriptor)


def _failure(status: int) -> type[RingRiftError]:
    """Return the branch of errors whose exit status a controller ended with."""
    branches = (RingRiftError, *RingRiftError.__subclasses__())
    return next((each for each in branches if each.exit_status == status), EnvironmentProblem)


def _answers(record: ControllerRecord) -> bool:
    import httpx

    try:
        answer = httpx.get(f"{record.url}/v1/health", timeout=2.0, trust_env=False)
        return bool(answer.is_success and answer.json()["pid"] == record.pid)
    except (httpx.HTTPError, ValueError, KeyError, TypeError):
        return False


def _last_error(log: Path, offset: int) -> str:
    """Return the error line with which the controller ended."""
    from ringrift.client.display import lines

    with log.open("rb") as stream:
        stream.seek(offset)
        told = lines(stream.read()[-20_000:].decode(errors="replace"))
    errors = [line.removeprefix("error: ") for line in told if line.startswith("error: ")]
    last = errors or [line for line in told if line.strip()] or ["it left no word"]
    return f"the controller did not start: {last[-1]}"
