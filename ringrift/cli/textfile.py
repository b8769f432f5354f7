"""Writing a text where the person says: whole or not at all."""

from __future__ import annotations

import os
import secrets
import stat
from pathlib import Path

from ringrift.errors import Conflict, EnvironmentProblem, NotFound, UsageError


def write_file(path: Path, text: str) -> None:
    """Write UTF-8 under a name; a file that was there stays as it is until all of the new one is on disk.

    Devices, pipes and the like are written into. Raises what `check_place` does, and `EnvironmentProblem`
    when the disk is full or the place cannot be written.
    """
    check_place(path)
    data = text.encode("utf-8", "backslashreplace")
    try:
        if _is_device(path):
            path.write_bytes(data)
        else:
            _replace(Path(os.path.realpath(path)), data)
    except OSError as problem:
        raise EnvironmentProblem(f"cannot write {path}: {problem.strerror}") from None


def check_place(path: Path) -> None:
    """Raise `NotFound` when the folder of a file is missing, `UsageError` when the file is a folder."""
    if not stat.S_ISDIR(_mode(path.parent)):
        raise NotFound(f"there is no folder {path.parent}", hint="make it first")
    if stat.S_ISDIR(_mode(path)):
        raise UsageError(f"{path} is a folder", hint="name a file in it")


def check_free(path: Path) -> None:
    """Raise also `Conflict` when a file has the name, `EnvironmentProblem` when none can be made there."""
    check_place(path)
    if os.path.lexists(path) and not _is_device(path):
        raise Conflict(f"{path} is there already", hint="give another name")
    if not os.access(path if _is_device(path) else path.parent, os.W_OK):
        raise EnvironmentProblem(f"cannot write {path}: permission denied")


def _is_device(path: Path) -> bool:
    """Return whether the name is of a device, pipe or socket."""
    return _mode(path) != 0 and not stat.S_ISREG(_mode(path))


def _mode(path: Path) -> int:
    """Return what `stat` tells of the kind of a file; 0 where there is none to be seen."""
    try:
        return path.stat().st_mode
    except OSError:
        return 0


def _replace(path: Path, data: bytes) -> None:
    """Write a temporary file beside `path` and rename it; leave nothing behind if that fails."""
    partial = path.with_name(f".{secrets.token_hex(8)}.partial")
    try:
        with partial.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
