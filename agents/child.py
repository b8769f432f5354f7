"""The job process as the agent holds it: its own process group, a record on disk, a sure end."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

from agents.files import write_json
from agents.processes import Process, has_exited, kill_group
from agents.spool import Spool

_THREADS = {
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_WAIT_POLICY": "passive",
}
"""One thread per job unless the environment says otherwise: two on busy cores collapse."""
_POLL_SECONDS = 0.05


class Child:
    """A running job. Only the thread that made it may reap it; any thread may kill it."""

    def __init__(self, spool: Spool, runner: str) -> None:
        self._guard = threading.Lock()
        command = [
            sys.executable,
            "-m",
            "agents.job",
            str(spool.folder),
            str(os.getpid()),
            "--runner",
            runner,
        ]
        with spool.log.open("ab", buffering=0) as log:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                env={**_THREADS, **os.environ, "PYTHONPATH": _import_path(), "PYTHONUNBUFFERED": "1"},
            )
        born = Process.of(self._process.pid)
        if born is not None:
            write_json(spool.process, born.to_json())

    def wait(self, seconds: float) -> int | None:
        """Return the exit status, negative for a signal, or None if it still runs after `seconds`."""
        until = time.monotonic() + seconds
        while not has_exited(self._process.pid):
            if time.monotonic() >= until:
                return None
            time.sleep(_POLL_SECONDS)
        return self.end()

    @property
    def pid(self) -> int:
        """Number of the job's process and of its group."""
        return self._process.pid

    def pause(self, held: bool) -> None:
        """Stop the whole group without ending it, or let it go on."""
        with self._guard:
            if self._process.returncode is None:
                kill_group(self._process.pid, signal.SIGSTOP if held else signal.SIGCONT)

    def kill(self) -> None:
        """End the job and whatever it started, at once. Nothing durable is lost: results are fsynced."""
        with self._guard:
            if self._process.returncode is None:
                kill_group(self._process.pid, signal.SIGKILL)

    def end(self) -> int:
        """Kill what still runs of the group, reap the job, and return its exit status."""
        self.kill()
        while self._process.returncode is None and not has_exited(self._process.pid):
            time.sleep(_POLL_SECONDS)
        with self._guard:
            return self._process.wait()


def end_predecessor(spool: Spool) -> None:
    """End the job process that an earlier agent left, recognised by number and birth."""
    try:
        recorded = Process.from_json(json.loads(spool.process.read_bytes()))
    except (OSError, ValueError):
        return
    if recorded is not None:
        recorded.signal_group(signal.SIGKILL)
        while recorded.alive():
            time.sleep(_POLL_SECONDS)


def _import_path() -> str:
    """Let the job import the same release as the agent, wherever it was started from."""
    here = str(Path(__file__).resolve().parent.parent)
    before = os.environ.get("PYTHONPATH")
    return f"{here}{os.pathsep}{before}" if before else here
