"""A small service supervisor for hosts without systemd or launchd.

    python -m agents.supervisor start  --dir DIR --name NAME [pauses] -- argv...
    python -m agents.supervisor stop   --dir DIR --name NAME
    python -m agents.supervisor status --dir DIR --name NAME

`start` is idempotent: the same program with the same environment running already is left alone, another one
is replaced. One copy per name is held by a file lock. `stop` signals recorded process ids only, after
checking their start times. Every verb prints one JSON line. Files in DIR: `NAME.json` (state), `NAME.lock`,
`NAME.log` and `NAME.log.1`. Standard library only. A reboot ends it; cron or the controller starts it again.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import hashlib
import json
import os
import re
import signal
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from agents.files import write_json
from agents.processes import Process
from agents.supervision import Pauses, RotatingLog, Supervision
from ringrift.errors import BadInput, Conflict, EnvironmentProblem, RingRiftError

_POLL = 0.05
_BUSY_SECONDS = 15.0
"""How long to wait for another `start` or `stop` of the same name to finish."""
_INHERITED = re.compile(r"PYTHONPATH|PORT|RINGRIFT_\w+")
"""Environment variables that make it another program when they differ."""


@dataclass(frozen=True)
class Service:
    """One named service and its files."""

    folder: Path
    name: str

    @property
    def state_file(self) -> Path:
        return self.folder / f"{self.name}.json"

    def state(self) -> dict[str, Any]:
        """Return the last recorded state; empty when there is none or it cannot be read."""
        try:
            value = json.loads(self.state_file.read_bytes())
        except (OSError, ValueError):
            return {}
        return value if isinstance(value, dict) else {}

    def status(self) -> dict[str, Any]:
        """Return the recorded state, corrected by which recorded processes still live."""
        state = self.state()
        supervisor = Process.from_json(state.get("supervisor"))
        child = Process.from_json(state.get("child"))
        running = supervisor is not None and supervisor.alive()
        return {
            "name": self.name,
            "state": state.get("state", "stopped") if running else "stopped",
            "supervisor": supervisor.pid if supervisor and running else None,
            "pid": child.pid if child and child.alive() else None,
            "restarts": state.get("restarts", 0),
            "last_exit": state.get("last_exit"),
            "since": state.get("since"),
            "argv": state.get("argv", []),
        }

    def try_lock(self) -> int | None:
        """Take the single-copy lock; return its descriptor, or None while a supervisor holds it."""
        descriptor = os.open(self.folder / f"{self.name}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return None
        return descriptor


def start(service: Service, argv: list[str], pauses: Pauses) -> dict[str, Any]:
    """Have the program running under supervision; return its status.

    Raises `EnvironmentProblem` when the program cannot be started, `Conflict` when another `start` or
    `stop` of this name does not come to an end.
    """
    service.folder.mkdir(parents=True, exist_ok=True)
    identity = _identity(argv)
    until = time.monotonic() + _BUSY_SECONDS + pauses.grace
    while (lock := service.try_lock()) is None:
        if _runs(service):
            if service.state().get("identity") == identity:
                return service.status()
            stop(service, pauses.grace)
        if time.monotonic() > until:
            raise Conflict(f"{service.name} is being started or stopped by somebody else", hint="try again")
        time.sleep(_POLL)
    _end_leftover(service, pauses.grace)
    _launch(service, argv, identity, pauses, lock)
    return service.status()


def stop(service: Service, grace: float) -> dict[str, Any]:
    """Stop the service: SIGTERM, after `grace` seconds SIGKILL; nothing happens when it does not run."""
    if not service.folder.is_dir():
        return service.status()
    until = time.monotonic() + _BUSY_SECONDS + grace
    while (lock := service.try_lock()) is None:
        supervisor = Process.from_json(service.state().get("supervisor"))
        if supervisor is not None and supervisor.signal(signal.SIGTERM):
            _await_end(supervisor, grace + 5.0)
            if supervisor.signal(signal.SIGKILL):
                _await_end(supervisor, 5.0)
        if time.monotonic() > until:
            raise Conflict(f"{service.name} is being started by somebody else", hint="try again")
        time.sleep(_POLL)
    os.close(lock)
    _end_leftover(service, grace)
    return service.status()


def _runs(service: Service) -> bool:
    supervisor = Process.from_json(service.state().get("supervisor"))
    return supervisor is not None and supervisor.alive()


def _end_leftover(service: Service, grace: float) -> None:
    """End a program whose supervisor died without it (possible only where PR_SET_PDEATHSIG is not)."""
    child = Process.from_json(service.state().get("child"))
    if child is not None and child.signal_group(signal.SIGTERM):
        _await_end(child, grace)
        if child.signal_group(signal.SIGKILL):
            _await_end(child, 5.0)


def _await_end(process: Process, seconds: float) -> None:
    until = time.monotonic() + seconds
    while process.alive() and time.monotonic() < until:
        time.sleep(_POLL)


def _identity(argv: list[str]) -> str:
    """Digest of what must be equal for a running program to be the one that is wanted."""
    environment = {key: value for key, value in os.environ.items() if _INHERITED.fullmatch(key)}
    text = json.dumps([argv, str(Path.cwd()), environment], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _launch(service: Service, argv: list[str], identity: str, pauses: Pauses, lock: int) -> None:
    """Fork twice; the grandchild keeps the lock and reports through a pipe how the first start went."""
    reader, writer = os.pipe()
    middle = os.fork()
    if middle == 0:
        os.close(reader)
        os.setsid()
        if os.fork():
            os._exit(0)
        _daemon(service, argv, identity, pauses, writer)
    os.close(writer)
    os.close(lock)
    os.waitpid(middle, 0)
    with os.fdopen(reader) as pipe:
        problem = pipe.read()
    if problem:
        raise EnvironmentProblem(f"cannot start {service.name}: {problem}", hint="check the command line")


def _daemon(service: Service, argv: list[str], identity: str, pauses: Pauses, writer: int) -> NoReturn:
    _detach_streams()
    state: dict[str, Any] = {
        "supervisor": (Process.of(os.getpid()) or Process(os.getpid(), "?")).to_json(),
        "identity": identity,
        "argv": argv,
        "since": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "restarts": 0,
    }

    def record(changes: dict[str, Any]) -> None:
        state.update(changes)
        with contextlib.suppress(OSError):
            write_json(service.state_file, state)

    log = RotatingLog(service.folder / f"{service.name}.log")
    with os.fdopen(writer, "w") as starter:
        try:
            Supervision(argv, log, pauses, record).run(started=starter.close)
        except Exception as error:
            log.note(f"giving up: {error}")
            record({"state": "stopped", "child": None})
            if not starter.closed:
                starter.write(str(error))
    os._exit(0)


def _detach_streams() -> None:
    null = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(null, stream)


def _parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m agents.supervisor", description=__doc__.splitlines()[0])
    parser.add_argument("verb", choices=("start", "stop", "status"))
    parser.add_argument("--dir", type=Path, required=True, help="folder of state, lock and log")
    parser.add_argument("--name", required=True, help="name of the service: letters, digits and dashes")
    parser.add_argument("--pause", type=float, default=Pauses.first, help="seconds before the first restart")
    parser.add_argument(
        "--longest-pause", type=float, default=Pauses.longest, help="bound of it when doubled"
    )
    parser.add_argument("--grace", type=float, default=Pauses.grace, help="seconds from SIGTERM to SIGKILL")
    place = arguments.index("--") if "--" in arguments else len(arguments)
    options = parser.parse_args(arguments[:place])
    options.argv = arguments[place + 1 :]
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9-]{0,63}", options.name):
        raise BadInput(f"bad service name {options.name!r}", hint="use letters, digits and dashes")
    if options.verb == "start" and not options.argv:
        raise BadInput("nothing to start", hint="give the command after --")
    if options.verb != "start" and options.argv:
        raise BadInput(f"{options.verb} takes no command", hint="leave out what follows --")
    return options


def main(arguments: list[str]) -> int:
    """Run one verb; return the exit status (0, or that of the error which is printed in one line)."""
    try:
        options = _parse(arguments)
        service = Service(options.dir.absolute(), options.name)
        if options.verb == "start":
            pauses = Pauses(options.pause, options.longest_pause, options.grace)
            answer = start(service, options.argv, pauses)
        elif options.verb == "stop":
            answer = stop(service, options.grace)
        else:
            answer = service.status()
    except RingRiftError as error:
        sys.stderr.write(f"error: {error.line()}\n")
        return error.exit_status
    except OSError as error:
        sys.stderr.write(f"error: {error}\n")
        return EnvironmentProblem.exit_status
    sys.stdout.write(json.dumps(answer) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
