"""RINGRIFT_HOME: where the controller says who it is, and the operator's token lies."""

from __future__ import annotations

import json
import os
import time
from dataclasses import dataclass
from pathlib import Path

from ringrift.errors import AccessRefused, CorruptData, EnvironmentProblem

DEFAULT_PORT = 8470
START_TIME_SLACK = 2.0
"""Seconds by which a start time may be misread (clock ticks, small steps of the clock)."""


@dataclass(frozen=True)
class ControllerRecord:
    """What `run/controller.json` says: the process id, when it was announced (epoch seconds), its address."""

    pid: int
    started: float
    url: str


def home() -> Path:
    """Return the folder of this installation, `$RINGRIFT_HOME` or `~/.ringrift`. It need not exist."""
    return Path(os.environ.get("RINGRIFT_HOME") or Path.home() / ".ringrift").expanduser()


def record_path() -> Path:
    return home() / "run" / "controller.json"


def read_record() -> ControllerRecord | None:
    """Return the recorded controller, None where none was recorded.

    Raises `CorruptData` for a record that cannot be true and `EnvironmentProblem` for an unreadable file.
    """
    path = record_path()
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        record = ControllerRecord(int(data["pid"]), float(data["started"]), str(data["url"]))
        _check_possible(record)
        return record
    except FileNotFoundError:
        return None
    except OSError as problem:
        raise EnvironmentProblem(
            f"{path} cannot be read: {problem.strerror}", hint="check RINGRIFT_HOME"
        ) from None
    except (ValueError, TypeError, KeyError, OverflowError, RecursionError) as problem:
        raise CorruptData(
            f"{path} is not a controller record ({problem})",
            hint="remove the file, then start the controller with `ringrift-ctl up`",
        ) from None


def _check_possible(record: ControllerRecord) -> None:
    """Refuse a record that no controller wrote: its process may be signalled by `ringrift-ctl down`."""
    if record.pid <= 1:
        raise ValueError(f"pid is {record.pid}")
    if not 0 < record.started <= time.time() + START_TIME_SLACK:
        raise ValueError(f"started is {record.started}")


def read_token() -> str:
    """Return the operator's token of this home; raise `AccessRefused` when there is none to read."""
    path = home() / "operator.token"
    try:
        token = path.read_text(encoding="utf-8").strip()
    except (OSError, ValueError) as problem:
        reason = getattr(problem, "strerror", None) or "not text"
        raise AccessRefused(
            f"cannot read the operator's token {path} ({reason})",
            hint="run as the user who started the controller, or set RINGRIFT_TOKEN",
        ) from None
    if not token:
        raise AccessRefused(f"{path} is empty", hint="restart the controller, which writes a new token")
    return token


def is_alive(record: ControllerRecord) -> bool:
    """Tell whether the recorded process runs.

    A process that got the same id later was born after the announcement, so it is never taken for it.
    """
    import psutil

    try:
        process = psutil.Process(record.pid)
        same = process.create_time() <= record.started + START_TIME_SLACK
        return bool(same and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
