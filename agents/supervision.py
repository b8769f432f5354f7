"""The loop of the small supervisor: keep one program running, restart it with back-off, log its output."""

from __future__ import annotations

import contextlib
import functools
import os
import select
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from agents.processes import Process, end_with_parent, has_exited, kill_group

LOG_LIMIT = 4 << 20
"""Bytes after which the log file is put aside as `.1`; at most two files exist."""
HEALTHY_SECONDS = 60.0
"""A program that ran this long before it ended starts again after the first, shortest pause."""
_TICK = 1.0


@dataclass(frozen=True)
class Pauses:
    """Seconds: `first` pause before a restart, doubled up to `longest`; `grace` from SIGTERM to SIGKILL."""

    first: float = 1.0
    longest: float = 60.0
    grace: float = 10.0


class RotatingLog:
    """An append-only log that never grows beyond two files of `limit` bytes, and never fails its writer."""

    def __init__(self, path: Path, limit: int = LOG_LIMIT) -> None:
        self.path = path
        self.limit = limit

    def write(self, data: bytes) -> None:
        # Losing log lines on a full disk is better than ending the program that printed them.
        with contextlib.suppress(OSError):
            if self.path.exists() and self.path.stat().st_size + len(data) > self.limit:
                self.path.replace(self.path.with_name(f"{self.path.name}.1"))
            with self.path.open("ab", buffering=0) as file:
                file.write(data)

    def note(self, text: str) -> None:
        """Write a line of the supervisor itself."""
        stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        self.write(f"{stamp} supervisor: {text}\n".encode())


@dataclass
class Supervision:
    """One program under care. `record` is called with what changed, for the state file."""

    argv: list[str]
    log: RotatingLog
    pauses: Pauses
    record: Callable[[dict[str, Any]], None]
    restarts: int = 0
    _stopping: bool = field(default=False, init=False)
    _wakeup: tuple[int, int] = field(default=(-1, -1), init=False)

    def run(self, started: Callable[[], None]) -> None:
        """Keep the program running until SIGTERM; call `started` after its first start.

        Raises OSError when the program cannot be started at all.
        """
        self._listen_for_signals()
        pause = self.pauses.first
        while True:
            began = time.monotonic()
            self._run_once(started if not self.restarts else _nothing)
            if self._stopping:
                break
            if time.monotonic() - began >= HEALTHY_SECONDS:
                pause = self.pauses.first
            self.log.note(f"restarting in {pause:g} s")
            self._wait(pause)
            if self._stopping:
                break
            pause = min(pause * 2, self.pauses.longest)
            self.restarts += 1
        self.record({"state": "stopped", "child": None})

    def _listen_for_signals(self) -> None:
        reader, writer = os.pipe()
        os.set_blocking(reader, False)
        os.set_blocking(writer, False)
        self._wakeup = (reader, writer)
        signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._stop)

    def _stop(self, *_: object) -> None:
        self._stopping = True

    def _run_once(self, started: Callable[[], None]) -> None:
        try:
            child = self._spawn()
        except OSError as error:
            if not self.restarts:
                raise
            self.log.note(f"cannot start {self.argv[0]}: {error}")
            return
        process = Process.of(child.pid)
        self.record({"state": "running", "child": process and process.to_json(), "restarts": self.restarts})
        started()
        self._copy_output_until_exit(child)
        # The leader is not reaped yet, so its number is still ours and stragglers can be ended by it.
        kill_group(child.pid)
        status = child.wait()
        ended = f"signal {-status}" if status < 0 else f"exit status {status}"
        self.log.note(f"{self.argv[0]} ended with {ended}")
        self.record({"state": "restarting", "child": None, "last_exit": status})

    def _spawn(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            self.argv,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=functools.partial(end_with_parent, os.getpid()),
        )

    def _copy_output_until_exit(self, child: subprocess.Popen[bytes]) -> None:
        """Copy what the program prints to the log; on a stop request ask it to end, then insist."""
        assert child.stdout is not None
        output = child.stdout.fileno()
        os.set_blocking(output, False)
        deadline: float | None = None
        polled = [output]
        while not has_exited(child.pid):
            if self._stopping and deadline is None:
                kill_group(child.pid, signal.SIGTERM)
                deadline = time.monotonic() + self.pauses.grace
            if deadline is not None and time.monotonic() > deadline:
                kill_group(child.pid)
            self._poll(polled, _TICK)
            if not self._copy(output):
                polled = []
        self._copy(output)
        child.stdout.close()

    def _copy(self, output: int) -> bool:
        """Move what is there into the log; return False when the program closed its output."""
        with contextlib.suppress(BlockingIOError):
            while data := os.read(output, 65536):
                self.log.write(data)
            return False
        return True

    def _wait(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while not self._stopping and (left := until - time.monotonic()) > 0:
            self._poll([], left)

    def _poll(self, descriptors: list[int], seconds: float) -> None:
        ready, _, _ = select.select([*descriptors, self._wakeup[0]], [], [], seconds)
        if self._wakeup[0] in ready:
            with contextlib.suppress(BlockingIOError):
                os.read(self._wakeup[0], 4096)


def _nothing() -> None:
    pass
