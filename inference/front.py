"""Holds the port while the service behind it is replaced: `python -m inference.front --models DIR`.

It runs `python -m inference` on its listening socket, from the release that the link `DIR/current/software`
leads to, else from its own. When the link leads elsewhere, a successor starts beside what serves. It
accepts once it has proven every model; then the other one answers what is open and leaves. One that does not
get there replaces nothing. `DIR/front.json` says what became of the newest `current`:

    {"pid": 7, "seen": "models/4", "release": "0123456789ab", "refused": null or "why"}

Standard library only: it stays small, and outlives every release that it starts. Other options are handed on.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import json
import os
import select
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from inference import logs
from inference.listening import listen
from ringrift.errors import EnvironmentProblem, RingRiftError

STATUS = "front.json"
_DEFAULT_PORT = 8600
_LOOK_SECONDS = 0.1
_PROOF_SECONDS = 150.0
"""How long a successor may take: twelve models, and kernels that may have to be compiled first."""
_PAUSE_SECONDS = 1.0
_STARTS = 3
"""How often in a row the service may end before it was ready; then the keeper of this program goes on."""
_PR_SET_PDEATHSIG = 1


@dataclass
class Child:
    """A process of the service. `report` is what it said when it was ready to accept; None before."""

    release: Path | None
    process: subprocess.Popen[bytes]
    pipe: int
    began: float = field(default_factory=time.monotonic)
    report: dict[str, Any] | None = None
    _said: bytes = b""

    def listen(self) -> None:
        """Read what it says of itself, without waiting."""
        while self.pipe >= 0 and select.select([self.pipe], [], [], 0)[0]:
            data = os.read(self.pipe, 65536)
            self._said += data
            if not data:
                os.close(self.pipe)
                self.pipe = -1
                with contextlib.suppress(ValueError):
                    found = json.loads(self._said)
                    self.report = found if isinstance(found, dict) else {}

    def problem(self) -> str | None:
        """Say why a successor cannot take over, None while it still may."""
        if self.report is not None:
            return "; ".join(map(str, self.report.get("issues", ["it says nothing of itself"]))) or None
        status = self.process.poll()
        if status is not None:
            return f"it ended with {status} before it was ready"
        late = time.monotonic() - self.began > _PROOF_SECONDS
        return f"it was not ready within {_PROOF_SECONDS:.0f} s" if late else None


class Front:
    """One service folder, its socket and the processes that serve on it."""

    def __init__(self, folder: Path, descriptor: int, options: list[str]) -> None:
        self._folder = folder
        self._descriptor = descriptor
        self._options = options
        self._successor: Child | None = None
        self._leaving: list[Child] = []
        self._refused: tuple[str, str] | None = None
        self._status: dict[str, Any] = {}
        self._failures = 0
        self._stops = 0
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._stop)
        self._serving = self._start(self._release())

    def run(self) -> int:
        """Serve until SIGTERM; return the exit status."""
        while not self._stops:
            time.sleep(_LOOK_SECONDS)
            self._leaving = [child for child in self._leaving if child.process.poll() is None]
            self._serving.listen()
            status = self._serving.process.poll()
            if status is not None and not self._again(status):
                return status or EnvironmentProblem.exit_status
            self._follow()
        return self._end()

    def _stop(self, *_: object) -> None:
        self._stops += 1

    def _pointer(self) -> str:
        try:
            return str((self._folder / "current").readlink())
        except OSError:
            return ""

    def _release(self) -> Path | None:
        """Return the folder of our packages that is meant now; None for this program's own."""
        try:
            link = self._folder.resolve() / self._pointer() / "software"
            return Path(os.path.normpath(link.parent / link.readlink()))
        except OSError:
            return None

    def _start(self, release: Path | None, *more: str) -> Child:
        reader, writer = os.pipe()
        options = ("--fd", str(self._descriptor), "--ready-fd", str(writer), *more)
        environment = dict(os.environ)
        if release is not None:
            environment["PYTHONPATH"] = str(release)
        command = [sys.executable, *(["-P"] if release else []), "-m", "inference"]
        process = subprocess.Popen(
            [*command, "--models", str(self._folder), *self._options, *options],
            env=environment,
            pass_fds=(self._descriptor, writer),
            start_new_session=True,
            preexec_fn=_end_with_parent,
        )
        os.close(writer)
        return Child(release, process, reader)

    def _again(self, status: int) -> bool:
        """Start what served anew; clients wait at the socket meanwhile. False: it does not stay up."""
        ready = self._serving.report is not None
        self._failures = 0 if ready else self._failures + 1
        logs.log.error("the service ended", extra=logs.fields(status=status))
        if not ready and (self._failures >= _STARTS or not self._status):
            return False
        time.sleep(_PAUSE_SECONDS * self._failures)
        self._serving = self._start(self._serving.release)
        return True

    def _follow(self) -> None:
        """Do the next step towards the release that is meant now, and say how far it is."""
        pointer, release = self._pointer(), self._release()
        if self._successor is not None and self._successor.release != release:
            self._drop("another release is meant now", pointer)
        if self._serving.report is None or release == self._serving.release or release is None:
            self._refused = None
        elif self._successor is None and (self._refused is None or self._refused[0] != pointer):
            self._successor = self._start(release, "--successor")
        if self._successor is not None:
            self._hear(self._successor, pointer)
        if self._serving.report is not None and self._successor is None:
            self._tell(pointer)

    def _hear(self, successor: Child, pointer: str) -> None:
        successor.listen()
        problem = successor.problem()
        if problem is not None:
            self._drop(problem, pointer)
        elif successor.report is not None:
            self._serving.process.send_signal(signal.SIGTERM)
            self._leaving.append(self._serving)
            self._serving, self._successor, self._refused = successor, None, None

    def _drop(self, why: str, pointer: str) -> None:
        """Give a successor up; what serves goes on."""
        assert self._successor is not None
        self._successor.process.kill()
        self._successor.process.wait()
        self._refused, self._successor = (pointer, why), None
        logs.log.error("the new release does not take over", extra=logs.fields(why=why))

    def _tell(self, pointer: str) -> None:
        report = self._serving.report or {}
        told = {
            "pid": os.getpid(),
            "seen": pointer,
            "release": report.get("release"),
            "refused": self._refused[1] if self._refused else None,
        }
        if told == self._status:
            return
        fresh = self._folder / f".{STATUS}.new"
        # A full disk must not end what serves.
        with contextlib.suppress(OSError):
            fresh.write_text(json.dumps(told))
            fresh.replace(self._folder / STATUS)
        self._status = told

    def _end(self) -> int:
        """Let everything answer what is open; a second signal ends it at once."""
        os.close(self._descriptor)
        if self._successor is not None:
            self._successor.process.kill()
        passed = 0
        open_ones = [self._serving, *self._leaving]
        while any(child.process.poll() is None for child in open_ones):
            if passed < self._stops:
                passed += 1
                for child in open_ones if passed > 1 else open_ones[:1]:
                    child.process.send_signal(signal.SIGTERM)
            time.sleep(_LOOK_SECONDS)
        return max(self._serving.process.returncode, 0)


def _end_with_parent() -> None:
    """Have the kernel end a child whose front was killed (Linux): it would keep the port for itself."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def main(arguments: list[str]) -> int:
    """Hold the port until stopped; return the exit status, with one line on stderr for an error."""
    parser = argparse.ArgumentParser(prog="python -m inference.front", description=__doc__.splitlines()[0])
    parser.add_argument("--models", type=Path, required=True)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=_DEFAULT_PORT)
    options, rest = parser.parse_known_args(arguments)
    try:
        logs.set_up()
        with listen(options.host, options.port) as held:
            held.set_inheritable(True)
            return Front(options.models, held.detach(), rest).run()
    except RingRiftError as error:
        sys.stderr.write(f"error: {error.line()}\n")
        return error.exit_status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
