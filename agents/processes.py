"""Processes by number and birth. A pid alone may belong to somebody else by now; pid and birth do not.

Standard library only, so that the supervisor runs before the environment is complete.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_PR_SET_PDEATHSIG = 1


@dataclass(frozen=True)
class Process:
    """A process that was seen alive: its number and when it was born, in the platform's own notation."""

    pid: int
    born: str

    @classmethod
    def of(cls, pid: int) -> Process | None:
        """Return the process with this number, or None when there is none (a zombie counts as none)."""
        born = _birth(pid)
        return None if born is None else cls(pid, born)

    @classmethod
    def from_json(cls, data: Any) -> Process | None:
        """Read what `to_json` wrote; anything else is no process."""
        if not isinstance(data, dict):
            return None
        pid, born = data.get("pid"), data.get("born")
        return cls(pid, born) if isinstance(pid, int) and isinstance(born, str) and pid > 1 else None

    def to_json(self) -> dict[str, Any]:
        return {"pid": self.pid, "born": self.born}

    def alive(self) -> bool:
        """Tell whether exactly this process still runs."""
        return _birth(self.pid) == self.born

    def signal(self, number: int) -> bool:
        """Send a signal if exactly this process still runs; tell whether it was sent."""
        if not self.alive():
            return False
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, number)
            return True
        return False

    def signal_group(self, number: int) -> bool:
        """Send a signal to the group that this process leads, if exactly this process still runs."""
        if not self.alive():
            return False
        return kill_group(self.pid, number)


def kill_group(leader: int, number: int = signal.SIGKILL) -> bool:
    """Signal a group whose leader the caller has not reaped yet, so that the number cannot be another's."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(leader, number)
        return True
    return False


def has_exited(pid: int) -> bool:
    """Tell whether our child has ended, without reaping it: its number stays ours for `kill_group`."""
    if hasattr(os, "waitid"):
        return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
    return _birth(pid) is None


def end_with_parent(parent: int) -> None:
    """Have the kernel kill this process when `parent` dies (Linux); leave at once if it died already."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(128 + signal.SIGKILL)


def _birth(pid: int) -> str | None:
    if sys.platform == "linux":
        return _birth_from_proc(pid)
    return _birth_from_ps(pid)


def _birth_from_proc(pid: int) -> str | None:
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    # The command name in parentheses may hold anything, so fields are counted from its end.
    fields = text.rpartition(")")[2].split()
    if fields[0] in ("Z", "X"):
        return None
    return f"{fields[19]}@{_boot()}"


def _boot() -> str:
    """Identify this boot, since start times count from it."""
    with contextlib.suppress(OSError):
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()[:8]
    return ""


def _birth_from_ps(pid: int) -> str | None:
    environment = {**os.environ, "LC_ALL": "C"}
    command = ["ps", "-o", "stat=,lstart=", "-p", str(pid)]
    answer = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    state, _, born = answer.stdout.strip().partition(" ")
    if not born or state.startswith("Z"):
        return None
    return " ".join(born.split())
